import { Engine } from "../engine/engine";
import type { NativeAddon } from "../engine/native";
import type { CpuFacts, GuestSource } from "../../systems/memory/guest-source";
import type { ImagePart } from "../../systems/memory/images/image-layout";

/** What this layer asks of a machine, whether it runs or is an image. Numbers and results are the addon's. */
export type MachineAccess = Pick<
  NativeAddon,
  | "cpuCount"
  | "registers"
  | "cpuState"
  | "readRegister"
  | "writeRegister"
  | "writeSegment"
  | "readPhysical"
  | "writePhysical"
  | "readVirtual"
  | "writeVirtual"
  | "lastFault"
  | "translate"
  | "ramRegions"
  | "currentPgd"
  | "isMonitored"
>;

/** A machine that stands still for ever. */
export interface StillMachine extends MachineAccess, GuestSource {
  /** The file that it was opened from. */
  readonly path: string;
  /** The memory's file, expanded where it was compressed, and where in it each piece of memory is. */
  readonly file: { readonly descriptor: number; readonly parts: readonly ImagePart[] };
  /** Finds in memory alone what a vCPU's registers were; empty when there is no kernel. */
  scan(): readonly CpuFacts[];
  /** Has cpus() return what scan() finds: with the registers that the image holds, no kernel was found. */
  distrustRegisters(): void;
}

let still: StillMachine | undefined;

/**
 * Gets the machine of this process: the opened image, or the running one.
 *
 * @throws EngineUsageError when there is none
 */
export function getMachine(): MachineAccess {
  return still ?? Engine.get().native;
}

/** Finds the running machine; undefined when there is none, also where an image is opened in its place. */
export function findRunning(): NativeAddon | undefined {
  return Engine.find()?.native;
}

/** Whether there is a machine, running or not. */
export function hasMachine(): boolean {
  return still !== undefined || Engine.find() !== undefined;
}

/** Finds the image that is opened in place of a running machine. */
export function findStillMachine(): StillMachine | undefined {
  return still;
}

/** Puts an image in the place of a running machine. */
export function setStillMachine(machine: StillMachine): void {
  still = machine;
}
