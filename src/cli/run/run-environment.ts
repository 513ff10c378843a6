import type { EventEmitter } from "node:events";
import type { AttachRefusal } from "../../systems/errors";
import type { ScriptHost } from "../../scripts/script-host";
import type { EnginePort } from "./engine-port";

/** What surrounds a run: the engine and the process. Tests put a fake engine and a fake process here. */
export interface RunEnvironment {
  /** Builds the virtual machine; throws when QEMU or the engine refuses the arguments. */
  createEngine(argv: readonly string[]): EnginePort;
  /** Returns what scripts import as "rebox". */
  getApi(): object;
  /** Sets the profile for a guest's kernel that says too little about itself. */
  useProfile(path: string): void;
  /** Tells how each attempt to find the guest's system ends; undefined stands for one that found it. */
  watchAttaching(listener: (refusal: AttachRefusal | undefined) => void): void;
  /** Tells what a module handle stands for, before the script registers anything under it. */
  nameModule(handle: number, name: string): void;
  /** Lets a module's new version use the names of the old one's callbacks; returns what takes them back. */
  replaceModule(handle: number): () => void;
  /** Disposes whatever is registered under a script's module handle. */
  disposeModule(handle: number): void;
  /** Lets the engine's monitors load and ask these scripts; returns what ends that. */
  serveMonitors(scripts: ScriptHost): () => void;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** Emits signals by name, "uncaughtException", "unhandledRejection" and "exit", as `process` does. */
  readonly processEvents: EventEmitter;
  /** Ends the process at once. */
  exitNow(status: number): void;
  /** rebox's own folder. */
  readonly projectFolder: string;
  /** How long each script's clean(), and the engine's end, may take, in milliseconds. */
  readonly graceMs: number;
}
