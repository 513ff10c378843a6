import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { NEEDS_BROWSER } from "../kit/lab/browser";
import { makePcap, makeQuestion, makeUdp } from "../kit/lab/made-frames";
import { findFaults, signInByPage, withWalk } from "../kit/server/browser-walk";
import { VERDICT } from "../kit/server/made-analysis";
import { makeCore } from "../kit/server/made-core";
import { z } from "zod";
import type { ModuleDescription } from "../../src/investigation/describe-module";
import { toParameterSchema } from "../../src/investigation/parameters";
import { RIGHTS_OF } from "../../src/server/accounts/roles";
import { renderInquiryPage } from "../../src/server/pages/machines/inquiry-page";
import { PASSWORD, withServer, writeFiles } from "../kit/server/test-server";

const PICTURES = process.env.REBOX_TEST_PICTURES;
const EVIL = "<img src=x onerror=alert(1)>";
const FILE = { role: "-kernel", path: "/boot/vmlinuz", size: 4096, changedNs: "1", sha256: "0".repeat(64) };
/** A recording as rebox record writes its manifest. */
const MANIFEST = JSON.stringify({ format: 1, rebox: "1", qemu: "10.0", engine: FILE, args: ["-m", EVIL], cwd: "/", files: [FILE], diskFormats: [], sum: "0".repeat(64) }); // prettier-ignore
/** A form of a module with a field of each kind. */
const FORM: ModuleDescription = {
  ...{ name: "process", isPersistent: true, help: `process ${EVIL}` },
  parameters: toParameterSchema(
    z.strictObject({
      names: z.array(z.string()).default([]).describe(EVIL),
      searches: z.record(z.string(), z.strictObject({ rules: z.string().meta({ contentMediaType: "text/plain" }) })),
      ...{ source: z.enum(["guest", "disk"]).default("guest"), count: z.int().min(1).max(9).default(3) },
      ...{ all: z.boolean().default(true), more: z.union([z.string(), z.number()]).optional() },
    }),
  ),
};
const CALLER = { user: "administrator", role: "administrator", rights: new Set(RIGHTS_OF.administrator), by: { kind: "session", csrf: "x", hash: "x" } } as const; // prettier-ignore
const MADE = {
  ...{ name: "dropper.bin", content: "evil", verdict: VERDICT, domains: ["c2.example"], hasPicture: true },
  calls: { openat: 12, write: 3 },
  frames: makePcap([makeUdp("10.0.2.15", 5000, "10.0.2.3", 53, makeQuestion("c2", "example")), makeUdp("10.0.2.15", 6000, "192.0.2.77", 9, Buffer.from("x"))]), // prettier-ignore
  stacks: [{ time: "2026-01-01T00:00:01.000Z", type: "file.written", facts: { pid: 100, process: "sample", path: `/tmp/0${EVIL}` }, frames: [{ address: "0x7f0000000010", module: EVIL, offset: 16, symbol: "write", within: 4 }, { address: "0x400004", module: "sample", offset: 4 }] }], // prettier-ignore
  core: makeCore(100, [{ start: 0x400000n, content: Buffer.from(`code of the sample ${EVIL}`), path: `/tmp/sample${EVIL}` }, { start: 0x7ff000n, content: Buffer.alloc(9_000, "stack "), path: "" }]), // prettier-ignore
  artefacts: { "/tmp/drop": "dropped", [`/tmp/${EVIL}`]: "more" },
  events: [
    { type: "process.created", pid: 101, ppid: 100, name: "sh", commandLine: "sh -c id", origin: "target" },
    ...Array.from({ length: 300 }, (_, at) => ({ type: "file.written", pid: 100, process: "sample", path: `/tmp/${at}${EVIL}` })), // prettier-ignore
    { type: "network.connected", pid: 100, process: "sample", protocol: "tcp", address: "203.0.113.9", port: 443 },
  ],
};

describe("the pages", { skip: NEEDS_BROWSER }, () => {
  test("let a new user submit, watch, read, download, search, compare and manage", async () => {
    await withServer({}, async (server) => {
      const one = server.add(MADE);
      const other = server.add({ name: "letter.txt", content: "plain" });
      await withWalk(server.url, { acceptDownloads: true }, async ({ page, complaints }) => {
        await signInByPage(page, "administrator");
        // Submit a file by the form: it is sent piece by piece, and its analysis is shown while it runs.
        await page.getByRole("link", { name: "Submit", exact: true }).click();
        await page.getByLabel("Files to analyse").setInputFiles({ name: "s.sh", mimeType: "text/plain", buffer: Buffer.from("#!/bin/sh\n") }); // prettier-ignore
        await page.getByRole("button", { name: "Analyse", exact: true }).click();
        await page.waitForURL(/\/analyses\/3$/);
        await page.getByText("cannot be given a target").first().waitFor();
        // A command, which these machines can: its events come by themselves, and its report follows.
        await page.goto("/submit");
        await page.getByLabel("Command").fill("sleep 5; echo done");
        await page.getByLabel("Machine", { exact: true }).selectOption("office");
        await page.getByRole("button", { name: "Analyse", exact: true }).click();
        await page.waitForURL(/\/analyses\/4$/);
        await page.locator("[data-events] tr", { hasText: "phase=running" }).waitFor();
        await page.locator("ol.steps li[aria-current]", { hasText: "running" }).waitFor();
        // What a target's engine would tell: processes in a tree, and the network.
        const common = { time: new Date().toISOString(), origin: "target" };
        const told = [
          { ...common, pid: 700, ppid: 1, name: "sample", commandLine: `./sample ${EVIL}`, type: "process.created" },
          { ...common, pid: 701, ppid: 700, name: "sh", commandLine: "sh -c id", type: "process.created" },
          // Acts have no origin, and neither have ends.
          ...[1, 2].map(() => ({ time: common.time, pid: 701, process: "sh", protocol: "tcp", address: "203.0.113.9", port: 443, type: "network.connected" })), // prettier-ignore
          { time: common.time, pid: 701, name: "sh", type: "process.ended" },
          // What the system does is not shown.
          { time: common.time, pid: 5, ppid: 1, name: "cron", type: "process.created" },
          {
            time: common.time,
            pid: 5,
            process: "cron",
            protocol: "udp",
            address: "192.0.2.5",
            port: 53,
            type: "network.sent",
          },
        ];
        appendFileSync(join(server.lab.folder, "analyses/4/events.jsonl"), told.map((event) => `${JSON.stringify(event)}\n`).join("")); // prettier-ignore
        await page.locator("[data-processes] > li > ul > li", { hasText: "701 sh" }).waitFor();
        await page.locator("[data-network] tr", { hasText: "203.0.113.9:443" }).getByRole("cell", { name: "2", exact: true }).waitFor(); // prettier-ignore
        await page.locator("[data-processes] b", { hasText: "701 sh (ended)" }).waitFor();
        await page.locator("[data-events] tr", { hasText: "192.0.2.5" }).waitFor();
        assert.deepEqual([await page.locator("[data-network] tr").count(), await page.locator("[data-processes] li").count()], [1, 2]); // prettier-ignore
        await page.getByText("finished").first().waitFor();
        await page.getByRole("heading", { name: "Report" }).waitFor();
        // The report of one that did much: verdict, processes, picture, artefacts, and the report in its frame.
        await page.goto(`/analyses/${one}`);
        await page.getByText("It hides files").waitFor();
        await page.getByText("sh -c id").waitFor();
        const frame = page.frameLocator("iframe");
        await page.locator("iframe").scrollIntoViewIfNeeded();
        await frame.locator("h1", { hasText: "dropper.bin" }).waitFor();
        await frame.locator("summary", { hasText: "More: 201 to" }).first().click();
        await frame.locator("#files .further a").first().click();
        await frame.frameLocator("#files iframe").locator("tr", { hasText: "/tmp/299" }).first().waitFor();
        // A process, with what it called, and a file from inside.
        await page.getByRole("link", { name: "sample", exact: true }).click();
        await page.getByRole("heading", { name: "Process 100: sample" }).waitFor();
        await page.getByRole("cell", { name: "openat", exact: true }).waitFor();
        // What has led to an act, and from there into the memory that the process had at its end.
        await page.locator("summary", { hasText: "file.written" }).click();
        await page.getByRole("cell", { name: "sample+0x4", exact: true }).waitFor();
        await page.locator("tr", { hasText: "sample+0x4" }).getByRole("link", { name: "0x400004" }).click();
        await page.getByText("00400004  20 6f 66 20 74 68 65 20").waitFor();
        await page.getByLabel("From address").fill("0x7ff001");
        await page.getByRole("button", { name: "Show" }).click();
        await page.getByRole("link", { name: "Next", exact: true }).click();
        await page.waitForURL(/at=0x800001$/);
        await page.goBack();
        await page.goBack();
        await page.goBack();
        await page.getByText("A signal has ended it: 11.").waitFor();
        await page.locator("summary", { hasText: "rip 0x400000" }).click();
        await page.getByRole("row", { name: "rsp 0x7ff000" }).waitFor();
        await page.getByRole("link", { name: "101 sh" }).click();
        await page.getByText("sh -c id").first().waitFor();
        await page.goto(`/analyses/${one}`);
        await page.locator("tr", { hasText: "/tmp/drop" }).getByRole("link", { name: "look inside" }).click();
        await page.getByText("64 72 6f 70 70 65 64").waitFor();
        await page.getByRole("cell", { name: "dropped", exact: true }).waitFor();
        await page.getByLabel("From byte").fill("0x4");
        await page.getByRole("button", { name: "Show" }).click();
        await page.getByText("00000004  70 65 64").waitFor();
        await page.goto(`/analyses/${one}`);
        const download = page.waitForEvent("download");
        await page.getByRole("link", { name: "Artefacts" }).click();
        assert.ok(
          readFileSync((await (await download).path())!)
            .subarray(0, 2)
            .equals(Buffer.from("PK")),
        );
        // Its events, page by page and filtered.
        await page.getByRole("link", { name: "Events", exact: true }).first().click();
        await page.getByLabel("Type", { exact: true }).fill("network.");
        await page.getByRole("button", { name: "Show" }).click();
        assert.equal(await page.locator("tbody tr").count(), 1);
        // Who it spoke with.
        await page.getByRole("link", { name: "Network", exact: true }).click();
        await page.getByRole("cell", { name: "192.0.2.77:9", exact: true }).waitFor();
        await page.getByRole("cell", { name: "c2.example", exact: true }).waitFor();
        // When what happened, and from there to its events.
        await page.getByRole("link", { name: "Timeline" }).click();
        await page.locator("svg.timeline text", { hasText: "findings" }).waitFor();
        await page.getByRole("region", { name: "Moments" }).getByRole("link").last().click();
        await page.getByRole("cell", { name: "screenshot", exact: true }).waitFor();
        // Search, and compare.
        await page.getByRole("link", { name: "Search" }).click();
        await page.getByLabel("Address or domain").fill("c2.example");
        await page.getByLabel("Text of its acts").fill("sh -c");
        await page.getByRole("button", { name: "Search" }).click();
        await page.getByRole("link", { name: "dropper.bin" }).click();
        await page.getByLabel("with analysis").fill(String(other));
        await page.getByRole("button", { name: "Compare" }).click();
        await page.getByRole("heading", { name: `Analyses ${one} and ${other}` }).waitFor();
        // Machines, tokens and users.
        await page.getByRole("link", { name: "Machines" }).click();
        await page.getByRole("button", { name: "Take out" }).first().click();
        await page.getByText("taken out by administrator").first().waitFor();
        await page.getByRole("link", { name: "Tokens" }).click();
        await page.getByLabel("What it is for").fill("a program");
        await page.getByRole("button", { name: "Make it" }).click();
        const token = await page.getByRole("status").locator("code").textContent();
        assert.equal((await fetch(`${server.url}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } })).status, 200); // prettier-ignore
        await page.getByRole("link", { name: "Users" }).click();
        await page.getByLabel("Name", { exact: true }).fill("max");
        await page.getByLabel("Password").fill(PASSWORD);
        await page.getByRole("button", { name: "Add" }).click();
        await page.getByRole("cell", { name: "max", exact: true }).waitFor();
        await page.getByRole("button", { name: "Sign out" }).click();
        await page.getByRole("button", { name: "Sign in" }).waitFor();
        assert.deepEqual(complaints, []);
      });
    });
  });

  test("take files that are dropped on them, and say what was wrong without losing the form", async () => {
    await withServer({}, async (server) => {
      await withWalk(server.url, {}, async ({ page }) => {
        await signInByPage(page, "analyst");
        await page.goto("/submit");
        await page.getByLabel("Command").fill("true");
        await page.getByText("More options").click();
        await page.getByLabel("Options for the modules").fill("nonsense");
        await page.getByRole("button", { name: "Analyse", exact: true }).click();
        await page.getByText("`options` is NAME=VALUE").waitFor();
        assert.equal(await page.getByLabel("Command").inputValue(), "true");
        await page.getByLabel("Options for the modules").fill("");
        const data = await page.evaluateHandle(`{
          const transfer = new DataTransfer();
          for (const name of ["a.txt", "b.txt"]) transfer.items.add(new File([name], name));
          transfer;
        }`);
        await page.dispatchEvent("[data-drop]", "drop", { dataTransfer: data });
        await page.getByRole("button", { name: "Analyse", exact: true }).click();
        await page.waitForURL("/");
        const { analyses } = await server.read<{ analyses: { target: { name: string } }[] }>(
          "reader",
          "/api/v1/analyses",
        );
        assert.deepEqual(
          analyses.map(({ target }) => target.name),
          ["b.txt", "a.txt"],
        );
      });
    });
  });

  for (const colorScheme of ["light", "dark"] as const)
    test(`have no serious fault for who cannot see or use a mouse, in ${colorScheme} colours`, async () => {
      await withServer({}, async (server) => {
        const one = server.add(MADE);
        const other = server.add({ name: "letter.txt", content: "plain" });
        writeFiles(server.lab.folder, { "recordings/boot/recording.json": MANIFEST });
        await withWalk(server.url, { colorScheme }, async ({ page, complaints }) => {
          const look = async (name: string) => {
            if (PICTURES !== undefined) {
              mkdirSync(PICTURES, { recursive: true });
              await page.screenshot({ path: join(PICTURES, `${name}-${colorScheme}.png`), fullPage: true });
            }
            assert.deepEqual(await findFaults(page), [], name);
          };
          await page.goto("/sign-in");
          await look("sign-in");
          await signInByPage(page, "administrator");
          await look("list");
          const pages = { hosts: "/hosts", webhooks: "/webhooks", machine: "/machines/office", question: "/machines/office/investigate?module=file", submit: "/submit", search: "/search?state=finished", analysis: `/analyses/${one}`, events: `/analyses/${one}/events`, network: `/analyses/${one}/network`, timeline: `/analyses/${one}/timeline`, recordings: "/recordings", recording: "/recordings/boot?at=1000", process: `/analyses/${one}/processes/1`, inside: `/analyses/${one}/look/analysis.json`, memory: `/analyses/${one}/memory/cores/0001-100.core`, compare: `/compare?one=${one}&other=${other}`, machines: "/machines", tokens: "/account", users: "/users", audit: "/audit", error: "/nothing" }; // prettier-ignore
          for (const [name, path] of Object.entries(pages)) {
            await page.goto(path);
            await look(name);
          }
          // Machines of this lab have no guest that could be asked: the page of an answer is the one that its route renders.
          const answer = renderInquiryPage(CALLER, { machine: "office", modules: ["process", "file"], module: FORM, given: { "p/names": EVIL, timeout: "60" }, answer: `812 sshd ${EVIL}` }); // prettier-ignore
          await page.route("**/answer", (route) => route.fulfill({ contentType: "text/html; charset=utf-8", body: answer })); // prettier-ignore
          await page.goto("/answer");
          await page.getByText(`812 sshd ${EVIL}`).waitFor();
          assert.equal(await page.getByLabel("names").inputValue(), EVIL);
          await look("answer");
          await page.goto("/submit");
          await page.getByLabel("Command").fill("sleep 3");
          await page.getByRole("button", { name: "Analyse", exact: true }).click();
          await page.locator("[data-events] tr", { hasText: "phase=running" }).waitFor();
          await look("running");
          // Chromium reports the status of the missing page.
          assert.deepEqual(
            complaints.filter((text) => !/status of 404/.test(text)),
            [],
          );
        });
      });
    });

  test("are used with the keyboard alone, and without scripts", async () => {
    await withServer({}, async (server) => {
      const id = server.add(MADE);
      await withWalk(server.url, { javaScriptEnabled: false }, async ({ page }) => {
        await page.goto(`/analyses/${id}`);
        // The first field has the focus.
        await page.locator("#name:focus").waitFor();
        await page.keyboard.type("analyst");
        await page.keyboard.press("Tab");
        await page.keyboard.type(PASSWORD);
        await page.keyboard.press("Enter");
        await page.waitForURL(`/analyses/${id}`);
        await page.keyboard.press("Tab");
        await page.keyboard.press("Enter");
        assert.match(page.url(), /#main$/);
        await page.goto("/submit");
        await page.getByLabel("Files to analyse").setInputFiles({ name: "s.sh", mimeType: "text/plain", buffer: Buffer.from("x") }); // prettier-ignore
        await page.getByLabel("Command").focus();
        await page.keyboard.press("Enter");
        await page.waitForURL(/\/analyses\/2$/);
      });
    });
  });
});
