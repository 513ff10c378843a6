import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import type { Duplex } from "node:stream";
import { quoteForShell } from "../machinery/drivers/qemu/memory-snapshot";
import { copyFromDisc } from "../ways/copy-into-guest";
import { GuestConsole } from "../ways/guest-console";
import { type ConsoleUser, GuestShell } from "../ways/guest-shell";
import { makeGuestDisc, type GuestDisc } from "../ways/guest-disc";

/** A machine may boot that long until its shell answers, in milliseconds. */
const SHELL_LIMIT_MS = 300_000;

/** Everything that giving a guest its target needs. */
export interface Delivery {
  /** Absolute path. */
  readonly target: string | undefined;
  readonly command: string | undefined;
  /** Of the analysis; the disc is made there, and removed again. */
  readonly folder: string;
  readonly user: ConsoleUser | undefined;
  /** The guest's clock is set to it, in milliseconds since 1970: a guest that was frozen does not know that time has passed. */
  getClockMs(): number;
  openConsole(signal: AbortSignal): Promise<Duplex>;
  insertDisc(path: string, signal: AbortSignal): Promise<void>;
}

/**
 * A target that a Linux guest has, and that only has to be executed. Nothing is installed in the guest: it needs a POSIX shell
 * on the console, with the tools that busybox has.
 */
export class GuestTarget {
  private constructor(
    private readonly delivery: Delivery,
    private readonly guestConsole: GuestConsole,
    private readonly shell: GuestShell | undefined,
    private readonly disc: GuestDisc | undefined,
  ) {}

  /**
   * Gives a guest a target on a disc, by what is typed on its console.
   *
   * @throws Error that says where the guest did not answer as expected
   */
  static async deliver(delivery: Delivery, signal: AbortSignal): Promise<GuestTarget> {
    const { target, folder } = delivery;
    const disc = target === undefined ? undefined : await makeGuestDisc(target, folder, signal);
    let guestConsole: GuestConsole | undefined;
    try {
      guestConsole = new GuestConsole(await delivery.openConsole(signal));
      const shell = await GuestShell.open(guestConsole, delivery.user, SHELL_LIMIT_MS, signal);
      await shell.run(`date -u -s @${Math.floor(delivery.getClockMs() / 1000)} >/dev/null 2>&1`, signal);
      if (disc !== undefined) {
        await delivery.insertDisc(disc.path, signal);
        await copyFromDisc(shell, disc, signal);
      }
      return new GuestTarget(delivery, guestConsole, shell, disc);
    } catch (error) {
      // The machine is gone, and that is why typing failed.
      if (guestConsole?.isOver && !signal.aborted) return new GuestTarget(delivery, guestConsole, undefined, disc);
      guestConsole?.close();
      throw error;
    } finally {
      if (disc !== undefined) rmSync(disc.path, { force: true });
    }
  }

  /** The machine went off before the guest had the target. */
  get isLost(): boolean {
    return this.shell === undefined;
  }

  /**
   * Executes it, and waits until all that it has started has ended.
   *
   * @returns why it has ended; undefined when the machine went off before
   */
  async execute(signal: AbortSignal): Promise<string | undefined> {
    const { shell, disc, guestConsole } = this;
    const { command } = this.delivery;
    if (shell === undefined) return undefined;
    try {
      const script = writeRunScript(disc, command, `rebox-${randomBytes(8).toString("hex")}`);
      const status = await shell.run(script, signal);
      if (status === undefined) return undefined;
      return `the ${command === undefined ? "target" : "command"} ended with status ${status}`;
    } catch (error) {
      if (guestConsole.isOver && !signal.aborted) return undefined;
      throw error;
    }
  }

  /** Gives the console back. */
  close(): void {
    this.guestConsole.close();
  }
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
export function writeRunScript(disc: GuestDisc | undefined, command: string | undefined, mark: string): string {
  const place = disc === undefined ? "" : `cd /tmp/${disc.folder} && TARGET=$PWD/${disc.name} && export TARGET && `;
  const line = command ?? `exec ./${disc?.name ?? "true"}`;
  return `(
${place}REBOX_RUN=${mark} exec sh -c ${quoteForShell(line)} </dev/null
)
rebox_end=$?
while grep -qs ${mark} /proc/[0-9]*/environ; do sleep 1; done
(exit $rebox_end)`;
}
