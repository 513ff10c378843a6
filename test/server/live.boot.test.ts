import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { getReadyRecording } from "../kit/guests/ready-recording";
import { consoleMachine, findLeft, yamlOf } from "../kit/lab/analyze-run";
import { withTestLab } from "../kit/lab/lab-run";
import { giveReady } from "../kit/lab/ready-lab";
import { NEEDS_BROWSER } from "../kit/lab/browser";
import { REBOX } from "../kit/project";
import { findFaults, signInByPage, withWalk } from "../kit/server/browser-walk";
import { keyDown, LiveClient } from "../kit/server/live-client";
import { addUsers, jsonOf, PASSWORD } from "../kit/server/test-server";

/** A text of QEMU's with 80 columns and 25 rows: hw/display/vga.c. */
const SCREEN = { width: 720, height: 400 };

/** For what is done with a machine, in milliseconds: also on a busy host. */
const PATIENCE_MS = 240_000;

interface Details {
  readonly state: string;
  readonly goldenStates: readonly { readonly name: string }[];
  readonly task: { readonly action: string; readonly isRunning: boolean; readonly status: number | null; readonly text: string } | null; // prettier-ignore
}

/** Asks the machine by the API, and by the form of its page. */
async function checkInquiries(url: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const ask = async (body: object) => {
    const init = jsonOf(body);
    const answer = await fetch(`${url}/api/v1/machines/g/investigate`, { ...init, headers: { ...(init.headers as object), ...headers } }); // prettier-ignore
    assert.equal(answer.status, 200, await answer.clone().text());
    return (await answer.json()) as {
      result: { foundanything: boolean; elements: { pid: number }[] } | null;
      text: string;
    };
  };
  const { result, text } = await ask({ module: "process", flags: ["-pid", "1"] });
  assert.deepEqual([result?.foundanything, result?.elements.map(({ pid }) => pid), text], [true, [1], ""]);
  assert.equal((await ask({ module: "process", flags: ["-name", "^nobody-has-it$"] })).result!.foundanything, false);
  const given = await ask({ module: "process", parameters: { pids: [1] } });
  assert.deepEqual(given.result?.elements.map(({ pid }) => pid), [1]); // prettier-ignore
  const explained = await ask({ module: "process", flags: ["help"] });
  assert.deepEqual([explained.result, explained.text.includes("-kernelthreads")], [null, true]);
  const signIn = await fetch(`${url}/sign-in`, { method: "POST", redirect: "manual", body: new URLSearchParams({ name: "administrator", password: PASSWORD }) }); // prettier-ignore
  const cookie = signIn.headers.get("set-cookie")!.split(";")[0]!;
  assert.match(await (await fetch(`${url}/machines/g`, { headers: { cookie } })).text(), /<option value="process" selected/); // prettier-ignore
  const page = await (await fetch(`${url}/machines/g/investigate?module=process`, { headers: { cookie } })).text();
  const [, csrf] = /action="\/machines\/g\/investigate".*?name="csrf" value="([^"]+)"/s.exec(page) as unknown as [string, string]; // prettier-ignore
  const form = new URLSearchParams({ csrf, module: "process", "p/pids": "1", "p/names": "", timeout: "60" });
  const send = async () => fetch(`${url}/machines/g/investigate`, { method: "POST", headers: { cookie }, body: form });
  const answer = await (await send()).text();
  assert.match(answer, /aria-label="Answer">1 ppid=0 .*\/init/);
  // The form has what was asked, for the next question.
  assert.match(answer, /<textarea id="p\/pids"[^>]*>\s*1<\/textarea>/);
  form.set("p/names", "(");
  assert.match(await (await send()).text(), /aria-label="Answer">error: .*\(/);
  form.set("timeout", "never");
  assert.equal((await send()).status, 400);
}

/** Asks the machine, stops it and prepares it anew, as an administrator does who knows nothing but the pages. */
async function walkMachine(url: string): Promise<void> {
  await withWalk(url, {}, async ({ page, complaints }) => {
    page.on("dialog", (dialog) => void dialog.accept());
    await signInByPage(page, "administrator");
    await page.getByRole("link", { name: "Machines" }).click();
    await page.getByRole("link", { name: "g", exact: true }).click();
    await page.locator("[data-live=screen]").getByText("Live.").waitFor();
    assert.deepEqual(await findFaults(page), []);
    await page.getByLabel("Module").selectOption("process");
    await page.getByRole("button", { name: "Choose" }).click();
    await page.getByLabel("pids").fill("1");
    await page.getByRole("button", { name: "Ask" }).click();
    await page
      .getByRole("region", { name: "Answer" })
      .getByText(/^1 ppid=0 /)
      .waitFor();
    assert.deepEqual(await findFaults(page), []);
    await page.getByRole("link", { name: "g", exact: true }).click();
    await page.getByRole("button", { name: "Stop" }).click();
    // The page follows by itself what is done with the machine.
    await page.getByRole("button", { name: /^Start from/ }).waitFor({ timeout: PATIENCE_MS });
    await page.getByLabel("Name of the golden state").fill("second");
    await page.getByLabel("Change this one").fill("ready");
    await page.getByLabel("Command in the guest").fill("echo own > /tmp/own");
    await page.getByRole("button", { name: "Prepare", exact: true }).click();
    await page.getByRole("heading", { name: "prepare: goes on" }).waitFor();
    assert.deepEqual(await findFaults(page), []);
    await page.getByRole("heading", { name: "prepare: went well" }).waitFor({ timeout: PATIENCE_MS });
    const made = page.getByRole("row", { name: "second" });
    await made.getByText("echo own > /tmp/own").waitFor();
    await page.getByRole("button", { name: /^Start from/ }).waitFor();
    assert.deepEqual(await findFaults(page), []);
    await made.getByRole("button", { name: "Remove" }).click();
    await made.waitFor({ state: "detached" });
    assert.deepEqual(complaints, []);
  });
}

/** Has the server go to a moment of a recording, and ask for all that can be asked there. */
async function checkRecording(url: string, headers: Readonly<Record<string, string>>, length: number): Promise<void> {
  const questions = ["place", "code", "registers", "processes", "modules", "threads", "files", "sockets", "memory"];
  const ask = async (body: object) => {
    const init = jsonOf(body);
    const answer = await fetch(`${url}/api/v1/recordings/boot/ask`, { ...init, headers: { ...(init.headers as object), ...headers } }); // prettier-ignore
    const text = await answer.text();
    assert.equal(answer.status, 200, text);
    return (JSON.parse(text) as { text: string }).text;
  };
  const [early, late] = [Math.floor(length / 8), Math.floor(length * 0.9)];
  assert.match(await ask({ at: early, questions: ["registers"] }), new RegExp(`^instruction ${early} of \\d+; vCPU 0 at 0x[0-9a-f]+(, \\S+)?; the guest is replaying, paused\n[^]*rip`, "im")); // prettier-ignore
  const all = await ask({ at: late, questions, pid: 1 });
  assert.match(all, new RegExp(`instruction ${late} of`));
  assert.ok(!/no such command|is no command|usage:/i.test(all), all);
  // The first process, of which the kernel may not have made init yet.
  assert.match(all, /^ *1 +0 +0x/m, all);
}

test("a machine is started, looked at, typed at, asked and stopped through a server", async () => {
  const settings = consoleMachine();
  await withTestLab({ "conf/machineries/rebox.yaml": yamlOf({ g: settings }) }, async (lab) => {
    await giveReady(lab, { name: "g", settings });
    const tokens = await addUsers(lab.folder);
    const recording = await getReadyRecording();
    cpSync(recording.folder, join(lab.folder, "recordings/boot"), { recursive: true });
    const child = spawn(process.execPath, [REBOX, "serve", "--lab", lab.folder, "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] }); // prettier-ignore
    try {
      const [line] = (await once(child.stdout, "data")) as [Buffer];
      const url = /^serving on (\S+)/.exec(String(line))![1]!;
      const headers = { authorization: `Bearer ${tokens.administrator}` };
      const act = async (action: string, body: object = {}) => {
        const init = jsonOf(body);
        const answer = await fetch(`${url}/api/v1/machines/g/${action}`, { ...init, headers: { ...(init.headers as object), ...headers } }); // prettier-ignore
        assert.equal(answer.status, 202, await answer.text());
        for (;;) {
          const details = (await (await fetch(`${url}/api/v1/machines/g`, { headers })).json()) as Details;
          if (details.task?.isRunning === false) return details;
          await sleep(100);
        }
      };
      const started = await act("start");
      assert.equal(started.task!.status, 0, started.task!.text);
      assert.deepEqual(started.goldenStates.map(({ name }) => name), ["ready"]); // prettier-ignore
      const server = { url, tokens };
      const open = async (who: "reader" | "analyst", path: string) => {
        const client = await LiveClient.open(server, who, `/api/v1/machines/g/${path}`);
        if (typeof client === "number") throw new Error(`${path}: ${client}`);
        return client;
      };
      const screen = await open("reader", "screen");
      assert.match(await screen.shakeHands(), /^QEMU/);
      assert.ok((await screen.askForPicture(SCREEN.width, SCREEN.height)) > 0);
      // Another viewer shuts the first out from nothing.
      const other = await open("analyst", "screen?control=yes");
      await other.shakeHands();
      other.send(keyDown(0x61));
      assert.ok((await other.askForPicture(SCREEN.width, SCREEN.height)) > 0);
      const reader = await open("reader", "console");
      const typist = await open("analyst", "console?control=yes");
      typist.send("echo typed-$((40 + 2))\r");
      await reader.until("typed-42");
      await typist.until("typed-42");
      const third = await open("analyst", "console?control=yes");
      assert.match((await third.untilEnded()).reason, /somebody types on the serial console of g/);
      await checkInquiries(url, headers);
      await checkRecording(url, headers, recording.instructions);
      if (NEEDS_BROWSER === false) await walkMachine(url);
      else assert.equal((await act("stop")).task!.status, 0);
      for (const each of [screen, other, reader, typist]) assert.equal((await each.untilEnded()).code, 1000);
    } finally {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    assert.deepEqual(findLeft(lab), []);
  });
});
