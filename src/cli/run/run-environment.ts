import type { EventEmitter } from "node:events";
import type { GuestOptions } from "../../guest/guest-attachment";
import type { CallbackFailure, EngineEnd } from "../../machine/engine/engine";
import type { Doors } from "../../scripts/loading/doors";
import type { ScriptHost } from "../../scripts/script-host";

export type { CallbackFailure, EngineEnd };

/** The engine's changes of state that a run reports. */
export const LIFECYCLE_EVENTS = ["running", "paused", "reset", "shutdown", "crashed"] as const;

/** The part of an engine that `rebox run` uses. */
export interface EnginePort {
  readonly ended: Promise<EngineEnd>;
  callbackLimitMs: number;
  run(): void;
  quit(): Promise<void>;
  on(event: (typeof LIFECYCLE_EVENTS)[number], listener: (detail: unknown) => void): unknown;
  on(event: "callbackError", listener: (failure: CallbackFailure) => void): unknown;
  on(event: "triggerOutput", listener: (output: { kind: string; text: string }) => void): unknown;
}

/** The surroundings of a run: the engine and the process. Tests put a fake engine and a fake process here. */
export interface RunEnvironment {
  /** Builds the virtual machine; throws when QEMU or the engine refuses the arguments. */
  createEngine(argv: readonly string[]): EnginePort;
  /** Returns what scripts and modules can import of rebox. */
  getApi(): Doors;
  /** Sets how the guest's system is looked for, before the first script asks for it. */
  configureGuest(options: GuestOptions): void;
  /** Names a module handle, before the script registers anything under it. */
  nameModule(handle: number, name: string): void;
  /** Lets a module's new version use the names of the old one's callbacks; the returned function takes them back. */
  replaceModule(handle: number): () => void;
  /** Disposes everything that is registered under a script's module handle. */
  disposeModule(handle: number): void;
  /** Lets the engine's monitors load and ask these scripts; the returned function ends that. */
  serveMonitors(scripts: ScriptHost): () => void;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** Emits signals by name, "uncaughtException", "unhandledRejection" and "exit", as `process` does. */
  readonly processEvents: EventEmitter;
  /** Ends the process at once. */
  exitNow(status: number): void;
  /** rebox's own folder. */
  readonly projectFolder: string;
  /** The time that each script's clean(), and the engine's end, may take, in milliseconds. */
  readonly graceMs: number;
}
