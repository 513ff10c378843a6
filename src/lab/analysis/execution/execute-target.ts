import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import type { Duplex } from "node:stream";
import { GuestConsole } from "./guest-console";
import { NO_DISC, writeCopyScript, writeRunScript } from "./guest-script";
import { type ConsoleUser, GuestShell } from "./guest-shell";
import { makeTargetDisc, type TargetDisc } from "./target-disc";

/** A machine may boot that long until its shell answers, in milliseconds. */
const SHELL_LIMIT_MS = 300_000;

/** What a target is executed with. */
export interface Execution {
  /** Absolute path. */
  readonly target: string | undefined;
  readonly command: string | undefined;
  /** Of the analysis; the disc is made there, and removed again. */
  readonly folder: string;
  readonly user: ConsoleUser | undefined;
  readonly signal: AbortSignal;
  openConsole(signal: AbortSignal): Promise<Duplex>;
  insertDisc(path: string, signal: AbortSignal): Promise<void>;
  /** Is called when the target is about to run. */
  onBegin(): void;
}

/**
 * Gives a Linux guest a target on a disc and types on its console what executes it. Nothing is installed in the guest: it needs a
 * POSIX shell on the console, with the tools that busybox has.
 *
 * @returns why the target has ended; undefined when the machine went off meanwhile
 * @throws Error that says what the guest does not do
 */
export async function executeTarget(execution: Execution): Promise<string | undefined> {
  const { target, folder, signal } = execution;
  const disc = target === undefined ? undefined : await makeTargetDisc(target, folder, signal);
  let console: GuestConsole | undefined;
  try {
    console = new GuestConsole(await execution.openConsole(signal));
    const shell = await GuestShell.open(console, execution.user, SHELL_LIMIT_MS, signal);
    if (disc !== undefined) {
      await execution.insertDisc(disc.path, signal);
      await copyTarget(shell, console, disc, signal);
    }
    execution.onBegin();
    const script = writeRunScript(disc, execution.command, `rebox-${randomBytes(8).toString("hex")}`);
    const status = await shell.run(script, signal);
    if (status === undefined) return undefined;
    return `the ${execution.command === undefined ? "target" : "command"} ended with status ${status}`;
  } catch (error) {
    // Whatever was typed into a machine that is gone failed for that reason.
    if (console?.isOver && !signal.aborted) return undefined;
    throw error;
  } finally {
    console?.close();
    if (disc !== undefined) rmSync(disc.path, { force: true });
  }
}

async function copyTarget(
  shell: GuestShell,
  console: GuestConsole,
  disc: TargetDisc,
  signal: AbortSignal,
): Promise<void> {
  const status = await shell.run(writeCopyScript(disc), signal);
  if (status === 0) return;
  if (status === undefined) throw new Error("the machine went off before it had the target");
  const problem =
    status === NO_DISC
      ? "the guest does not see the disc with the target: it needs a driver for its CD drive (sr_mod) or for virtio_blk"
      : `the guest cannot copy the target from its disc to /tmp (status ${status})`;
  throw new Error(`${problem}; its console shows ${console.shown}`);
}
