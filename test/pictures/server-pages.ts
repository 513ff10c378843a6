import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { consoleMachine, yamlOf } from "../kit/lab/analyze-run";
import { signInByPage, withWalk } from "../kit/server/browser-walk";
import { type MadeAnalysis, VERDICT } from "../kit/server/made-analysis";
import { jsonOf, type TestServer, withServer } from "../kit/server/test-server";

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

/**
 * Takes a picture of every page of a server, in light and dark colours.
 *
 * @param folder for the pictures: NAME-SCHEME.png
 */
export async function takeServerPages(folder: string, onPicture: (name: string) => void): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const files = { "conf/machineries/rebox.yaml": yamlOf({ guest: consoleMachine() }) };
  await withServer({ files }, async (server) => {
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
      ...{ webhooks: "/webhooks", audit: "/audit" },
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
          await take(name);
        }
      });
    await server.ask("analyst", `/api/v1/analyses/${ids[0]}/cancel`, { method: "POST" });
    await server.untilEnded(ids[0]);
  });
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
