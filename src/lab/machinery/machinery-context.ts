import type { LabMachine, MachineFacts } from "./records/lab-machine";

/** What a machinery gets from the lab. */
export interface MachineryContext<Settings, MachineSettings> {
  /** The values of its main settings. */
  readonly config: Settings;
  /** The machines of its configuration file. */
  readonly configured: readonly MachineFacts<MachineSettings>[];
  /** The lab's folder: where relative paths start. */
  readonly labFolder: string;
  /** Returns a folder of the machine's own, which exists; what is in it outlives this process. */
  getFolder(machine: LabMachine<MachineSettings>): string;
  /** Tells something to whoever runs the lab. */
  log(text: string): void;
}
