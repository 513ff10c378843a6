import { EventEmitter } from "node:events";
import { CancelledError } from "../../../config/errors";
import { findCode } from "../../../config/failure-code";
import { findInterfaceProblem } from "../../../config/schema/settings";
import { MachineryManagerError } from "../../errors";
import type { Machinery } from "../machinery";
import type { LabMachine, MachineState, MachineStatus } from "../records/lab-machine";
import type { MachineList } from "../records/machine-list";
import { type ActionLimits, type ActionName, type ActionResult, DEFAULT_LIMITS_MS } from "./action";
import { readStatus } from "./wait-for-state";
import { runAction } from "./run-action";

/** The events of machines. */
export interface ManagerEvents {
  begin: [machine: LabMachine, action: ActionName];
  end: [machine: LabMachine, action: ActionName, result: ActionResult];
  state: [machine: LabMachine, state: MachineState | "unknown"];
  quarantined: [machine: LabMachine, reason: string];
  enabled: [machine: LabMachine];
}

export interface ManagerOptions {
  readonly limits?: Partial<ActionLimits>;
  /** The time between two looks at a machine that is waited for, in milliseconds. */
  readonly pollMs?: number;
  /** The most machines that may be starting at once; 0 is without limit. */
  readonly mostStarting?: number;
  /** Keeps other processes from acting on a machine; returns what ends that. */
  lock?(machine: LabMachine, signal: AbortSignal | undefined): Promise<() => void | Promise<void>>;
  /** Takes over what other processes did to a machine, when it is this one's turn. */
  refresh?(machine: LabMachine): void;
  /** Keeps what is known of a machine. */
  save?(machine: LabMachine): void;
}

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** The file that dumpMemory and screenshot write, or the folder of a golden state that is being made. */
  readonly path?: string | undefined;
  /** The name of the requester; only the one that has paused a machine may resume it. */
  readonly owner?: string | undefined;
}

const STARTS: readonly ActionName[] = ["restoreStart", "norestoreStart", "startToFreeze"];
/** A machine that is known to be in one of these is in somebody's use. */
const ON: readonly string[] = ["starting", "running", "paused", "stopping", "suspended", "restored"];

/**
 * Carries out actions on the machines of the lab: one after the other on one machine, on several machines at once.
 * A failure is a result, never an exception.
 */
export class MachineManager extends EventEmitter<ManagerEvents> {
  readonly #queues = new Map<LabMachine, MachineQueue>();
  readonly #starting: Slots;
  readonly #limits: ActionLimits;
  #isClosed = false;

  constructor(
    readonly machines: MachineList,
    private readonly machineries: ReadonlyMap<string, Machinery>,
    private readonly options: ManagerOptions = {},
  ) {
    super();
    this.#limits = { ...DEFAULT_LIMITS_MS, ...options.limits };
    this.#starting = new Slots(options.mostStarting ?? 0);
  }

  /** Gets the machinery of a machine. @throws MachineryManagerError */
  getMachinery(machine: LabMachine): Machinery {
    const machinery = this.machineries.get(machine.facts.machineryName);
    if (machinery === undefined) {
      throw new MachineryManagerError(`${machine.name}: there is no machinery ${machine.facts.machineryName}`);
    }
    return machinery;
  }

  /**
   * Carries out an action.
   *
   * @param name of the machine
   * @returns when the machine is in the state that is to come of it, or has failed to get there
   */
  async request(action: ActionName, name: string, options: RequestOptions = {}): Promise<ActionResult> {
    let machine: LabMachine;
    let machinery: Machinery;
    try {
      machine = this.machines.get(name);
      machinery = this.getMachinery(machine);
    } catch (error) {
      return refuse(error, "unknown");
    }
    const { signal } = options;
    try {
      return await this.#queueOf(machine).run(`${action} of ${name}`, signal, () =>
        this.#exclusively(machine, signal, () => this.#act(action, machine, machinery, options)),
      );
    } catch (error) {
      return refuse(error, machine.state);
    }
  }

  /** Reads a machine's state, and remembers it. @throws the errors of the machinery */
  async readState(name: string, signal?: AbortSignal): Promise<MachineStatus> {
    const machine = this.machines.get(name);
    const before = machine.state;
    const status = await readStatus(this.getMachinery(machine), machine, signal);
    if (machine.state !== before) this.#tell("state", machine, machine.state);
    return status;
  }

  /**
   * Looks at a quarantined machine again: when it is off, or can be stopped, it goes back into the pool.
   *
   * @returns whether it did
   */
  async recheck(name: string, signal?: AbortSignal): Promise<boolean> {
    const machine = this.machines.get(name);
    const { quarantine } = machine;
    if (quarantine === undefined || quarantine.isManual) return false;
    const { state, reason } = await this.request("stop", name, { signal });
    if (state === "poweroff") {
      this.enable(name);
      return true;
    }
    machine.quarantine = { ...quarantine, checks: quarantine.checks + 1 };
    machine.addError(`looked at again: ${reason ?? state}`);
    this.options.save?.(machine);
    return false;
  }

  /** Puts a machine back into the pool. */
  enable(name: string): void {
    const machine = this.machines.get(name);
    machine.enable();
    this.options.save?.(machine);
    this.#tell("enabled", machine);
  }

  /** Takes a machine out of the pool until it is enabled. */
  disable(name: string, reason: string): void {
    const machine = this.machines.get(name);
    machine.disable(reason, true);
    this.options.save?.(machine);
    this.#tell("quarantined", machine, reason);
  }

  /** Takes a machine out of the pool that has failed; it is looked at again. One that is out of it already stays so. */
  quarantine(name: string, reason: string): void {
    const machine = this.machines.get(name);
    if (machine.isDisabled) return;
    machine.addError(reason);
    machine.disable(reason);
    this.options.save?.(machine);
    this.#tell("quarantined", machine, reason);
  }

  /**
   * Stops all machines that are not off. Afterwards only stops are accepted.
   *
   * @returns why which could not be stopped, by the machines' names; the others are stopped nevertheless
   */
  async shutdown(signal?: AbortSignal): Promise<ReadonlyMap<string, string>> {
    this.#isClosed = true;
    const failed = new Map<string, string>();
    const stop = async ({ name }: LabMachine) => {
      const { success, reason } = await this.request("stop", name, { signal });
      if (!success) failed.set(name, reason ?? "");
    };
    await Promise.all([...this.machines].map(stop));
    return failed;
  }

  async #act(
    action: ActionName,
    machine: LabMachine,
    machinery: Machinery,
    options: RequestOptions,
  ): Promise<ActionResult> {
    // The known state may be old: the machine may have gone off by itself, or been paused by somebody else.
    const isOn = machine.state !== "poweroff" && machine.state !== "unknown" && !machine.isDisabled;
    if (action === "resume" || (isOn && STARTS.includes(action))) await readStatus(machinery, machine, options.signal);
    const refusal = this.#findRefusal(action, machine, options.owner);
    if (refusal !== undefined) return refuse(new MachineryManagerError(refusal), machine.state);
    const { state, isDisabled } = machine;
    this.#tell("begin", machine, action);
    const { signal, path } = options;
    if (action === "resume") machine.pausedBy = undefined;
    const { pollMs = 1000 } = this.options;
    const run = () => runAction({ action, machinery, machine, path, signal, limits: this.#limits, pollMs });
    const result = await (STARTS.includes(action) ? this.#starting.run(run) : run());
    if (action === "pause" && result.success) machine.pausedBy = options.owner ?? "an operator";
    this.options.save?.(machine);
    if (machine.state !== state) this.#tell("state", machine, machine.state);
    if (!isDisabled && machine.quarantine) this.#tell("quarantined", machine, machine.quarantine.reason);
    this.#tell("end", machine, action, result);
    return result;
  }

  /** A listener that throws is no reason to lose track of a machine. */
  #tell<Name extends keyof ManagerEvents>(name: Name, ...args: ManagerEvents[Name]): void {
    for (const listener of this.listeners(name)) {
      try {
        (listener as (...values: unknown[]) => void)(...args);
      } catch (error) {
        process.emitWarning(`a listener of ${name} failed: ${error instanceof Error ? error.stack : String(error)}`);
      }
    }
  }

  #findRefusal(action: ActionName, machine: LabMachine, owner: string | undefined): string | undefined {
    const { name, quarantine, pausedBy } = machine;
    if (this.#isClosed && action !== "stop") return `the lab is shutting down: ${action} of ${name} is refused`;
    if (quarantine !== undefined && STARTS.includes(action)) {
      return `${name} is quarantined: ${quarantine.reason}; mend it, then rebox machine enable ${name}`;
    }
    if (STARTS.includes(action) && ON.includes(machine.state)) {
      return `${name} is ${machine.state}: it has not been turned off; stop it first`;
    }
    const { interface: card } = machine.facts;
    const problem =
      card !== undefined && STARTS.includes(action) ? findInterfaceProblem(card, { mustExist: true }) : undefined;
    if (problem !== undefined) return `the interface of ${name} ${problem}`;
    if (action === "resume" && pausedBy !== undefined && pausedBy !== (owner ?? "an operator")) {
      return `${name} is held paused by ${pausedBy}, who alone may let it go on`;
    }
    return undefined;
  }

  async #exclusively<Result>(
    machine: LabMachine,
    signal: AbortSignal | undefined,
    task: () => Promise<Result>,
  ): Promise<Result> {
    const release = await this.options.lock?.(machine, signal);
    try {
      this.options.refresh?.(machine);
      return await task();
    } finally {
      await release?.();
    }
  }

  #queueOf(machine: LabMachine): MachineQueue {
    const known = this.#queues.get(machine) ?? new MachineQueue();
    this.#queues.set(machine, known);
    return known;
  }
}

function refuse(error: unknown, state: MachineState | "unknown"): ActionResult {
  const reason = error instanceof Error ? error.message : String(error);
  const code = findCode(error);
  return { success: false, reason, state, isQuarantined: false, ...(code === undefined ? {} : { code }) };
}

/** Lets one task run at a time, in the order in which they came. */
export class MachineQueue {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Runs a task after the end of those before it.
   *
   * @throws CancelledError when it is cancelled before its turn; the errors of the task
   */
  run<Result>(what: string, signal: AbortSignal | undefined, task: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(() => {
      if (signal?.aborted) throw new CancelledError(`${what} was cancelled while it waited for its turn`);
      return task();
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

/** Lets a limited number of tasks run at once; the others wait in their order. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param count 0 is without limit */
  constructor(count: number) {
    this.#free = count === 0 ? Infinity : count;
  }

  async run<Result>(task: () => Promise<Result>): Promise<Result> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
