import type { SettingsSchema } from "../../config/schema/settings-schema";
import type { MachineFacts } from "./records/lab-machine";
import type { MachineState } from "./records/machine-state";

/** What a module in Cuckoo's style is given. */
export interface CuckooContext {
  readonly config: Readonly<Record<string, unknown>>;
  readonly configured: readonly MachineFacts[];
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

  /** Makes the machines of the configuration. Override it for another layout of the configuration. */
  initialize(): Promise<readonly MachineFacts[]> | readonly MachineFacts[] {
    return this.context.configured;
  }

  /** Reverts the machine to its snapshot and starts it. */
  abstract start(label: string, signal: AbortSignal): Promise<void> | void;

  /** Ends the machine. */
  abstract stop(label: string, signal: AbortSignal): Promise<void> | void;

  /** Tells what the machine does. Without it, a machine is what the last start() or stop() has made it. */
  status?(label: string, signal: AbortSignal): Promise<MachineState> | MachineState;

  dumpMemory?(label: string, path: string, signal: AbortSignal): Promise<void> | void;

  screenshot?(label: string, path: string, signal: AbortSignal): Promise<void> | void;

  shutdown?(signal: AbortSignal): Promise<void> | void;
}
