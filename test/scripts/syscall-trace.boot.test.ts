import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type GuestKit, listKits } from "../kit/guests/guest-kits";
import { type GuestRun, type GuestRunOptions, runGuest } from "../kit/guests/guest-run";

interface TraceRun extends GuestRun {
  /** What the shipped script wrote, line by line. */
  readonly lines: readonly string[];
  /** The guest's console. */
  readonly serial: string;
}

/** Runs a task with the shipped script in the sandbox, which writes all system calls from the first one on. */
async function trace(kit: GuestKit, options: Pick<GuestRunOptions, "task" | "parameters">): Promise<TraceRun> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-trace-"));
  try {
    const config = join(folder, "pyrebox.conf");
    const file = join(folder, "results", "trace.txt");
    mkdirSync(join(folder, "results"));
    const modules = `[MODULES]\nscripts.syscall_trace: True\n[PERMISSIONS]\nscripts.syscall_trace: fs:results\n`;
    writeFileSync(config, modules + (kit.profile === undefined ? "" : `[VOL]\nprofile: ${kit.profile}\n`));
    const run = await runGuest({
      ...options,
      kit,
      trust: true,
      timeoutMs: 180_000,
      reboxArgs: ["-c", config],
      script: (serial) => `
        import { copyFileSync } from "node:fs";
        import { runCommand } from "rebox";
        export async function initialize_callbacks(): Promise<void> {
          await runCommand(${JSON.stringify(`trace_syscalls_to ${file}`)});
        }
        export const clean = (): void => copyFileSync(${JSON.stringify(serial)}, ${JSON.stringify(`${file}.serial`)});
      `,
    });
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.stderr, "");
    return {
      ...run,
      lines: readFileSync(file, "latin1").split("\n"),
      serial: readFileSync(`${file}.serial`, "latin1"),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

for (const kit of listKits()) {
  test(`a program's calls on ${kit.release} are shown with the names, values and texts that it says itself`, async () => {
    const run = await trace(kit, { task: "calls", parameters: { times: 6 } });
    const said = [...run.serial.matchAll(/^rebox-act: \d+ call (\d+) ((\w+)\(.*\))\r?$/gm)];
    assert.ok(said.length >= 48, run.serial);
    const names = new Set(said.map(([, , , name]) => name!));
    // Its own output is written to descriptor 1.
    const own = run.lines
      .filter((line) => line.startsWith(`${run.truth.get("calls.pid")} calls `))
      .map((line) => line.slice(line.indexOf(" calls ") + 7))
      .filter((line) => names.has(line.slice(0, line.indexOf("("))) && !line.startsWith("write(fd=1,"));
    assert.deepEqual(
      own,
      said.map(([, , call]) => call!),
    );
  });
}
