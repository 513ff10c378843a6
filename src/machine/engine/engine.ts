import { EngineStartError, EngineUsageError, QmpError } from "../errors";
import { Listeners, type Subscription } from "./listeners";
import { getFirmwareArguments, loadAddon } from "./load-addon";
import { type NativeAddon, RecordingMode, SliceResult, StartResult } from "./native";
import { checkQemuArguments } from "./qemu-arguments";
import { QmpChannel } from "./qmp-channel";
import { checkMayExecute } from "./recorded";

/**
 * "created": built, no instruction executed; "running" and "paused": as QEMU says; "shutdown": over in good order;
 * "crashed": over because QEMU failed.
 */
export type EngineState = "created" | "running" | "paused" | "shutdown" | "crashed";

/** How the engine ended. */
export interface EngineEnd {
  readonly reason: "shutdown" | "crashed";
  /** QEMU's ShutdownCause: "guest-shutdown", "guest-reset", "guest-panic", "host-qmp-quit", "host-signal" ... */
  readonly cause: string;
  /** The failure, when it crashed. */
  readonly message?: string;
}

/** A callback that threw, or that was cut off and removed because it did not return. */
export interface CallbackFailure {
  readonly callback: string;
  readonly script: string;
  readonly error: Error;
  /** How often this callback has failed, this time included. */
  readonly count: number;
  readonly removed: boolean;
}

/** The events of an engine, by name, with what a listener is told. */
export interface EngineEvents {
  /** state is QEMU's RunState. */
  running: { readonly state: string };
  /** state is QEMU's RunState: "paused", "io-error", "save-vm", "guest-panicked" ... */
  paused: { readonly state: string };
  /** The machine was reset. Firmware may reset it once more by itself. */
  reset: Record<string, never>;
  shutdown: EngineEnd;
  crashed: EngineEnd;
  callbackError: CallbackFailure;
  /** A trigger has printed something; kind is one of "text", "debug", "warning" and "error". */
  triggerOutput: { readonly kind: TriggerOutputKind; readonly text: string };
}

/** The kinds of output of triggers, in the order of rebox_print_kind in triggers/rebox_trigger.h. */
export const TRIGGER_OUTPUT_KINDS = ["text", "debug", "warning", "error"] as const;

/** A trigger's output: text for people, or a remark. */
export type TriggerOutputKind = (typeof TRIGGER_OUTPUT_KINDS)[number];

const RECORDING_MODES = {
  [RecordingMode.None]: undefined,
  [RecordingMode.Recording]: "recording",
  [RecordingMode.Replaying]: "replaying",
} as const;

const DEFAULT_CALLBACK_LIMIT_MS = 5000;
const END_NOW_TIMEOUT_MS = 3000;

/** The virtual machine of this process: QEMU, executed by Node's event loop. At most one for each process. */
export class Engine {
  static #current: Engine | undefined;

  /** Settles once, after QEMU has cleaned up. */
  readonly ended: Promise<EngineEnd>;

  readonly #native: NativeAddon;
  readonly #qmp: QmpChannel;
  readonly #listeners = new Listeners<EngineEvents>();
  #settleEnded!: (end: EngineEnd) => void;
  #state: EngineState = "created";
  #callbackLimitMs = DEFAULT_CALLBACK_LIMIT_MS;
  #sliceScheduled = false;
  #runs = false;
  readonly #begun: Promise<void>;
  #settleBegun: () => void = () => undefined;
  #startsPaused = false;
  /** A machine that shuts down stays there, paused. */
  #staysAtEnd = false;
  #pauseCount = 0;
  #pausing = 0;
  readonly #onProcessExit = () => this.#native.endNow(END_NOW_TIMEOUT_MS);

  protected constructor(native: NativeAddon) {
    this.#native = native;
    this.#qmp = new QmpChannel(native);
    this.ended = new Promise((resolve) => {
      this.#settleEnded = resolve;
    });
    this.#begun = new Promise((resolve) => {
      this.#settleBegun = resolve;
    });
  }

  /**
   * Builds the machine. No guest instruction is executed before run().
   *
   * @param argv QEMU's arguments, without the program's name
   * @throws EngineUsageError for arguments that cannot work inside Node, and for a second engine
   * @throws EngineStartError when QEMU refuses the arguments, or ends after printing help
   */
  static create(argv: readonly string[]): Engine {
    if (Engine.#current) {
      throw new EngineUsageError(
        "this process has its engine already, and QEMU can be started only once in a process: " +
          "start the second machine in a process of its own",
      );
    }
    checkQemuArguments(argv);
    const native = loadAddon();
    const engine = new this(native);
    Engine.#current = engine;
    // With -no-shutdown QEMU's events end it only later, or never: its state has always been "running" there.
    engine.#staysAtEnd = argv.some((argument, at) => argument === "-action" && argv[at + 1] === "shutdown=pause");
    engine.#startsPaused = argv.some((argument) => argument === "-S" || argument === "--S");
    // Held until run(), so that scripts are there before the first instruction and no guest time passes meanwhile.
    const { result, exitStatus, message } = native.start(["rebox", ...argv, ...getFirmwareArguments(), "-S"], {
      wake: () => engine.#schedule(),
      runState: (running, state) => engine.#onRunState(running, state),
      reset: () => engine.#listeners.emit("reset", {}),
      ended: (crashed, cause, text) => engine.#onEnded(crashed, cause, text),
    });
    if (result === StartResult.Exited) {
      engine.#state = "crashed";
      throw new EngineStartError(message.trim() || `QEMU ended with status ${exitStatus}`, exitStatus);
    }
    native.setCallbackLimitMs(engine.#callbackLimitMs);
    process.on("exit", engine.#onProcessExit);
    return engine;
  }

  /** Finds the engine of this process. */
  static find(): Engine | undefined {
    return Engine.#current;
  }

  /**
   * Gets the engine of this process.
   *
   * @throws EngineUsageError when none was created
   */
  static get(): Engine {
    if (!Engine.#current) {
      throw new EngineUsageError("there is no machine yet: start one with `rebox run` or Engine.create()");
    }
    return Engine.#current;
  }

  get state(): EngineState {
    return this.#state;
  }

  /** The addon, for the layers directly above this one. */
  get native(): NativeAddon {
    return this.#native;
  }

  /** Whether the guest is recorded or replayed; undefined: neither. Then nothing but its recorded devices may change it. */
  get recording(): "recording" | "replaying" | undefined {
    return RECORDING_MODES[this.#native.recordingMode()];
  }

  /**
   * Whether a replay executes once more what leads to a place, or gdb has it go over what it went back over: nobody is told of it but
   * those who take part in that (CallbackManager.hearTravel()).
   */
  get travels(): boolean {
    return this.#native.isTravelling();
  }

  set travels(on: boolean) {
    this.#native.setTravels(on);
  }

  /** The longest that one callback may take, in milliseconds, before it is cut off and removed; 0 is without limit. */
  get callbackLimitMs(): number {
    return this.#callbackLimitMs;
  }

  set callbackLimitMs(limitMs: number) {
    if (!Number.isInteger(limitMs) || limitMs < 0 || limitMs > 0xffffffff) {
      throw new RangeError(`callbackLimitMs is ${limitMs}: whole milliseconds, 0 for no limit`);
    }
    this.#callbackLimitMs = limitMs;
    this.#native.setCallbackLimitMs(limitMs);
  }

  /** Calls listener at each event of this name. */
  on<Name extends keyof EngineEvents>(name: Name, listener: (detail: EngineEvents[Name]) => void): Subscription {
    return this.#listeners.add(name, listener);
  }

  /** Raises an event on behalf of a layer above. */
  emit<Name extends keyof EngineEvents>(name: Name, detail: EngineEvents[Name]): void {
    this.#listeners.emit(name, detail);
  }

  /** Lets the guest go, unless QEMU's -S asks for a paused one, or a monitor has stopped it already. Returns at once; the event loop executes it. */
  run(): void {
    if (this.#runs) {
      return;
    }
    this.#runs = true;
    this.#settleBegun();
    if (this.#startsPaused || this.#native.staysStopped()) {
      this.#onRunState(false, "prelaunch");
      // gdb or a monitor may continue it: a kick wakes the event loop only where a slice has gone to sleep before.
      this.#schedule();
      return;
    }
    this.resume().catch(() => {
      // It ended before it answered: `ended` tells.
    });
  }

  /** Whether run() was called: all is there that is to see the first instruction. */
  get hasBegun(): boolean {
    return this.#runs;
  }

  /** How often pause() was called: whoever pauses the guest for a moment sees that another one wants it to stay so. */
  get pauseCount(): number {
    return this.#pauseCount;
  }

  /** Whether a pause() has been asked for that has not happened yet. */
  get isPausing(): boolean {
    return this.#pausing > 0;
  }

  /** Pauses the guest. Resolves when all vCPUs stand still. One that has not run yet stays as it is when it is let go. */
  async pause(): Promise<void> {
    this.#pauseCount++;
    this.#pausing++;
    // run() may be called before QEMU has heard of it, and would then continue what has just been stopped.
    if (!this.#runs) this.#startsPaused = true;
    try {
      await this.qmp("stop");
    } finally {
      this.#pausing--;
    }
  }

  /** Pauses a guest that has not run yet where it is, and waits until all is there that is to see its first instruction. */
  async pauseAtBeginning(): Promise<void> {
    if (this.#runs) return;
    await this.pause();
    await Promise.race([this.#begun, this.ended]);
  }

  /**
   * Resumes a paused guest. Everybody is told of what it does from there on, also where gdb had a replay go back: only a way in silence
   * (travels) stays one.
   */
  async resume(): Promise<void> {
    if (!this.#runs) this.#startsPaused = false;
    this.#native.endRepetition();
    await this.qmp("cont");
  }

  /** Resets the machine, as its reset button would. */
  async reset(): Promise<void> {
    await this.qmp("system_reset");
  }

  /** Ends the machine without asking the guest. Resolves when QEMU has cleaned up. */
  async quit(): Promise<void> {
    this.#native.quit();
    // The vCPUs have to be stopped by this thread.
    this.#schedule();
    await this.ended;
  }

  /** Ends the machine, when it has not ended: `await using engine = Engine.create(...)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === "shutdown" || this.#state === "crashed") return;
    await this.quit();
  }

  /**
   * Executes a QMP command; see QmpChannel.execute().
   *
   * @throws RecordedError when it might change a guest that is recorded or replayed
   */
  async qmp(command: string, args?: object): Promise<unknown> {
    checkMayExecute(this.#native, command, args);
    const answer = this.#qmp.execute(command, args);
    // A command may have to stop the vCPUs, which takes this thread.
    this.#schedule();
    return answer;
  }

  /**
   * Executes a command of QEMU's human monitor.
   *
   * @returns what it printed
   * @throws QmpError when it printed an error
   */
  async hmp(line: string): Promise<string> {
    const output = (await this.qmp("human-monitor-command", { "command-line": line })) as string;
    const error = /^Error: (.*)/m.exec(output)?.[1];
    if (error !== undefined) {
      throw new QmpError(line, "GenericError", error.trim());
    }
    return output;
  }

  #schedule(): void {
    // Exactly one chain of slices: a second one would starve the timers.
    if (!this.#sliceScheduled && this.#state !== "shutdown" && this.#state !== "crashed") {
      this.#sliceScheduled = true;
      setImmediate(this.#slice);
    }
  }

  readonly #slice = (): void => {
    this.#sliceScheduled = false;
    if (this.#native.slice() === SliceResult.Interrupted) {
      this.#schedule();
    }
  };

  #onRunState(running: boolean, state: string): void {
    if (this.#state === "shutdown" || this.#state === "crashed" || (state === "shutdown" && !this.#staysAtEnd)) {
      return;
    }
    const next = running ? "running" : "paused";
    if (next !== this.#state) {
      this.#state = next;
      this.#listeners.emit(next, { state });
    }
  }

  #onEnded(crashed: boolean, cause: string, message: string): void {
    const reason = crashed ? "crashed" : "shutdown";
    const end: EngineEnd = { reason, cause, ...(crashed ? { message } : {}) };
    this.#state = reason;
    process.off("exit", this.#onProcessExit);
    this.#qmp.close();
    this.#native.release();
    this.#listeners.emit(reason, end);
    this.#settleEnded(end);
  }
}
