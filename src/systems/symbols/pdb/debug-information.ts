import { PdbError } from "../../errors";
import type { MsfFile } from "./msf-file";
import type { PdbBytes } from "./pdb-bytes";

/** PE's numbers of processors, as the header of the stream has them. */
export const MACHINE_I386 = 0x14c;
export const MACHINE_AMD64 = 0x8664;

const DBI_STREAM = 3;
const HEADER = 64;
const SIGNATURE = 0xffffffff;
/** The sizes of the parts behind the header, in the order of the parts; the last but one is at 52, the last at 48. */
const PART_SIZES = [24, 28, 32, 36, 40, 52];
const DEBUG_HEADER_SIZE = 48;
const MODULE_HEADER = 64;
const MOST_MODULES = 1_000_000;
const NO_STREAM = 0xffff;
/** Places in the optional debug header, https://llvm.org/docs/PDB/DbiStream.html. */
const OMAP_FROM_SOURCE = 4;
const SECTION_HEADERS = 5;
const ORIGINAL_SECTION_HEADERS = 10;

/** The symbols of one object file that was linked. */
export interface PdbModule {
  /** Undefined when the file has none of it, as public PDB files. */
  readonly stream: number | undefined;
  /** Of the symbols at the stream's start, in bytes. */
  readonly symbolSize: number;
}

/** The facts of the DBI stream: which streams have what. */
export interface DebugInformation {
  readonly age: number;
  readonly machine: number;
  readonly symbolStream: number | undefined;
  readonly sectionHeaders: number | undefined;
  /** Of the image before its parts were reordered; with `omapFromSource` section numbers mean these. */
  readonly originalSectionHeaders: number | undefined;
  readonly omapFromSource: number | undefined;
  readonly modules: readonly PdbModule[];
}

/**
 * Reads the DBI stream, which describes the image.
 *
 * @returns undefined when the file has none, as a PDB file of types alone
 * @throws PdbError
 */
export function readDebugInformation(file: MsfFile): DebugInformation | undefined {
  if (file.streamSize(DBI_STREAM) === 0) return undefined;
  const bytes = file.readStream(DBI_STREAM, "the stream of debug information");
  if (bytes.u32(0) !== SIGNATURE) throw new PdbError("its stream of debug information is older than Visual C++ 5");
  let at = HEADER;
  const starts = PART_SIZES.map((place) => {
    const start = at;
    at += bytes.u32(place);
    return start;
  });
  const streams = bytes.part(at, bytes.u32(DEBUG_HEADER_SIZE), "the optional debug header");
  const optional = (place: number): number | undefined =>
    (place + 1) * 2 > streams.size ? undefined : toStream(streams.u16(place * 2));
  return {
    age: bytes.u32(8),
    machine: bytes.u16(58),
    symbolStream: toStream(bytes.u16(20)),
    sectionHeaders: optional(SECTION_HEADERS),
    originalSectionHeaders: optional(ORIGINAL_SECTION_HEADERS),
    omapFromSource: optional(OMAP_FROM_SOURCE),
    modules: readModules(bytes.part(starts[0] as number, bytes.u32(PART_SIZES[0] as number), "the list of modules")),
  };
}

function toStream(stream: number): number | undefined {
  return stream === NO_STREAM ? undefined : stream;
}

function readModules(bytes: PdbBytes): PdbModule[] {
  const modules: PdbModule[] = [];
  for (let at = 0; at + MODULE_HEADER <= bytes.size && modules.length < MOST_MODULES;) {
    modules.push({ stream: toStream(bytes.u16(at + 34)), symbolSize: bytes.u32(at + 36) });
    // The module's name and its object file's, each with its zero; then up to a multiple of 4.
    const names = bytes.textEnd(bytes.textEnd(at + MODULE_HEADER, bytes.size) + 1, bytes.size) + 1;
    at = Math.ceil(names / 4) * 4;
  }
  return modules;
}
