import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import type { Duplex } from "node:stream";
import { AnalysisError } from "../../errors";
import { GuestConsole } from "./guest-console";
import { type ConsoleUser, GuestShell } from "./guest-shell";
import { makeTargetDisc, type TargetDisc } from "./target-disc";

/** A machine may boot that long until its shell answers, in milliseconds. */
const SHELL_LIMIT_MS = 300_000;

/** Everything that the execution of a target needs. */
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
 * Gives a Linux guest a target on a disc and types the script that executes it on the guest's console. Nothing is installed in
 * the guest: it needs a POSIX shell on the console, with the tools that busybox has.
 *
 * @returns why the target has ended; undefined when the machine went off before
 * @throws Error that says where the guest did not answer as expected
 */
export async function executeTarget(execution: Execution): Promise<string | undefined> {
  const { target, folder, signal } = execution;
  const disc = target === undefined ? undefined : await makeTargetDisc(target, folder, signal);
  let guestConsole: GuestConsole | undefined;
  try {
    guestConsole = new GuestConsole(await execution.openConsole(signal));
    const shell = await GuestShell.open(guestConsole, execution.user, SHELL_LIMIT_MS, signal);
    if (disc !== undefined) {
      await execution.insertDisc(disc.path, signal);
      await copyTarget(shell, guestConsole, disc, signal);
    }
    execution.onBegin();
    const script = writeRunScript(disc, execution.command, `rebox-${randomBytes(8).toString("hex")}`);
    const status = await shell.run(script, signal);
    if (status === undefined) return undefined;
    return `the ${execution.command === undefined ? "target" : "command"} ended with status ${status}`;
  } catch (error) {
    // The machine is gone, and that is why typing failed.
    if (guestConsole?.isOver && !signal.aborted) return undefined;
    throw error;
  } finally {
    guestConsole?.close();
    if (disc !== undefined) rmSync(disc.path, { force: true });
  }
}

async function copyTarget(
  shell: GuestShell,
  guestConsole: GuestConsole,
  disc: TargetDisc,
  signal: AbortSignal,
): Promise<void> {
  const status = await shell.run(writeCopyScript(disc), signal);
  if (status === 0) return;
  if (status === undefined) throw new AnalysisError("the machine went off before it had the target");
  const problem =
    status === NO_DISC
      ? "the guest does not see the disc with the target: it needs a driver for its CD drive (sr_mod) or for virtio_blk"
      : `the guest cannot copy the target from its disc to /tmp (status ${status})`;
  throw new AnalysisError(`${problem}; its console shows ${guestConsole.shown}`);
}

/** The exit status of the copying script when no drive has the disc. */
export const NO_DISC = 3;

/** The number of times that the guest looks for the disc, a quarter of a second apart. */
const LOOKS = 40;

/** Writes the script that copies the target from its disc into a folder of its own in the guest's /tmp. */
export function writeCopyScript({ folder, name }: TargetDisc): string {
  // A drive takes its time to be noticed; errors of drives that are not ours are of no interest.
  return `(
looks=0
found=
while [ -z "$found" ]; do
  for drive in /dev/sr[0-9]* /dev/vd[a-z] /dev/sd[a-z] /dev/xvd[a-z] /dev/hd[a-z] /dev/cdrom; do
    [ -b "$drive" ] || continue
    dd if="$drive" bs=2048 count=1 2>/dev/null | grep -q ${folder} && found=$drive && break
  done
  [ -n "$found" ] && break
  looks=$((looks + 1))
  [ $looks -gt ${LOOKS} ] && exit ${NO_DISC}
  sleep 0.25 2>/dev/null || sleep 1
done
cd /tmp && tar xf "$found" && chmod 755 ${folder}/${name}
)`;
}

/**
 * Writes the script that runs the command, and waits until all that it has started has ended, too: those processes are known by a
 * mark in their environment. The command runs in the folder of the target, whose path is $TARGET. Its input is empty, because the
 * console's input belongs to rebox.
 *
 * @param disc that the target was copied from; undefined when there is only a command
 * @param command for sh; undefined executes the target
 * @param mark a word for the environment that nobody else uses
 */
export function writeRunScript(disc: TargetDisc | undefined, command: string | undefined, mark: string): string {
  const place = disc === undefined ? "" : `cd /tmp/${disc.folder} && TARGET=$PWD/${disc.name} && export TARGET && `;
  const line = command ?? `exec ./${disc?.name ?? "true"}`;
  return `(
${place}REBOX_RUN=${mark} exec sh -c ${quote(line)} </dev/null
)
rebox_end=$?
while grep -qs ${mark} /proc/[0-9]*/environ; do sleep 1; done
(exit $rebox_end)`;
}

/** Makes text one word of a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
