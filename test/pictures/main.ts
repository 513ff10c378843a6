import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { analyze, consoleMachine, makeSnapshot, yamlOf } from "../kit/lab/analyze-run";
import { NEEDS_BROWSER, withPage } from "../kit/lab/browser";
import { withTestLab } from "../kit/lab/lab-run";
import { UiRun } from "../kit/terminal/ui-run";
import { ECHO_NETWORK, takeServerPages } from "./server-pages";
import { makeTerminalPage } from "./terminal-page";
import { PROJECT } from "../kit/project";

const PICTURES = join(PROJECT, "docs/pictures");
const COLUMNS = 126;
const ROWS = 46;
const DROPPER = `#!/bin/sh
mkdir /tmp/.cache
echo "host $(hostname)" > /tmp/.cache/config.new
mv /tmp/.cache/config.new /tmp/.cache/config
echo checkin | nc 10.0.2.100 80 | head -n 1 > /tmp/.cache/orders
cp /bin/sleep /tmp/.cache/kworker
/tmp/.cache/kworker 2 &
rm /tmp/.cache/orders
wait
`;
const REPORT_WIDTH_PX = 1100;
const REPORT_HEIGHT_PX = 840;

/** Shows a guest in the terminal UI, stopped where a process opens a file, with what its shell answers. */
async function takeTerminal(folder: string): Promise<void> {
  const reboxArgs = ["--ui", "--script", join(PROJECT, "scripts/process_tree.ts")];
  await UiRun.with({ columns: COLUMNS, rows: ROWS, term: "screen-256color", reboxArgs }, async (run) => {
    const { terminal } = run;
    await run.untilGuestPrompt();
    await terminal.until("a process", (screen) => /running \| vCPU 0 \| sh:/.test(screen));
    await terminal.enter("bp kernel!do_sys_openat2 once");
    await terminal.until("the breakpoint", (screen) => /breakpoint \d+ at 0x/.test(screen));
    run.client.sendToConsole("cat /proc/version\r");
    await run.untilState("paused");
    for (const line of ["strings rsi:d", "bt"]) {
      await terminal.enter(line);
      await terminal.until(`the answer to ${line}`, (screen) => screen.includes(`rebox> ${line}`) && isQuiet(screen));
    }
    const page = join(folder, "terminal.html");
    writeFileSync(page, makeTerminalPage(await terminal.styled(), COLUMNS, "rebox run --ui"));
    await takePicture(page, "terminal-ui.png");
  });
}

/** Tells whether all panes show the paused guest, and the shell waits for a line. */
function isQuiet(screen: string): boolean {
  return screen.includes("=>") && !/sampled|waits for/.test(screen) && /\nrebox> *$/.test(screen.trimEnd());
}

/** Analyses a small dropper and shows the upper part of the report. */
async function takeReport(): Promise<void> {
  const files = {
    "conf/machineries/rebox.yaml": yamlOf({ office: consoleMachine([ECHO_NETWORK, "snapshot_path: office.snapshot"]) }),
    "conf/auxiliary.conf": ["processes", "netcapture", "syscalls"].map((name) => `[${name}]\nenabled = yes\n`).join(""),
    "invoice.sh": DROPPER,
  };
  await withTestLab(files, async (lab) => {
    await makeSnapshot(lab, "office", "office.snapshot");
    const { status, stderr } = await analyze(lab, "--machine", "office", "--target", lab.path("invoice.sh"));
    if (status !== 0) throw new Error(stderr);
    await takePicture(lab.path("analyses/1/report.html"), "report.png", REPORT_WIDTH_PX, REPORT_HEIGHT_PX);
  });
}

async function takePicture(file: string, name: string, width?: number, height?: number): Promise<void> {
  await withPage(file, async (page) => writeFileSync(join(PICTURES, name), await page.takePicture(width, height)));
  console.log(`docs/pictures/${name}`);
}

async function main(): Promise<void> {
  if (NEEDS_BROWSER !== false) throw new Error(`${NEEDS_BROWSER}: npm run setup -- --for test installs it`);
  const folder = mkdtempSync(join(tmpdir(), "rebox-pictures-"));
  mkdirSync(PICTURES, { recursive: true });
  try {
    await takeTerminal(folder);
    await takeReport();
    await takeServerPages(join(PICTURES, "server"), (name) => console.log(`docs/pictures/server/${name}`));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

void main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
