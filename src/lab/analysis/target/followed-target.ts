import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { getProjectFolder } from "../../../config/folders";
import type { Moment } from "../../../config/moment";
import type { ScopeEvent } from "../../../guest/scope/scope-event";
import type { GuestHandle, GuestObservation } from "../../auxiliary/auxiliary-run";
import { AnalysisError, GuestGoneError, TargetRefusedError } from "../../errors";

/** The files that follow the target in the engine; see there. */
const FOLLOWERS = {
  linux: join(getProjectFolder(), "modules/analysis/follow-target.ts"),
  windows: join(getProjectFolder(), "modules/analysis/follow-windows-target.ts"),
};
/** The connection may end a little before the machine's other signs of its end do, in milliseconds. */
const LAST_WORDS_MS = 2_000;

type FollowerEvent =
  | ScopeEvent
  | { readonly what: "restarted" | "resumed" }
  /** Nothing can be followed after a restart. */
  | { readonly what: "lost"; readonly text: string };

/** How a target is followed. */
export interface FollowRequest {
  readonly platform: "linux" | "windows";
  /** "target" or "command", for the reason of the end. */
  readonly noun: string;
  /** The follower's options: how it knows the launcher or the target. */
  readonly options: LinuxTraits | WindowsTraits;
}

/** How the follower of a Linux guest knows the launcher. */
export interface LinuxTraits {
  /** The launcher's variable and its value, as its environment has them. */
  readonly mark: string;
  /** Whether what it has left is followed after a restart of the guest. */
  readonly follows_restart: boolean;
}

/** How the follower of a Windows guest knows the target: WindowsTargetTraits. */
export interface WindowsTraits {
  readonly file: string | undefined;
  readonly launcher: string;
}

/** The first instruction of a target. */
export interface TargetBeginning {
  readonly pid: number;
  readonly moment: Moment;
}

/** A target that is followed by the events of the guest's kernel, in a machine that can be looked into. */
export class FollowedTarget {
  readonly #began = new Outcome<TargetBeginning>();
  readonly #ended = new Outcome<string>();
  readonly #restarted = new Outcome<void>();
  /** The guest that was started again is followed. */
  readonly #resumed = new Outcome<void>();
  #hasBegun = false;
  #hasRestarted = false;
  /** How it has ended last: processes of the system may act for it then. */
  #end = "";

  private constructor(
    private readonly noun: string,
    private readonly addEvent: (type: string, facts: Readonly<Record<string, unknown>>) => void,
  ) {}

  /**
   * Begins to wait for the target's launcher in a guest.
   *
   * @throws AnalysisError when the guest's kernel cannot be followed, with the reason
   */
  static async begin(
    guest: GuestHandle,
    { platform, noun, options }: FollowRequest,
    addEvent: (type: string, facts: Readonly<Record<string, unknown>>) => void,
    signal: AbortSignal,
  ): Promise<FollowedTarget> {
    const followed = new FollowedTarget(noun, addEvent);
    const onEvent = (event: unknown, moment: Moment) => followed.#onEvent(event as FollowerEvent, moment);
    followed.#watchEnd(await guest.observe(FOLLOWERS[platform], options, onEvent, signal));
    return followed;
  }

  /**
   * Settles when the target is about to execute its first instruction.
   *
   * @throws TargetRefusedError when the kernel does not execute it; GuestGoneError when the machine goes before
   */
  get began(): Promise<TargetBeginning> {
    return this.#began.promise;
  }

  /** Settles with why the target has ended, when nothing of it lives. @throws GuestGoneError when the machine goes before */
  get ended(): Promise<string> {
    return this.#ended.promise;
  }

  /** Settles when the guest starts again. @throws GuestGoneError when the machine goes before */
  get restarted(): Promise<void> {
    return this.#restarted.promise;
  }

  /** Whether the guest has started again. */
  get hasRestarted(): boolean {
    return this.#hasRestarted;
  }

  /**
   * Settles when the guest has started again, and what the target has left in it is followed.
   *
   * @throws AnalysisError when that cannot be followed; GuestGoneError when the machine goes before
   */
  get resumed(): Promise<void> {
    return this.#resumed.promise;
  }

  #onEvent(event: FollowerEvent, moment: Moment): void {
    const { what: _what, ...facts } = event;
    if (event.what === "began") {
      this.#hasBegun = true;
      this.#began.resolve({ pid: event.pid, moment });
    } else if (event.what === "refused") {
      if (!this.#hasBegun) this.#fail(new TargetRefusedError(event.errno));
    } else if (event.what === "ended") {
      this.addEvent("target.ended", facts);
      const { status, signal } = event;
      this.#end = signal === undefined ? `status ${status}` : `signal ${signal}`;
    } else if (event.what === "settled") {
      this.#ended.resolve(`the ${this.noun} ended with ${this.#end}`);
    } else if (event.what === "restarted") {
      this.#hasRestarted = true;
      this.#restarted.resolve();
      this.addEvent("machine.restarted", {});
      if (this.#hasBegun) this.#ended.resolve("the guest restarted");
      else this.#fail(new AnalysisError("the guest restarted before the target ran"));
    } else if (event.what === "resumed") {
      this.#resumed.resolve();
    } else {
      if (event.what === "lost") this.#resumed.reject(new AnalysisError(event.text));
      this.addEvent(event.what === "adopted" ? "process.adopted" : "scope.problem", facts);
    }
  }

  #watchEnd(observation: GuestObservation): void {
    void observation.ended.then(async () => {
      await sleep(LAST_WORDS_MS, undefined, { ref: false });
      this.#fail(new GuestGoneError("the machine's engine has ended the connection"));
    });
  }

  #fail(error: Error): void {
    this.#began.reject(error);
    this.#ended.reject(error);
    this.#restarted.reject(error);
    this.#resumed.reject(error);
  }
}

/** A promise that is settled from outside; nobody need wait for it. */
class Outcome<Result> {
  readonly promise: Promise<Result>;
  resolve!: (result: Result) => void;
  reject!: (error: Error) => void;

  constructor() {
    this.promise = new Promise<Result>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => undefined);
  }
}
