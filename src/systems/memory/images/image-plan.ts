import { writeElfCore } from "./elf-core";
import type { ImageFormat } from "./image-layout";
import { LIME_HEADER_SIZE, makeLimeHeader } from "./lime-image";
import type { SavedCpu } from "./saved-cpu";
import type { RamRegion } from "../guest-source";

/** The parts of a file that is to be written. */
export interface ImagePlan {
  /** In the order of their offsets; what lies between them is zero. */
  readonly pieces: readonly { readonly bytes: Uint8Array; readonly offset: number }[];
  /** Of the file, in bytes. */
  readonly size: number;
  /** Of memory, in bytes. */
  readonly memorySize: number;
}

interface Range {
  readonly address: number;
  size: number;
  readonly regions: RamRegion[];
}

/**
 * Plans an image.
 *
 * @param regions of memory, in any order
 * @param cpus are saved in the formats that can hold them
 * @param vmcoreinfo what the machine's Linux says for readers of its memory; saved in ELF cores
 */
export function planImage(
  format: ImageFormat,
  regions: readonly RamRegion[],
  cpus: readonly SavedCpu[],
  vmcoreinfo?: Uint8Array,
): ImagePlan {
  const ranges = joinRegions(regions);
  const memorySize = ranges.reduce((sum, { size }) => sum + size, 0);
  const pieces: { bytes: Uint8Array; offset: number }[] = [];
  let size = 0;
  const add = (range: Range, offset: number): void => {
    for (const { address, bytes } of range.regions) pieces.push({ bytes, offset: offset + address - range.address });
    size = offset + range.size;
  };
  if (format === "elf") {
    const { header, offsets } = writeElfCore(ranges, cpus, vmcoreinfo);
    pieces.push({ bytes: header, offset: 0 });
    ranges.forEach((range, index) => add(range, offsets[index] as number));
  } else {
    for (const range of ranges) {
      if (format === "lime") pieces.push({ bytes: makeLimeHeader(range), offset: size });
      add(range, format === "lime" ? size + LIME_HEADER_SIZE : range.address);
    }
  }
  return { pieces, size, memorySize };
}

/** Joins regions that follow each other. */
function joinRegions(regions: readonly RamRegion[]): Range[] {
  const ranges: Range[] = [];
  for (const region of regions.toSorted((a, b) => a.address - b.address)) {
    const last = ranges.at(-1);
    if (last && last.address + last.size === region.address) {
      last.regions.push(region);
      last.size += region.bytes.length;
    } else {
      ranges.push({ address: region.address, size: region.bytes.length, regions: [region] });
    }
  }
  return ranges;
}
