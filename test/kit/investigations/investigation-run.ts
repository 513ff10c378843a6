import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { InvestigationResult } from "../../../src/investigation/result";
import type { GuestKit } from "../guests/guest-kits";
import { type GuestReport, parseReport } from "../guests/guest-report";
import { type ShellRun, withShell } from "../terminal/shell-run";
import { REBOX } from "../project";

/** A guest that is investigated, and what it says of itself. */
export interface InvestigatedGuest extends ShellRun {
  readonly report: GuestReport;
  /** For files of the test. */
  readonly folder: string;
}

/** What a call of rebox has left behind. */
export interface InvestigateRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What standard output holds, when it is one line of JSON. */
  result(): InvestigationResult;
}

/** Boots the guest's task "investigation", and waits until it has reported. */
export async function withInvestigatedGuest(
  options: { readonly kit?: GuestKit; readonly reboxArgs?: readonly string[] },
  use: (guest: InvestigatedGuest) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-investigated-"));
  const file = join(folder, "report");
  const { kit, reboxArgs = [] } = options;
  try {
    await withShell(
      {
        ...{ task: "investigation", parameters: { starts: 1 }, qemuArgs: ["-debugcon", `file:${file}`], reboxArgs },
        ...(kit === undefined ? {} : { kit }),
      },
      async (run) => {
        await run.truth("investigation.reported");
        await use({ ...run, folder, report: parseReport(readFileSync(file)) });
      },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Runs rebox investigate.
 *
 * @param input lines of standard input; with a pause, the input stays open until the end
 */
export function investigate(
  args: readonly string[],
  input: readonly string[] = [],
  {
    onStart,
    env = {},
    cwd = tmpdir(),
  }: { onStart?: (pid: number) => void; env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<InvestigateRun> {
  return new Promise((resolveRun, reject) => {
    const child = spawn(process.execPath, [REBOX, "investigate", ...args], { cwd, env: { ...process.env, ...env } });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.stdin.on("error", () => undefined);
    child.on("error", reject);
    child.on("close", (status) =>
      resolveRun({ status, stdout, stderr, result: () => JSON.parse(stdout) as InvestigationResult }),
    );
    child.stdin.write(input.map((line) => `${line}\n`).join(""));
    child.stdin.end();
    onStart?.(child.pid!);
  });
}

/** Waits until there is a file. */
export async function untilFile(path: string): Promise<void> {
  while (!existsSync(path)) await sleep(20);
}

/** Reads what `ip address show` printed: the addresses of all interfaces, with their prefixes. */
export function readAddresses(text: string): string[] {
  return [...text.matchAll(/^ +inet6? (\S+\/\d+)/gm)].map(([, address]) => address!);
}
