import { Elf } from "../../systems/symbols/elf/elf";
import { PF_W, PF_X, PT_LOAD } from "../../systems/symbols/elf/elf-header";
import { elfSourceOf } from "../../systems/symbols/elf/elf-source";
import { computeEntropy } from "./byte-facts";

const PF_R = 4;
/** SHT_NOBITS of elf(5): a section without bytes in the file. */
const NO_BITS = 8;
/** SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR of elf(5), with the letters that readelf(1) has for them. */
const SECTION_FLAGS = [[1n, "W"], [2n, "A"], [4n, "X"]] as const; // prettier-ignore
const TYPES: Readonly<Record<number, string>> = { 1: "relocatable", 2: "executable", 3: "shared or position-independent", 4: "core" }; // prettier-ignore
const MACHINES: Readonly<Record<number, string>> = { 3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64" };
const SEGMENTS: Readonly<Record<number, string>> = {
  ...{ 1: "LOAD", 2: "DYNAMIC", 3: "INTERP", 4: "NOTE", 6: "PHDR", 7: "TLS" },
  ...{ 0x6474e550: "GNU_EH_FRAME", 0x6474e551: "GNU_STACK", 0x6474e552: "GNU_RELRO", 0x6474e553: "GNU_PROPERTY" },
};
const MOST_PARTS = 256;
const MOST_NAMES = 2000;
/** Compressed code has more; code as compilers write it has about 6. */
const PACKED_ENTROPY = 7.2;

/** A part of an ELF file that is loaded. */
export interface SegmentFacts {
  readonly type: string;
  /** Such as "r-x". */
  readonly permissions: string;
  /** Hexadecimal. */
  readonly address: string;
  readonly fileSize: number;
  readonly memorySize: number;
  /** Of its bytes in the file, 0 to 8; undefined without any. */
  readonly entropy: number | undefined;
}

/** A section of an ELF file. */
export interface SectionFacts {
  readonly name: string;
  /** Letters of readelf(1): W is written to, A in memory, X executed. */
  readonly flags: string;
  readonly address: string;
  readonly size: number;
  readonly entropy: number | undefined;
}

/** The facts of an ELF file. */
export interface ElfFacts {
  readonly bits: 32 | 64;
  readonly type: string;
  readonly machine: string;
  readonly entry: string;
  readonly interpreter: string | undefined;
  readonly soname: string | undefined;
  readonly needed: readonly string[];
  readonly buildId: string | undefined;
  readonly segments: readonly SegmentFacts[];
  readonly sections: readonly SectionFacts[];
  readonly imports: { readonly count: number; readonly names: readonly string[] };
  readonly exports: { readonly count: number; readonly names: readonly string[] };
  /** Signs that its code is packed, a sentence each. */
  readonly packerSigns: readonly string[];
}

/**
 * Reads the facts of an ELF file.
 *
 * @throws ElfError when there is no header that can be read
 */
export function readElfFacts(bytes: Uint8Array): ElfFacts {
  const elf = new Elf(elfSourceOf(bytes));
  const entropyOf = (offset: number, size: number): number | undefined => {
    const part = size > 0 && offset < bytes.length ? bytes.subarray(offset, Math.min(bytes.length, offset + size)) : [];
    return part.length === 0 ? undefined : computeEntropy(part as Uint8Array);
  };
  const segments = elf.segments.map(({ type, flags, address, offset, fileSize, memorySize }) => ({
    type: SEGMENTS[type] ?? hex(BigInt(type)),
    permissions: `${flags & PF_R ? "r" : "-"}${flags & PF_W ? "w" : "-"}${flags & PF_X ? "x" : "-"}`,
    ...{ address: hex(address), fileSize: Number(fileSize), memorySize: Number(memorySize) },
    entropy: entropyOf(Number(offset), Number(fileSize)),
  }));
  const sections = elf.sections.slice(1, MOST_PARTS).map(({ name, type, flags, address, offset, size }) => ({
    name,
    flags: SECTION_FLAGS.map(([bit, letter]) => ((flags & bit) !== 0n ? letter : "")).join(""),
    ...{ address: hex(address), size, entropy: type === NO_BITS ? undefined : entropyOf(offset, size) },
  }));
  const symbols = elf.listDynamicSymbols();
  const namesOf = (isDefined: boolean) => {
    const names = symbols.filter((symbol) => symbol.isDefined === isDefined).map(({ name }) => name);
    return { count: names.length, names: names.slice(0, MOST_NAMES) };
  };
  return {
    ...{ bits: elf.bits, type: TYPES[elf.type] ?? String(elf.type), machine: MACHINES[elf.machine] ?? String(elf.machine) }, // prettier-ignore
    ...{ entry: hex(elf.entry), interpreter: elf.interpreter, soname: elf.soname, needed: elf.needed },
    ...{ buildId: elf.buildId, segments, sections, imports: namesOf(false), exports: namesOf(true) },
    packerSigns: findPackerSigns(bytes, elf, segments),
  };
}

/** Looks for what packers leave; each alone may have another reason. */
function findPackerSigns(bytes: Uint8Array, elf: Elf, segments: readonly SegmentFacts[]): string[] {
  const signs: string[] = [];
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  // UPX: struct l_info behind the program headers, and its note for people (src/stub/src/include/linux.h of UPX).
  if (file.subarray(0, 4096).includes("UPX!")) signs.push("UPX: its magic number is in the first page");
  else if (file.includes("UPX!")) signs.push("UPX: its magic number is in the file");
  if (file.includes("This file is packed with the UPX")) signs.push("UPX: it says so in words");
  const code = segments.filter(({ type, permissions }) => type === "LOAD" && permissions.includes("x"));
  if (code.some(({ permissions }) => permissions.includes("w"))) signs.push("a segment is writable and executable");
  if (code.some(({ entropy }) => entropy !== undefined && entropy > PACKED_ENTROPY)) {
    signs.push(`executable code looks compressed or encrypted (entropy above ${PACKED_ENTROPY})`);
  }
  if (elf.sections.length === 0) signs.push("it has no table of sections");
  const entrySegment = elf.segments.find(
    ({ type, address, memorySize }) => type === PT_LOAD && elf.entry >= address && elf.entry - address < memorySize,
  );
  if (entrySegment !== undefined && entrySegment.memorySize > 10n * entrySegment.fileSize) {
    signs.push("most of the memory that it begins in is not in the file");
  }
  return signs;
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
