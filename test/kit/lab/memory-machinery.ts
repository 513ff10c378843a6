import { setTimeout as sleep } from "node:timers/promises";
import { Machinery } from "../../../src/lab/machinery/machinery";
import { MachineManager, type ManagerOptions } from "../../../src/lab/machinery/manager/machine-manager";
import { LabMachine, type MachineFacts, type MachineState } from "../../../src/lab/machinery/records/lab-machine";
import { MachineList } from "../../../src/lab/machinery/records/machine-list";
import { MachineStateReachedError, MachineUnexpectedStateError } from "../../../src/lab/errors";

/** Facts of a machine, for tests. */
export function makeFacts(name: string, own: Partial<MachineFacts> = {}): MachineFacts {
  return {
    ...{ name, label: name, ip: undefined, platform: "linux", osVersion: undefined, tags: new Set<string>() },
    ...{ snapshot: undefined, macAddress: undefined, architecture: undefined, interface: undefined, agentPort: 8000 },
    ...{ resultServerIp: undefined, resultServerPort: undefined, isReserved: false, machineryName: "memory" },
    ...{ settings: {} },
    ...own,
  };
}

/** What one machine of the double does when it is asked. */
export interface MemoryMachine {
  state: unknown;
  /** Every call, in order: "restoreStart", "stop", "handlePaused" ... */
  readonly calls: string[];
  /** What a start leads to: at once, or the states that the next looks see, one after the other. */
  afterStart: readonly MachineState[];
  /** Of those, what is still to come. */
  readonly next: MachineState[];
  /** Thrown by the next call of that name. */
  readonly failures: Map<string, unknown>;
  /** Calls of these names never return. */
  readonly hangs: Set<string>;
  /** How long calls take. */
  delayMs: number;
  acpiWorks: boolean;
  pausedBy?: string;
}

/**
 * Machines that exist in memory only. It is strict: a call that reaches a machine while another one is still at work on it
 * is a mistake of the manager, and kept in `overlaps`.
 */
export class MemoryMachinery extends Machinery {
  override readonly name: string = "memory";
  override readonly startsAtOnce = true;
  readonly overlaps: string[] = [];
  readonly #machines = new Map<string, MemoryMachine>();
  readonly #busy = new Map<string, string>();
  /** How many starts were going on at once, at most. */
  mostStarting = 0;
  #starting = 0;

  get(name: string): MemoryMachine {
    const machine = this.#machines.get(name) ?? {
      ...{
        state: "poweroff",
        calls: [],
        afterStart: ["running" as const],
        failures: new Map(),
        hangs: new Set<string>(),
      },
      ...{ delayMs: 0, acpiWorks: true, next: [] },
    };
    this.#machines.set(name, machine);
    return machine;
  }

  async #call<Result>(machine: LabMachine, what: string, act: (own: MemoryMachine) => Result): Promise<Result> {
    const own = this.get(machine.name);
    const other = this.#busy.get(machine.name);
    if (other !== undefined && what !== "state") this.overlaps.push(`${what} during ${other} of ${machine.name}`);
    if (what !== "state") this.#busy.set(machine.name, what);
    try {
      if (what !== "state") own.calls.push(what);
      if (own.hangs.has(what)) await new Promise(() => undefined);
      if (own.delayMs > 0) await sleep(own.delayMs);
      if (own.failures.has(what)) {
        const failure = own.failures.get(what);
        own.failures.delete(what);
        throw failure;
      }
      return act(own);
    } finally {
      if (what !== "state") this.#busy.delete(machine.name);
    }
  }

  async restoreStart(machine: LabMachine): Promise<void> {
    this.#starting++;
    this.mostStarting = Math.max(this.mostStarting, this.#starting);
    try {
      await this.#call(machine, "restoreStart", (own) => {
        if (own.state !== "poweroff") throw new MachineUnexpectedStateError("it has not been turned off");
        own.state = own.afterStart[0];
        own.next.splice(0, own.next.length, ...own.afterStart.slice(1));
      });
    } finally {
      this.#starting--;
    }
  }

  stop(machine: LabMachine): Promise<void> {
    return this.#call(machine, "stop", (own) => {
      if (own.state === "poweroff") throw new MachineStateReachedError("it is off");
      own.state = "poweroff";
      own.next.length = 0;
    });
  }

  override acpiStop(machine: LabMachine): Promise<void> {
    return this.#call(machine, "acpiStop", (own) => {
      if (own.acpiWorks) own.state = "poweroff";
    });
  }

  override dumpMemory(machine: LabMachine): Promise<void> {
    return this.#call(machine, "dumpMemory", () => undefined);
  }

  override handlePaused(machine: LabMachine): Promise<void> {
    return this.#call(machine, "handlePaused", (own) => {
      own.state = "running";
    });
  }

  override pause(machine: LabMachine): Promise<void> {
    return this.#call(machine, "pause", (own) => {
      own.state = "paused";
    });
  }

  override resume(machine: LabMachine): Promise<void> {
    return this.#call(machine, "resume", (own) => {
      own.state = "running";
    });
  }

  state(machine: LabMachine) {
    return this.#call(machine, "state", (own) => {
      const { state, pausedBy } = own;
      if (own.next.length > 0) own.state = own.next.shift();
      return { state: state as MachineState, ...(pausedBy === undefined ? {} : { pausedBy }) };
    });
  }
}

/** A manager of machines in memory, with short limits. */
export function makeManager(names: readonly string[], options: ManagerOptions = {}) {
  const machinery = new MemoryMachinery();
  const machines = new MachineList();
  for (const name of names) machines.add(new LabMachine(makeFacts(name)));
  const limits = {
    restoreStart: 3_000,
    norestoreStart: 3_000,
    stop: 400,
    acpiStop: 300,
    dumpMemory: 400,
    ...options.limits,
  };
  const manager = new MachineManager(machines, new Map([["memory", machinery]]), { pollMs: 5, ...options, limits });
  return { manager, machinery, machines };
}
