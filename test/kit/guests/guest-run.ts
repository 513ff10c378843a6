import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getMachineArgs, type GuestOptions } from "./guest-args";
import { type GuestReport, parseReport } from "./guest-report";
import { REBOX } from "../project";

/** AddressSanitizer's remarks on QEMU's coroutines, which are no reports. */
export const SANITIZER_REMARKS =
  /^(==\d+==WARNING: ASan (doesn't fully support makecontext|is ignoring requested)|False positive error reports may|For details see ).*\n/gm;

/** Scripts that use what is Node's, or a trigger that a test has made: the sandbox would need permissions for it. */
const NEEDS_NODE = /from "node:|require\(|\bprocess\.|import\(|addTrigger\(.*rebox-/;

/** Scripts that take compiled files of rebox by themselves: the command is to run out of the same, and not out of its bundle. */
const NEEDS_FILES = /\bcreateRequire\(/;

/** A guest under the sanitizer takes several times as long. */
export const SLOWNESS = process.env.REBOX_BUILD === "asan" ? 5 : 1;

/** The outcome of a `rebox run` on the guest kit. */
export interface GuestRun {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What scripts printed, in order. */
  readonly messages: readonly string[];
  /** The facts that the guest printed about itself: `rebox-guest: key=value`. */
  readonly truth: ReadonlyMap<string, string>;
  /** The text of the guest's console. */
  readonly console: string;
  /** What the guest wrote to QEMU's debug console, when it was asked to report. */
  readonly report: GuestReport;
  /** How the engine ended: QEMU's ShutdownCause. */
  readonly cause: string | undefined;
}

export interface GuestRunOptions extends GuestOptions {
  /** The script's TypeScript source; `serial` is the path of the file with the guest's console output. */
  readonly script?: (serial: string) => string;
  /** The script runs outside the sandbox; by default when it uses Node's modules. */
  readonly trust?: boolean;
  readonly reboxArgs?: readonly string[];
  /** The machine gets a debug console, and what the guest reports there is returned. */
  readonly reports?: boolean;
  /** Added to the environment of rebox. */
  readonly env?: NodeJS.ProcessEnv;
  /** The current folder of rebox; by default that of temporary files. */
  readonly cwd?: string;
  /** After which the test fails. */
  readonly timeoutMs?: number;
}

/** Reads the facts out of the guest's console output. */
export function readTruth(serial: string): Map<string, string> {
  return new Map([...serial.matchAll(/^rebox-guest: ([^=\s]+)=(.*?)\r?$/gm)].map(([, key, value]) => [key!, value!]));
}

/** Lines for a script: reads the guest's facts while it runs, and waits for one. */
export function scriptPrelude(serial: string): string {
  return `
    import { readFileSync } from "node:fs";
    const serialFile = ${JSON.stringify(serial)};
    function readTruth(): Map<string, string> {
      const text = readFileSync(serialFile, "latin1");
      return new Map([...text.matchAll(/^rebox-guest: ([^=\\s]+)=(.*?)\\r?$/gm)].map((m) => [m[1]!, m[2]!]));
    }
    async function untilTruth(key: string): Promise<Map<string, string>> {
      for (;;) {
        const truth = readTruth();
        if (truth.has(key)) return truth;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  `;
}

/** Runs a command of rebox in a process of its own; env is added to the environment, cwd is where it runs. */
export function runRebox(
  args: readonly string[],
  timeoutMs: number,
  onStart?: (pid: number) => void,
  env: NodeJS.ProcessEnv = {},
  cwd = tmpdir(),
): Promise<Pick<GuestRun, "status" | "signal" | "stdout" | "stderr">> {
  return new Promise((resolveRun, reject) => {
    const child = spawn(process.execPath, [REBOX, ...args], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("latin1").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`rebox ${args.join(" ")} did not end within ${timeoutMs} ms\n${stdout}\n${stderr}`));
    }, timeoutMs);
    child.on("error", reject);
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      resolveRun({ status, signal, stdout, stderr: stderr.replace(SANITIZER_REMARKS, "") });
    });
    onStart?.(child.pid!);
  });
}

/** Boots the guest kit under `rebox run`, with a script, and returns when the machine is gone. */
export async function runGuest(options: GuestRunOptions): Promise<GuestRun> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-test-"));
  try {
    const serial = join(folder, "serial.txt");
    const log = join(folder, "log.json");
    writeFileSync(serial, "");
    const args = ["run", "--json", log, ...(options.reboxArgs ?? [])];
    if (options.script) {
      const script = join(folder, "script.ts");
      writeFileSync(script, options.script(serial));
      args.push("--script", script);
      if (options.trust ?? NEEDS_NODE.test(options.script(serial))) args.push("--trust");
    }
    args.push("--", ...(await getMachineArgs(folder, options)));
    const report = join(folder, "report");
    if (options.reports) args.push("-debugcon", `file:${report}`);
    const run = await runRebox(
      args,
      (options.timeoutMs ?? 60_000) * SLOWNESS,
      undefined,
      { ...(NEEDS_FILES.test(options.script?.(serial) ?? "") ? { REBOX_BUNDLE: "no" } : {}), ...options.env },
      options.cwd,
    );
    const events = readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { type: string; text?: string; cause?: string });
    const console = readFileSync(serial, "latin1");
    return {
      ...run,
      console,
      messages: events.filter((event) => event.type === "message").map((event) => event.text ?? ""),
      truth: readTruth(console),
      report: parseReport(options.reports ? readFileSync(report) : Buffer.alloc(0)),
      cause: events.find((event) => event.type === "end")?.cause,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
