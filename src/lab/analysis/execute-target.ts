import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { quoteForShell } from "../machinery/drivers/qemu/memory-snapshot";
import type { GuestWay } from "../ways/guest-way";
import { type GuestDisc, makeGuestDisc } from "../ways/guest-disc";

/** Everything that giving a guest its target needs. */
export interface Delivery {
  /** Absolute path. */
  readonly target: string | undefined;
  readonly command: string | undefined;
  /** Of the analysis; the target is packed there. */
  readonly folder: string;
  /** The guest's clock is set to it, in milliseconds since 1970: a guest that was frozen does not know that time has passed. */
  getClockMs(): number;
  /** Waits until a way into the guest is open. */
  openWay(signal: AbortSignal): Promise<GuestWay>;
}

/** A target that a Linux guest has, and that only has to be executed. */
export class GuestTarget {
  private constructor(
    private readonly command: string | undefined,
    private readonly way: GuestWay,
    private readonly disc: GuestDisc | undefined,
  ) {}

  /**
   * Gives a guest a target.
   *
   * @throws GuestGoneError when the machine went off before; AnalysisError that says where the guest did not answer as expected
   */
  static async deliver(delivery: Delivery, signal: AbortSignal): Promise<GuestTarget> {
    const { target, folder, command } = delivery;
    const making = target === undefined ? undefined : makeGuestDisc(target, folder, signal);
    // Its failure is told below, behind that of the way.
    making?.catch(() => undefined);
    let way: GuestWay | undefined;
    let disc: GuestDisc | undefined;
    try {
      way = await delivery.openWay(signal);
      disc = await making;
      await way.setClock(delivery.getClockMs(), signal);
      if (disc !== undefined) await way.receive(disc, signal);
      return new GuestTarget(command, way, disc);
    } catch (error) {
      way?.close();
      throw error;
    } finally {
      disc ??= await making?.catch(() => undefined);
      if (disc !== undefined) rmSync(disc.path, { force: true });
    }
  }

  /** The way in that the target came by. */
  get wayIn(): string {
    return this.way.name;
  }

  /**
   * Executes it, and waits until all that it has started has ended.
   *
   * @returns why it has ended
   * @throws GuestGoneError when the machine, or the way into it, went off before
   */
  async execute(signal: AbortSignal): Promise<string> {
    const { command, disc, way } = this;
    const script = writeRunScript(disc, command, `rebox-${randomBytes(8).toString("hex")}`);
    const { status } = await way.runScript(way.name === "console" ? script : writeToConsole(script), signal);
    return `the ${command === undefined ? "target" : "command"} ended with status ${status}`;
  }

  /** Gives the way in back. */
  close(): void {
    this.way.close();
  }
}

/** Lets a script write on the system's console, as what is typed there does; no program that stays can keep its output open. */
function writeToConsole(script: string): string {
  return `if (: > /dev/console) 2>/dev/null; then exec > /dev/console; else exec > /dev/null; fi; exec 2>&1\n${script}`;
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
