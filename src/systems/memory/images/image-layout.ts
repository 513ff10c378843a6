import type { SavedCpu } from "./saved-cpu";

/** The format in which a file holds memory; see docs/guides/images.md. */
export type ImageFormat = "raw" | "elf" | "lime";

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
  readonly format: ImageFormat;
  /** In the order of their addresses. */
  readonly parts: readonly ImagePart[];
  /** Empty when the format has no registers, or the file none. */
  readonly cpus: readonly SavedCpu[];
}

/** A file whose parts can be read. */
export interface FileBytes {
  /** In bytes. */
  readonly size: number;
  /** Reads bytes that lie within the file. */
  read(offset: number, size: number): Buffer;
}
