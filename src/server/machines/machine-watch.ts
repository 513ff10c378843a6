import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Lab } from "../../lab/lab";
import type { Machinery } from "../../lab/machinery/machinery";
import type { LabMachine } from "../../lab/machinery/records/lab-machine";
import type { Doors } from "../../scripts/loading/doors";
import { ConflictError, NotThereError } from "../errors";

/** How long what the machines say is believed, in milliseconds: many may ask at once. */
const FRESH_MS = 2_000;
const LIMIT_MS = 20_000;

/** A machine as a server shows it. */
export interface ShownMachine {
  readonly name: string;
  readonly machinery: string;
  readonly label: string;
  readonly platform: string;
  readonly tags: readonly string[];
  readonly ip: string | undefined;
  /** "running", "poweroff" ...; "unknown" when the machine cannot be asked. */
  readonly state: string;
  /** Why it is not in the pool, or cannot be asked. */
  readonly note: string;
  readonly isEnabled: boolean;
  /** Taken only by who names it. */
  readonly isReserved: boolean;
  /** The machine that it is a clone of. */
  readonly cloneOf: string | undefined;
}

/** The machines of a lab and what is wrong with their configuration. */
export interface ShownMachines {
  readonly machines: readonly ShownMachine[];
  readonly problems: readonly string[];
}

/** Looks at the machines of a lab; the lab is opened anew when its configuration changes. */
export class MachineWatch {
  #lab: { readonly mark: string; readonly opened: Promise<Lab> } | undefined;
  #shown: { readonly untilMs: number; readonly value: Promise<ShownMachines> } | undefined;

  constructor(
    private readonly labFolder: string,
    private readonly getApi: () => Doors,
    private readonly log: (text: string) => void,
  ) {}

  /** Lists the machines with what they do. Those who ask in quick succession get the same answer. */
  list(): Promise<ShownMachines> {
    if (this.#shown !== undefined && performance.now() < this.#shown.untilMs) return this.#shown.value;
    const value = this.#read();
    this.#shown = { untilMs: performance.now() + FRESH_MS, value };
    value.catch(() => (this.#shown = undefined));
    return value;
  }

  /** Has the machines be asked anew: something was done with one. */
  forget(): void {
    this.#shown = undefined;
  }

  /** Puts a machine back into the pool, or takes it out. @throws NotThereError */
  async setEnabled(name: string, isEnabled: boolean, reason: string): Promise<void> {
    const { manager } = await this.#open();
    if (![...manager.machines].some((machine) => machine.name === name)) throw new NotThereError(`there is no machine ${name}`); // prettier-ignore
    try {
      if (isEnabled) manager.enable(name);
      else manager.disable(name, reason);
    } catch (error) {
      throw new ConflictError(error instanceof Error ? error.message : String(error));
    }
    this.forget();
  }

  /** Lets something be done with a machine. @throws NotThereError */
  async use<Result>(
    name: string,
    act: (machine: LabMachine, machinery: Machinery, lab: Lab) => Promise<Result>,
  ): Promise<Result> {
    const lab = await this.#open();
    const machine = [...lab.manager.machines].find((each) => each.name === name);
    if (machine === undefined) throw new NotThereError(`there is no machine ${name}`);
    return act(machine, lab.manager.getMachinery(machine), lab);
  }

  async close(): Promise<void> {
    const lab = this.#lab;
    this.#lab = undefined;
    await (await lab?.opened.catch(() => undefined))?.close();
  }

  async #read(): Promise<ShownMachines> {
    const lab = await this.#open();
    const signal = AbortSignal.timeout(LIMIT_MS);
    const machines = await Promise.all([...lab.manager.machines].map((machine) => showMachine(lab, machine, signal)));
    return { machines, problems: [...lab.problems.errors.map(({ message }) => message), ...lab.failures] };
  }

  #open(): Promise<Lab> {
    const mark = this.#readMark();
    if (this.#lab?.mark === mark) return this.#lab.opened;
    const before = this.close();
    const opened = before.then(() => Lab.open(this.labFolder, { api: this.getApi(), log: this.log }));
    const lab = { mark, opened };
    this.#lab = lab;
    // One that could not be opened is opened again by the next who asks.
    opened.catch(() => (this.#lab = this.#lab === lab ? undefined : this.#lab));
    return opened;
  }

  /** Returns the names and times of all files of the configuration. */
  #readMark(): string {
    return ["conf", "modules"]
      .map((name) => join(this.labFolder, name))
      .filter((folder) => existsSync(folder))
      .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)))
      .map((file) => `${file} ${statSync(file, { throwIfNoEntry: false })?.mtimeMs}`)
      .join("\n");
  }
}

async function showMachine(lab: Lab, machine: LabMachine, signal: AbortSignal): Promise<ShownMachine> {
  const { name, label, facts } = machine;
  let state = "unknown";
  let reason: string | undefined;
  try {
    const status = await lab.manager.readState(name, signal);
    state = status.state;
    if (status.reason !== state) reason = status.pausedBy === undefined ? status.reason : `held by ${status.pausedBy}`;
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  return {
    ...{ name, label, state, platform: facts.platform, machinery: facts.machineryName, tags: [...facts.tags] },
    ...{ ip: facts.ip, isEnabled: machine.quarantine === undefined, isReserved: facts.isReserved, cloneOf: facts.cloneOf }, // prettier-ignore
    note: [machine.unavailableReason, reason].filter((part) => part !== undefined && part !== "").join("; "),
  };
}
