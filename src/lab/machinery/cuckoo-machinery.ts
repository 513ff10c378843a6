import type { SettingsSchema } from "../../config/schema/settings-schema";
import { MachineStateReachedError, MachineUnexpectedStateError } from "../errors";
import type { ConfigContent, ConfigSource, MachineValues } from "./config/own-layout";
import { Machinery, type MachineryCapabilities, type MachineryContext } from "./machinery";
import type { LabMachine, MachineFacts, MachineState } from "./records/lab-machine";

/** The surroundings of a module in Cuckoo's style. */
export interface CuckooContext {
  readonly config: Readonly<Record<string, unknown>>;
  readonly configured: readonly MachineFacts[];
  /** Where relative paths start. */
  readonly labFolder: string;
  /** Its configuration files as they are, from the lowest layer up; none when there is none. */
  readonly configFiles: readonly ConfigSource[];
  /** Their contents: sections with their settings, all as text. */
  readonly content: Readonly<Record<string, ConfigContent>>;
  /** Makes a machine out of settings, by the names that they have in files. Throws with every mistake. */
  makeMachine(name: string, values: MachineValues): MachineFacts;
  log(text: string): void;
}

/**
 * The base of machinery modules in Cuckoo's style: they know machines by their labels, and throw CuckooMachineError when
 * something fails. Required are start() and stop(). The file's name is the module's, and its configuration's.
 */
export abstract class CuckooMachinery {
  readonly description: string = "";
  readonly settings: SettingsSchema = {};
  readonly machineSettings: SettingsSchema = {};
  readonly labelKey: string = "label";
  protected context!: CuckooContext;

  /** Gives it its configuration, once, before anything else is called. */
  attach(context: CuckooContext): void {
    this.context = context;
  }

  /**
   * Makes the machines: those of the configuration. Override it for another layout of the configuration, or for machines
   * from elsewhere: it is called whenever the module is there.
   */
  initialize(): Promise<readonly MachineFacts[]> | readonly MachineFacts[] {
    return this.context.configured;
  }

  /** Reverts the machine to its snapshot and starts it. */
  abstract start(label: string, signal: AbortSignal): Promise<void> | void;

  /** Ends the machine. */
  abstract stop(label: string, signal: AbortSignal): Promise<void> | void;

  /** Returns the machine's state. Without it, the state is what the last start() or stop() has made it. */
  status?(label: string, signal: AbortSignal): Promise<MachineState> | MachineState;

  dumpMemory?(label: string, path: string, signal: AbortSignal): Promise<void> | void;

  screenshot?(label: string, path: string, signal: AbortSignal): Promise<void> | void;

  shutdown?(signal: AbortSignal): Promise<void> | void;
}

type Context = MachineryContext<Readonly<Record<string, unknown>>, Readonly<Record<string, unknown>>>;

/** Makes a module in Cuckoo's style a machinery like the others. */
export class CuckooAdapter extends Machinery {
  override readonly settings;
  override readonly machineSettings;
  override readonly labelKey;
  override readonly description;
  readonly #known = new Map<string, MachineState>();

  constructor(
    override readonly name: string,
    readonly module: CuckooMachinery,
  ) {
    super();
    this.settings = module.settings;
    this.machineSettings = module.machineSettings;
    this.labelKey = module.labelKey;
    this.description = module.description;
  }

  override attach(context: Context): void {
    super.attach(context);
    this.module.attach(context);
  }

  override get makesMachines(): boolean {
    return this.module.initialize !== CuckooMachinery.prototype.initialize;
  }

  override async loadMachines(): Promise<readonly MachineFacts[]> {
    return this.module.initialize();
  }

  async restoreStart(machine: LabMachine, signal: AbortSignal): Promise<void> {
    const state = await this.state(machine, signal);
    if (state !== "poweroff") {
      throw new MachineUnexpectedStateError(
        `${machine.name} is ${state}: trying to start a virtual machine that has not been turned off; stop it first`,
      );
    }
    await this.module.start(machine.label, signal);
    this.#known.set(machine.name, "running");
  }

  async stop(machine: LabMachine, signal: AbortSignal): Promise<void> {
    if ((await this.state(machine, signal)) === "poweroff") {
      throw new MachineStateReachedError(`${machine.name}: trying to stop an already stopped machine`);
    }
    await this.module.stop(machine.label, signal);
    this.#known.set(machine.name, "poweroff");
  }

  async state(machine: LabMachine, signal: AbortSignal): Promise<MachineState> {
    if (this.module.status !== undefined) return this.module.status(machine.label, signal);
    const known = this.#known.get(machine.name);
    if (known !== undefined) return known;
    // A process before this one may have started it, and wrote it down.
    return machine.state === "running" ? "running" : "poweroff";
  }

  override async dumpMemory(machine: LabMachine, path: string, signal: AbortSignal): Promise<void> {
    if (this.module.dumpMemory === undefined) return super.dumpMemory(machine, path, signal);
    await this.module.dumpMemory(machine.label, path, signal);
  }

  override async screenshot(machine: LabMachine, path: string, signal: AbortSignal): Promise<void> {
    if (this.module.screenshot === undefined) return super.screenshot(machine, path, signal);
    await this.module.screenshot(machine.label, path, signal);
  }

  override async shutdown(signal: AbortSignal): Promise<void> {
    await this.module.shutdown?.(signal);
  }

  override get capabilities(): MachineryCapabilities {
    const { dumpMemory, screenshot } = this.module;
    return { ...super.capabilities, memoryDump: dumpMemory !== undefined, screenshot: screenshot !== undefined };
  }
}
