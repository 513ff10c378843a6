import type { CpuFacts } from "../guest-source";
import type { SavedCpu } from "./saved-cpu";

/** The format in which rebox writes memory into a file; see docs/guides/images.md. */
export type ImageFormat = "raw" | "elf" | "lime";

/** The format of a file that is read: those, and crash dumps of Windows. */
export type ReadFormat = ImageFormat | "crash";

export const IMAGE_FORMATS: readonly ImageFormat[] = ["raw", "elf", "lime"];

/** A range of physical memory in a file. */
export interface ImagePart {
  /** Guest-physical, below 2 to the 52. */
  readonly address: number;
  /** In the file. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
}

/** The places at which a file holds a machine's memory and registers. */
export interface ImageLayout {
  readonly format: ReadFormat;
  /** In the order of their addresses. */
  readonly parts: readonly ImagePart[];
  /** Empty when the format has no registers, or the file none. */
  readonly cpus: readonly SavedCpu[];
  /** The registers that the kernel is found by, where the format says them itself; otherwise they are among those of the vCPUs. */
  readonly facts?: readonly CpuFacts[] | undefined;
}

/** A file whose parts can be read. */
export interface FileBytes {
  /** In bytes. */
  readonly size: number;
  /** Reads bytes that lie within the file. */
  read(offset: number, size: number): Buffer;
}
