import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { ConfigProblems } from "../config/schema/config-problems";
import { type MachineryConfig, readMachineryConfig } from "./machinery/config/read-machinery-config";
import { MachineryManagerError } from "./errors";
import type { Machinery } from "./machinery/machinery";
import { callBounded } from "./machinery/manager/wait-for-state";
import { MachineManager } from "./machinery/manager/machine-manager";
import { describeClones } from "./machinery/golden/clones";
import { LabMachine, type MachineFacts } from "./machinery/records/lab-machine";
import { checkFacts } from "./machinery/config/own-layout";
import { createMachineryContext, getMachineFolder } from "./machinery-context";
import { restoreMachine, saveMachine } from "./machinery/records/machine-file";
import { MachineList, type MachineQuery } from "./machinery/records/machine-list";
import { findMachineries } from "./find-machineries";
import { type LabSettings, readLabSettings } from "./lab-settings";
import { type MachineLease, takeMachine } from "./machine-lease";
import { takeLock } from "./process-lock";
import type { Doors } from "../scripts/loading/doors";

/** Checking what a machinery needs, setting it up and asking it for its machines take no longer each. */
const SET_UP_LIMIT_MS = 60_000;
/** Somebody else's action on the same machine, and ours behind it. */
const LOCK_LIMIT_MS = 600_000;
/** Somebody else's use of a machine: the longest analysis is shorter. */
const UNUSED_LIMIT_MS = 2 * 86_400_000;

export interface LabOptions {
  /** The parts of rebox that modules can import. */
  readonly api: Doors;
  readonly signal?: AbortSignal;
  readonly pollMs?: number;
  log?(text: string): void;
}

/** A folder with machines: their configuration, the machineries that run them, and what is going on with them. */
export class Lab {
  readonly #used: ReadonlyMap<string, Machinery>;
  #rechecks: NodeJS.Timeout | undefined;

  private constructor(
    /** Absolute. */
    readonly folder: string,
    readonly settings: LabSettings,
    readonly manager: MachineManager,
    /** All that is wrong with the configuration; what is not concerned works. */
    readonly problems: ConfigProblems,
    /** The reasons why machineries or modules cannot be used, one sentence each. */
    readonly failures: readonly string[],
    used: ReadonlyMap<string, Machinery>,
  ) {
    this.#used = used;
  }

  /**
   * Reads a lab's configuration and prepares the machineries that have machines. No machine is started or stopped.
   *
   * @throws MachineryManagerError when there is no lab in the folder
   */
  static async open(folder: string, options: LabOptions): Promise<Lab> {
    const path = resolve(folder);
    if (!existsSync(join(path, "conf"))) {
      throw new MachineryManagerError(
        `${path} is no lab: it has no folder conf; make one with rebox lab init ${folder}`,
      );
    }
    const problems = new ConfigProblems();
    const settings = readLabSettings(path, problems);
    const { machineries, errors } = await findMachineries(path, options.api);
    const failures = errors.map(({ message }) => message);
    const machines = new MachineList(settings.max_machines_count);
    const used = new Map<string, Machinery>();
    const log = options.log ?? (() => undefined);
    const builder = new LabBuilder(path, machines, used, problems, failures, { ...options, log });
    for (const name of chooseMachineries(settings, machineries, failures)) await builder.add(machineries.get(name)!);
    const manager = new MachineManager(machines, used, {
      limits: getLimits(settings),
      mostStarting: settings.max_vmstartup_count,
      ...(options.pollMs === undefined ? {} : { pollMs: options.pollMs }),
      lock: (machine, signal) => {
        return takeLock(getActionLock(path, machine.name), {
          timeoutMs: LOCK_LIMIT_MS,
          signal,
          owner: `an action on ${machine.name}`,
        });
      },
      refresh: (machine) => void restoreMachine(getMachineFile(path, machine.name), machine),
      save: (machine) => saveMachine(getMachineFile(path, machine.name), machine),
    });
    return new Lab(path, settings, manager, problems, failures, used);
  }

  /** The machineries in use, by their names. */
  get machineries(): ReadonlyMap<string, Machinery> {
    return this.#used;
  }

  /** @throws MachineryManagerError when the lab has no machine at all */
  checkHasMachines(): void {
    if (this.manager.machines.size > 0) return;
    const problems = [...this.problems.errors.map(({ message }) => message), ...this.failures];
    const why = problems.length === 0 ? "add one with rebox machine add" : `this is wrong:\n${problems.join("\n")}`;
    throw new MachineryManagerError(`No machines available in ${this.folder}: ${why}`);
  }

  /**
   * Takes a machine of the pool, among all processes that use the lab; waits until one is free.
   *
   * @param owner who uses it, for messages: "run 12"
   * @throws MachineUnserviceableError when none can ever fit; CancelledError
   */
  take(
    owner: string,
    query: MachineQuery,
    signal?: AbortSignal,
    listAhead: () => readonly MachineQuery[] = () => [],
  ): Promise<MachineLease> {
    return takeMachine(this.manager.machines, {
      ...{ owner, query, signal, listAhead },
      getLockFile: ({ name }) => getUseLock(this.folder, name),
    });
  }

  /** Takes a machine when nobody has it; returns undefined when somebody does. */
  async takeFree(owner: string, name: string): Promise<MachineLease | undefined> {
    const machine = this.manager.machines.get(name);
    if (!machine.isAvailable) return undefined;
    // Another process may have put it out of the pool since this one has read of it.
    restoreMachine(getMachineFile(this.folder, name), machine);
    if (!machine.isAvailable) return undefined;
    const file = getUseLock(this.folder, name);
    const unlock = await takeLock(file, { timeoutMs: 0, owner }).catch((error: unknown) => {
      if (error instanceof MachineryManagerError) return undefined;
      throw error;
    });
    return unlock && { machine, release: unlock };
  }

  /**
   * Does something while no process uses some machines, or starts one by hand; one that is in use is waited for.
   *
   * @param owner who does it, for messages
   * @throws CancelledError
   */
  async whileUnused(owner: string, names: readonly string[], signal: AbortSignal, act: () => void): Promise<void> {
    const unlocks: (() => Promise<void>)[] = [];
    try {
      // Who acts on a machine waits for nobody who uses one: behind the first kind of lock there is no waiting in a circle.
      for (const getFile of [getUseLock, getActionLock])
        for (const name of names)
          unlocks.push(await takeLock(getFile(this.folder, name), { timeoutMs: UNUSED_LIMIT_MS, signal, owner }));
      act();
    } finally {
      for (const unlock of unlocks) await unlock();
    }
  }

  /** Looks at quarantined machines again as long as the lab is open; this alone keeps no process alive. */
  keepRechecking(): void {
    this.#rechecks ??= setInterval(() => void this.recheck(), this.settings.timeouts.recheck * 1000).unref();
  }

  /** Looks again at quarantined machines whose time has come. Returns the names of those that are well. */
  async recheck(signal?: AbortSignal): Promise<string[]> {
    const afterMs = this.settings.timeouts.recheck * 1000;
    const isDue = ({ quarantine }: LabMachine) =>
      quarantine !== undefined &&
      !quarantine.isManual &&
      // Each vain look doubles the time to the next, up to about an hour.
      Date.now() - quarantine.sinceMs >= afterMs * 2 ** Math.min(quarantine.checks, 6);
    const due = [...this.manager.machines].filter(isDue);
    const checked = await Promise.all(
      due.map(async ({ name }) => ((await this.manager.recheck(name, signal)) ? [name] : [])),
    );
    return checked.flat();
  }

  /** Stops machines that are found running, before anything else uses them. Returns why which could not be stopped. */
  async stopRunning(signal?: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const failed = new Map<string, string>();
    const stop = async ({ name }: LabMachine) => {
      try {
        const { state } = await this.manager.readState(name, signal);
        if (state === "poweroff") return;
        const { success, reason } = await this.manager.request("stop", name, { signal });
        if (!success)
          failed.set(name, `it was found ${state} and cannot be stopped: ${reason}; check its configuration`);
      } catch (error) {
        failed.set(name, error instanceof Error ? error.message : String(error));
      }
    };
    await Promise.all([...this.manager.machines].map(stop));
    return failed;
  }

  /** Gives up the resources of the machineries. Machines continue to run. */
  async close(): Promise<void> {
    clearInterval(this.#rechecks);
    for (const [name, machinery] of this.#used) {
      await callBounded(`shutdown of ${name}`, SET_UP_LIMIT_MS, undefined, (own) => machinery.shutdown(own)).catch(
        () => undefined,
      );
    }
  }
}

function getUseLock(labFolder: string, name: string): string {
  return join(getMachineFolder(labFolder, name), "use.lock");
}

function getActionLock(labFolder: string, name: string): string {
  return join(getMachineFolder(labFolder, name), "action.lock");
}

function getMachineFile(labFolder: string, name: string): string {
  return join(getMachineFolder(labFolder, name), "machine.json");
}

function chooseMachineries(
  settings: LabSettings,
  machineries: ReadonlyMap<string, Machinery>,
  failures: string[],
): string[] {
  const known = [...machineries.keys()];
  const wanted = settings.machineries;
  const unknown = wanted.filter((name) => !known.includes(name));
  failures.push(...unknown.map((name) => `there is no machinery ${name}; known are ${known.join(", ")}`));
  return wanted.length === 0 ? known : wanted.filter((name) => known.includes(name));
}

function getLimits({ timeouts }: LabSettings) {
  return {
    restoreStart: timeouts.restore_start * 1000,
    norestoreStart: timeouts.norestore_start * 1000,
    stop: timeouts.stop * 1000,
    acpiStop: timeouts.acpi_stop * 1000,
    dumpMemory: timeouts.memory_dump * 1000,
  };
}

class LabBuilder {
  constructor(
    private readonly folder: string,
    private readonly machines: MachineList,
    private readonly used: Map<string, Machinery>,
    private readonly problems: ConfigProblems,
    private readonly failures: string[],
    private readonly options: LabOptions & { log(text: string): void },
  ) {}

  /** Prepares one machinery and adds its machines, unless it has none. */
  async add(machinery: Machinery): Promise<void> {
    const { name } = machinery;
    const config = readMachineryConfig(machinery, this.folder);
    if (config === undefined) return;
    this.problems.addAll(config.problems);
    for (const machine of config.machines.values()) this.problems.addAll(machine.problems);
    if (config.problems.errors.length > 0) {
      this.failures.push(`machinery ${name} is not used: ${config.problems.errors[0]!.message}`);
      return;
    }
    if (config.machines.size === 0 && !machinery.makesMachines) return;
    try {
      await this.#prepare(machinery, config);
      this.used.set(name, machinery);
    } catch (error) {
      this.failures.push(`machinery ${name} is not used: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async #prepare(machinery: Machinery, config: MachineryConfig): Promise<void> {
    const { folder, options } = this;
    const { name } = machinery;
    machinery.attach(createMachineryContext(machinery, config, folder, (text) => options.log(`${name}: ${text}`)));
    const call = <Result>(what: string, run: (signal: AbortSignal) => Promise<Result>) =>
      callBounded(`${what} of machinery ${name}`, SET_UP_LIMIT_MS, options.signal, run);
    await call("verifyDependencies", (own) => machinery.verifyDependencies(own));
    await call("init", (own) => machinery.init(own));
    const made = await call("loadMachines", (own) => machinery.loadMachines(own));
    if (!Array.isArray(made)) throw new MachineryManagerError("its loadMachines() or initialize() returns no list");
    if (made.length === 0 && machinery.makesMachines) options.log(`${name}: its module has made no machines`);
    for (const facts of (made as readonly MachineFacts[]).map((each) => checkFacts(each, name))) {
      const refusal = machinery.findRefusal(facts);
      if (refusal !== undefined) {
        this.failures.push(`machine ${facts.name} of machinery ${name} is not used: ${refusal}`);
        continue;
      }
      for (const each of [facts, ...describeClones(facts)]) {
        const machine = new LabMachine(each);
        const damage = restoreMachine(getMachineFile(folder, machine.name), machine);
        if (damage !== undefined) options.log(damage);
        this.machines.add(machine);
      }
    }
  }
}
