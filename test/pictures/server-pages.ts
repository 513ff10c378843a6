import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { getReadyRecording } from "../kit/guests/ready-recording";
import { consoleMachine, yamlOf } from "../kit/lab/analyze-run";
import { signInByPage, withWalk } from "../kit/server/browser-walk";
import { type MadeAnalysis, VERDICT } from "../kit/server/made-analysis";
import { fileForm, jsonOf, type TestServer, withServer } from "../kit/server/test-server";

const VIEW = { width: 1100, height: 800 };
/** Higher pages are cut: documents show the upper part. */
const HIGHEST_PX = 1_500;
const SCHEMES = ["light", "dark"] as const;
/** What the guest does while it is looked at, so that there is something to see. */
const BUSY = "(while :; do date; sleep 1; done > /dev/tty0) & for i in 1 2 3 4 5 6 7 8; do echo step $i; sleep 1; done; sleep 100"; // prettier-ignore

const DROPPER: MadeAnalysis = {
  ...{ name: "invoice.bin", content: "a dropper", verdict: VERDICT, domains: ["updates.example"] },
  artefacts: { "/tmp/.cache/kworker": "a program", "/tmp/.cache/config": "host office" },
  events: [
    {
      type: "process.created",
      pid: 101,
      ppid: 100,
      name: "sh",
      commandLine: "sh -c 'mv config.new config'",
      origin: "target",
    },
    {
      type: "process.created",
      pid: 102,
      ppid: 101,
      name: "kworker",
      commandLine: "/tmp/.cache/kworker 2",
      origin: "target",
    },
    ...Array.from({ length: 12 }, (_, at) => ({ type: "file.written", pid: 100, process: "sample", path: `/tmp/.cache/part-${at}`, origin: "target" })), // prettier-ignore
    {
      type: "network.connected",
      pid: 102,
      process: "kworker",
      protocol: "tcp",
      address: "203.0.113.9",
      port: 443,
      origin: "target",
    },
  ],
};

/** A setting of a machine: a server behind 10.0.2.100 answers with the line that it gets; nothing else is connected. */
export const ECHO_NETWORK = "args: -netdev user,id=n,restrict=on,guestfwd=tcp:10.0.2.100:80-cmd:cat -device virtio-net-pci,netdev=n"; // prettier-ignore

/** A program that a real analysis is made of: it drops another one, starts it, and asks for orders. */
const SAMPLE = `#!/bin/sh
mkdir /tmp/.cache
echo "host $(hostname)" > /tmp/.cache/config
cp /bin/sleep /tmp/.cache/kworker
/tmp/.cache/kworker 1 &
echo checkin | nc 10.0.2.100 80 | head -n 1 > /tmp/.cache/orders
chmod 600 /tmp/.cache/config
wait
`;
const AUXILIARY = ["processes", "syscalls", "artefacts", "netcapture"]
  .map((name) => `[${name}]\nenabled = yes\n`)
  .join("");

/**
 * Takes a picture of every page of a server, in light and dark colours.
 *
 * @param folder for the pictures: NAME-SCHEME.png
 */
export async function takeServerPages(folder: string, onPicture: (name: string) => void): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const files = {
    "conf/machineries/rebox.yaml": yamlOf({ guest: consoleMachine([ECHO_NETWORK]) }),
    "conf/auxiliary.conf": AUXILIARY,
  };
  const recording = await getReadyRecording();
  await withServer({ files }, async (server) => {
    cpSync(recording.folder, join(server.lab.folder, "recordings/boot"), { recursive: true });
    const real = await analyse(server);
    const one = server.add(DROPPER);
    const other = server.add({ name: "letter.txt", content: "plain text" });
    for (const name of ["setup.sh", "update.elf", "notes.txt"]) server.add({ name, content: name });
    await server.read("administrator", "/api/v1/webhooks", jsonOf({ url: "https://pipeline.example/rebox" }));
    const { ids } = await server.read<{ ids: [number] }>("analyst", "/api/v1/analyses", jsonOf({ command: BUSY, machine: "guest", timeout: 600 })); // prettier-ignore
    await untilRuns(server, ids[0]);
    const pages = {
      ...{ analyses: "/", submit: "/submit", search: "/search?judgement=malicious", machines: "/machines" },
      ...{ running: `/analyses/${ids[0]}`, analysis: `/analyses/${one}`, events: `/analyses/${one}/events` },
      ...{ compare: `/compare?one=${one}&other=${other}`, machine: "/machines/guest", tokens: "/account", users: "/users" }, // prettier-ignore
      ...{ webhooks: "/webhooks", audit: "/audit", recordings: "/recordings" },
      ...{ network: `/analyses/${real.id}/network`, timeline: `/analyses/${real.id}/timeline`, process: `/analyses/${real.id}/processes/${real.process}`, memory: `/analyses/${real.id}/memory/${real.core}` }, // prettier-ignore
    };
    for (const colorScheme of SCHEMES)
      await withWalk(server.url, { colorScheme, viewport: VIEW }, async ({ page }) => {
        const take = async (name: string) => {
          const file = `${name}-${colorScheme}.png`;
          const height = Math.min(HIGHEST_PX, await page.evaluate<number>("document.documentElement.scrollHeight"));
          await page.screenshot({ path: join(folder, file), fullPage: true, clip: { x: 0, y: 0, width: VIEW.width, height } }); // prettier-ignore
          onPicture(file);
        };
        await page.goto("/sign-in");
        await take("sign-in");
        await signInByPage(page, "administrator");
        for (const [name, path] of Object.entries(pages)) {
          await page.goto(path);
          if (name === "running" || name === "machine") await untilLive(page);
          if (name === "process") await page.locator("summary", { hasText: "file.written" }).first().click();
          // The report in its frame is loaded once it is in sight.
          if (name === "analysis") {
            await page.locator("iframe").scrollIntoViewIfNeeded();
            await page.frameLocator("iframe").getByRole("heading", { level: 1 }).waitFor();
            await page.evaluate("scrollTo(0, 0)");
          }
          await take(name);
        }
        await page.goto("/machines/guest/investigate?module=process");
        await page.getByLabel("names").fill("busybox");
        await page.getByRole("button", { name: "Ask" }).click();
        await page.getByRole("region", { name: "Answer" }).waitFor();
        await take("question");
        await page.goto("/recordings/boot");
        await page.getByLabel("Instructions executed").fill(String(Math.floor(recording.instructions * 0.995)));
        await page.getByRole("button", { name: "Go there" }).click();
        await page.getByRole("heading", { name: "At instruction" }).waitFor({ timeout: 300_000 });
        await take("recording");
      });
    await server.ask("analyst", `/api/v1/analyses/${ids[0]}/cancel`, { method: "POST" });
    await server.untilEnded(ids[0]);
  });
}

/** Makes a real analysis. @returns its number, and a process of it with what has led to its acts, and its memory */
async function analyse(
  server: TestServer,
): Promise<{ readonly id: number; readonly process: number; readonly core: string }> {
  const body = fileForm("invoice.sh", SAMPLE, { machine: "guest", timeout: "60" });
  const { ids } = await server.read<{ ids: [number] }>("analyst", "/api/v1/analyses", { method: "POST", body });
  const [id] = ids;
  const { state, reason } = await server.untilEnded(id);
  if (state !== "finished") throw new Error(`the analysis has not finished: ${reason}`);
  const { processes } = await server.read<{ processes: { id: number }[] }>("reader", `/api/v1/analyses/${id}/processes`); // prettier-ignore
  for (const process of processes) {
    const details = await server.read<{ stacks: { type: string }[]; memory: { file: string }[] }>("reader", `/api/v1/analyses/${id}/processes/${process.id}`); // prettier-ignore
    const core = details.memory[0]?.file;
    if (core !== undefined && details.stacks.some(({ type }) => type === "file.written")) return { id, process: process.id, core }; // prettier-ignore
  }
  throw new Error("no process of the analysis has memory, and what led to its acts");
}

async function untilRuns({ read }: TestServer, id: number): Promise<void> {
  for (;;) {
    const { phase } = await read<{ phase: string }>("reader", `/api/v1/analyses/${id}`);
    if (phase === "running") return;
    if (phase === "ended") throw new Error(`analysis ${id} has ended before it was looked at`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Waits until screen and console show something. */
async function untilLive(page: Page): Promise<void> {
  await page.locator("[data-live=screen]").getByText("Live.").waitFor();
  await page.getByText("Serial console", { exact: true }).click();
  await page.locator(".xterm-rows", { hasText: "step" }).waitFor();
  // The picture of the screen comes behind the connection.
  await page.waitForTimeout(2_000);
}
