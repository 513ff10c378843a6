import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import type { GuestWay, ScriptResult } from "../../ways/guest-way";
import { type GuestDisc, makeGuestDisc } from "../../ways/guest-disc";
import { AnalysisError, TargetRefusedError } from "../../errors";
import type { FollowedTarget, TargetBeginning } from "./followed-target";
import { rebootGuest } from "./reboot-guest";
import { getRefusalFile, RUN_MARK, writeLaunchScript, writeRunScript } from "../run-script";
import type { StartRequest } from "./start-request";
import { explainRefusal, readTargetFormat, type TargetFormat } from "./target-format";

/** Between the end of what launches the target and the word that it has begun, in milliseconds. */
const WORD_LIMIT_MS = 10_000;
/** Statuses by which a shell says that it could not execute something (POSIX, 2.8.2); a program may have them too. */
const REFUSALS = [126, 127];
const NO_FORMAT: TargetFormat = { starter: [], variables: {}, description: undefined, interpreter: undefined };

/** Everything that giving a guest its target needs. */
export interface Delivery {
  /** Absolute path. */
  readonly target: string | undefined;
  readonly command: string | undefined;
  readonly start?: StartRequest;
  /** Of the analysis; the target is packed there. */
  readonly folder: string;
  /** The disc that the machine has from its start; its owner keeps it. */
  readonly disc?: GuestDisc | undefined;
  /** The guest's clock is set to it, in milliseconds since 1970: a guest that was frozen does not know that time has passed. */
  getClockMs(): number;
  /** Waits until a way into the guest is open. */
  openWay(signal: AbortSignal): Promise<GuestWay>;
  /** Commands for sh that look at the guest, for connect(). */
  readonly look: string | undefined;
  /**
   * Has the guest be connected to its network.
   *
   * @param seen the look's exit status
   */
  connect(way: GuestWay, signal: AbortSignal, seen: number | undefined): Promise<void>;
  /**
   * Begins to follow the target from outside; undefined when that cannot be done, and the guest has to be asked for its end.
   *
   * @param mark of the launcher
   */
  follow(mark: string, signal: AbortSignal): Promise<FollowedTarget | undefined>;
  /** Resets the machine, once its system has written what it has for its disks, if it does that. */
  reset(signal: AbortSignal): Promise<void>;
}

/** Sets the guest's clock, gives it the disc with the target, and has it be connected to its network. */
async function prepareGuest(
  delivery: Delivery,
  way: GuestWay,
  disc: GuestDisc | undefined,
  signal: AbortSignal,
): Promise<void> {
  const seen = await way.prepare({ getTimeMs: () => delivery.getClockMs(), look: delivery.look, disc }, signal);
  await delivery.connect(way, signal, seen);
}

/** A target that a Linux guest has, and that only has to be executed. */
export class GuestTarget {
  readonly #mark: string;
  readonly #format: TargetFormat;
  #script: Promise<ScriptResult> | undefined;
  /** Ends the wait for the script. */
  #stop = (): void => {};

  private constructor(
    private readonly delivery: Delivery,
    private readonly way: GuestWay,
    private readonly disc: GuestDisc | undefined,
    mark: string,
    private readonly followed: FollowedTarget | undefined,
  ) {
    this.#mark = mark;
    this.#format = delivery.target === undefined ? NO_FORMAT : readTargetFormat(delivery.target);
  }

  /**
   * Gives a guest a target.
   *
   * @throws GuestGoneError when the machine went off before; AnalysisError that says where the guest did not answer as expected
   */
  static async deliver(delivery: Delivery, signal: AbortSignal): Promise<GuestTarget> {
    const { target, folder } = delivery;
    const isKept = delivery.disc !== undefined;
    const making = isKept
      ? Promise.resolve(delivery.disc)
      : target === undefined
        ? undefined
        : makeGuestDisc(target, folder, signal);
    // Its failure is told below, behind that of the way.
    making?.catch(() => undefined);
    let way: GuestWay | undefined;
    let disc: GuestDisc | undefined;
    try {
      way = await delivery.openWay(signal);
      disc = await making;
      const mark = `rebox-${randomBytes(8).toString("hex")}`;
      // The guest's kernel is found from outside while the guest takes the target.
      const [followed] = await Promise.all([
        delivery.follow(`${RUN_MARK}=${mark}`, signal),
        prepareGuest(delivery, way, disc, signal),
      ]);
      return new GuestTarget(delivery, way, disc, mark, followed);
    } catch (error) {
      way?.close();
      throw error;
    } finally {
      disc ??= await making?.catch(() => undefined);
      if (disc !== undefined && !isKept) rmSync(disc.path, { force: true });
    }
  }

  /** The way in that the target came by. */
  get wayIn(): string {
    return this.way.name;
  }

  /**
   * Executes it. Resolves when it is about to execute its first instruction; in a guest that cannot be looked into as soon as it was
   * asked for.
   *
   * @returns its number in the guest with the moment, where those are known
   * @throws TargetRefusedError when the guest cannot execute it; GuestGoneError when the machine, or the way into it, went off before
   */
  async begin(signal: AbortSignal): Promise<TargetBeginning | undefined> {
    const { disc, way, followed } = this;
    const { command } = this.delivery;
    const { starter, variables } = this.#format;
    const parts = { disc, command, starter, variables, start: this.delivery.start ?? {}, mark: this.#mark };
    const script = followed === undefined ? writeRunScript(parts) : writeLaunchScript(parts);
    const untilEnd = new AbortController();
    this.#stop = () => untilEnd.abort();
    this.#script = way.runScript(way.name === "console" ? script : writeToConsole(script), untilEnd.signal);
    this.#script.catch(() => undefined);
    if (followed === undefined) return undefined;
    signal.addEventListener("abort", this.#stop, { once: true });
    try {
      return await Promise.race([followed.began, this.#missBeginning(followed)]);
    } catch (error) {
      if (!(error instanceof TargetRefusedError)) throw error;
      throw this.#explain(error.errno);
    } finally {
      signal.removeEventListener("abort", this.#stop);
    }
  }

  /**
   * Waits until all that it has started has ended.
   *
   * @returns why it has ended
   * @throws GuestGoneError when the machine, or the way into it, went off before
   */
  async untilEnd(signal: AbortSignal): Promise<string> {
    const script = this.#script;
    if (script === undefined) throw new AnalysisError("the target has not been executed");
    signal.addEventListener("abort", this.#stop, { once: true });
    try {
      if (this.followed !== undefined) {
        // The end of the script says nothing: processes may be left. Its failure does: the machine has gone.
        const failure = script.then(() => new Promise<never>(() => {}));
        return await Promise.race([this.followed.ended, failure]);
      }
      const { status } = await script;
      const { command } = this.delivery;
      if (command === undefined && REFUSALS.includes(status) && (await this.#wasRefused(signal))) {
        throw this.#explain(undefined, (await script).output);
      }
      return `the ${command === undefined ? "target" : "command"} ended with status ${status}`;
    } finally {
      signal.removeEventListener("abort", this.#stop);
    }
  }

  /**
   * Has the guest start again. Resolves when its system is up.
   *
   * @throws AnalysisError when it cannot be followed then; GuestGoneError when the machine went off
   */
  async reboot(signal: AbortSignal): Promise<void> {
    if (this.followed === undefined)
      throw new AnalysisError("the guest cannot be started again: only a machine that can be looked into is followed then"); // prettier-ignore
    await rebootGuest(this.delivery, this.way, this.followed, signal);
  }

  /** Gives the way in back. */
  close(): void {
    this.#stop();
    this.way.close();
  }

  /** Fails when what launches the target has ended without doing so, or has gone with the machine. */
  async #missBeginning(followed: FollowedTarget): Promise<never> {
    let failure: Error;
    try {
      const { status, output } = await this.#script!;
      const shown = output.trim().slice(-300);
      failure = new AnalysisError(
        `the guest's shell ended with status ${status} before the target ran${shown === "" ? "" : `: ${shown}`}`,
      );
    } catch (error) {
      failure = error as Error;
    }
    // The word that it has begun comes by another way, and may be later than that of its end.
    const late = new Promise((resolve) => setTimeout(resolve, WORD_LIMIT_MS).unref());
    await Promise.race([followed.began, late]);
    throw failure;
  }

  async #wasRefused(signal: AbortSignal): Promise<boolean> {
    return (await this.way.runScript(`[ -e ${getRefusalFile(this.#mark)} ]`, signal)).status === 0;
  }

  /** @param output of what should have executed it, where it was not seen how the kernel answered */
  #explain(errno: number | undefined, output = ""): TargetRefusedError {
    const said = output.trim().slice(-300);
    const reason = errno === undefined && said !== "" ? said : explainRefusal(errno, this.#format);
    return new TargetRefusedError(errno, `the guest cannot execute the target: ${reason}`);
  }
}

/** Lets a script write on the system's console, as what is typed there does; no program that stays can keep its output open. */
function writeToConsole(script: string): string {
  return `if (: > /dev/console) 2>/dev/null; then exec > /dev/console; else exec > /dev/null; fi; exec 2>&1\n${script}`;
}
