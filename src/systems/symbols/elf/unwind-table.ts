import { ElfError } from "../../errors";
import { DwarfReader } from "./dwarf-reader";
import type { Elf } from "./elf";

/** The segment that holds .eh_frame_hdr (Linux Standard Base, core generic, 12.2). */
const PT_GNU_EH_FRAME = 0x6474e550;
/** Both addresses of an entry of the search table as signed words, relative to the table: the one way that linkers use. */
const SORTED_WORDS = 0x3b;
/** Bytes of an entry of the search table. */
const SORTED_ENTRY = 8;
const LARGEST_HEADER = 1 << 26;
/** Entries are some dozen bytes long; those of the largest functions some thousands. */
const LARGEST_ENTRY = 1 << 16;
const MOST_ENTRIES = 1_000_000;
const MOST_COMMON = 4096;
/** Of .eh_frame that is read as a whole: that of a large browser has some MiB. */
const LARGEST_SECTION = 16 << 20;

/** A part of .eh_frame that many entries share (CIE). */
interface CommonEntry {
  readonly codeAlignment: bigint;
  readonly dataAlignment: bigint;
  readonly returnRegister: number;
  readonly addressEncoding: number;
  readonly hasLength: boolean;
  readonly isSignalFrame: boolean;
  readonly program: Uint8Array;
}

/** The rules of .eh_frame for the code of a function (FDE with its CIE). */
export interface UnwindEntry {
  /** By the file's own addresses; the end is not in it. */
  readonly start: bigint;
  readonly end: bigint;
  readonly common: CommonEntry;
  readonly program: Uint8Array;
}

/**
 * The unwind data of an ELF file: how the registers of a caller are found at each instruction (Linux Standard Base, core generic, 10.6;
 * DWARF 5, 6.4). Nothing in it is trusted.
 */
export class UnwindTable {
  readonly #common = new Map<bigint, CommonEntry>();
  #scanned: readonly UnwindEntry[] | undefined;

  private constructor(
    private readonly elf: Elf,
    /** Of .eh_frame_hdr, where it has a table to search in. */
    private readonly sorted: { readonly place: bigint; readonly entries: DataView } | undefined,
    /** Of .eh_frame, where there is no such table. */
    private readonly section: { readonly place: bigint; readonly bytes: Uint8Array } | undefined,
  ) {}

  /**
   * Finds the unwind data.
   *
   * @param known that of the same file in another process, perhaps: what was read of it is not read again where the bytes are the same
   * @returns undefined in a file without any, or when nothing of it can be read
   */
  static find(elf: Elf, known?: UnwindTable): UnwindTable | undefined {
    const sorted = findSorted(elf);
    if (sorted !== undefined) return new UnwindTable(elf, sorted, undefined);
    const section = elf.sections.find(({ name, size }) => name === ".eh_frame" && size > 0 && size <= LARGEST_SECTION);
    const bytes = section && elf.findBytes(section.address, section.size);
    if (section === undefined || bytes === undefined) return undefined;
    // One table for all processes, which reads nothing but the bytes that it has.
    if (known?.section && known.bits === elf.bits && known.section.place === section.address && Buffer.compare(known.section.bytes, bytes) === 0) return known; // prettier-ignore
    return new UnwindTable(elf, undefined, { place: section.address, bytes });
  }

  get bits(): 32 | 64 {
    return this.elf.bits;
  }

  /**
   * Finds what is said of an instruction.
   *
   * @param address by the file's own addresses
   * @returns undefined when nothing is, or it is not in memory
   * @throws ElfError when it is damaged
   */
  findEntry(address: bigint): UnwindEntry | undefined {
    const entry = this.sorted === undefined ? this.#scan(address) : this.#search(this.sorted, address);
    return entry !== undefined && address >= entry.start && address < entry.end ? entry : undefined;
  }

  /** The last entry that does not begin behind the address. */
  #search({ place, entries }: NonNullable<typeof this.sorted>, address: bigint): UnwindEntry | undefined {
    const at = (index: number, which: 0 | 4): bigint =>
      BigInt.asUintN(this.bits, place + BigInt(entries.getInt32(index * SORTED_ENTRY + which, true)));
    let low = 0;
    let high = entries.byteLength / SORTED_ENTRY;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (at(middle, 0) <= address) low = middle + 1;
      else high = middle;
    }
    const part = low === 0 ? undefined : this.#open(at(low - 1, 4));
    return part && this.#readEntry(part.reader);
  }

  /** Without a table to search in, all entries are read, once. */
  #scan(address: bigint): UnwindEntry | undefined {
    const entries = (this.#scanned ??= [...this.#list()].sort((a, b) => (a.start < b.start ? -1 : 1)));
    let low = 0;
    let high = entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (entries[middle]!.start <= address) low = middle + 1;
      else high = middle;
    }
    return entries[low - 1];
  }

  *#list(): IterableIterator<UnwindEntry> {
    if (this.section === undefined) return;
    const { place, bytes } = this.section;
    const end = place + BigInt(bytes.length);
    for (let at = place, count = 0; at < end && count < MOST_ENTRIES; count++) {
      const part = this.#open(at);
      if (part === undefined) return;
      at = part.next;
      const entry = this.#findEntryIn(part.reader);
      if (entry !== undefined) yield entry;
    }
  }

  /** One entry that is damaged hides no other. */
  #findEntryIn(reader: DwarfReader): UnwindEntry | undefined {
    try {
      return this.#readEntry(reader);
    } catch (error) {
      if (error instanceof ElfError) return undefined;
      throw error;
    }
  }

  /** Reads an entry; undefined for a common part, which is none, and where what it needs is not in memory. */
  #readEntry(reader: DwarfReader): UnwindEntry | undefined {
    const field = reader.place;
    const distance = reader.unsigned(4);
    const common = distance === 0n ? undefined : this.#findCommon(field - distance);
    if (common === undefined) return undefined;
    const start = reader.pointer(common.addressEncoding);
    // A length has the form of an address, and is relative to nothing.
    const length = reader.pointer(common.addressEncoding & 0x0f);
    if (start === undefined || length === undefined) return undefined;
    if (common.hasLength) reader.block(reader.count());
    const program = reader.bytes.subarray(reader.at);
    return { start, end: start + length, common, program };
  }

  #findCommon(place: bigint): CommonEntry | undefined {
    let common = this.#common.get(place);
    if (common !== undefined) return common;
    const reader = this.#open(place)?.reader;
    // Zero marks it.
    if (reader === undefined || reader.unsigned(4) !== 0n) return undefined;
    common = readCommon(reader);
    if (this.#common.size >= MOST_COMMON) this.#common.clear();
    this.#common.set(place, common);
    return common;
  }

  /** Finds bytes: in the section, which was read as a whole, or in the file. */
  #find(place: bigint, size: number): Uint8Array | undefined {
    if (this.section === undefined) return this.elf.findWhole(place, size);
    const at = Number(place - this.section.place);
    return at >= 0 && at + size <= this.section.bytes.length ? this.section.bytes.subarray(at, at + size) : undefined;
  }

  /** Opens what is at a place, without its length; undefined at the end of all, and when it is not in memory. */
  #open(place: bigint): { readonly reader: DwarfReader; readonly next: bigint } | undefined {
    const head = this.#find(place, 4);
    if (head === undefined) return undefined;
    const size = new DataView(head.buffer, head.byteOffset).getUint32(0, true);
    // 0xffffffff is followed by a length of 64 bits, which nobody needs.
    if (size === 0 || size > LARGEST_ENTRY) return undefined;
    const bytes = this.#find(place + 4n, size);
    if (bytes === undefined) return undefined;
    return { reader: new DwarfReader(bytes, place + 4n, this.bits), next: place + 4n + BigInt(size) };
  }
}

function readCommon(reader: DwarfReader): CommonEntry {
  const version = reader.byte();
  if (version !== 1 && version !== 3) throw new ElfError(`its unwind data has the unknown version ${version}`);
  const augmentation = reader.text();
  const codeAlignment = reader.uleb();
  const dataAlignment = reader.sleb();
  const returnRegister = version === 1 ? reader.byte() : Number(reader.uleb());
  const hasLength = augmentation.startsWith("z");
  let addressEncoding = 0;
  if (hasLength) {
    const size = reader.count();
    const end = reader.at + size;
    for (const letter of augmentation.slice(1)) {
      if (letter === "R") addressEncoding = reader.byte();
      else if (letter === "L") reader.byte();
      else if (letter === "P") reader.pointer(reader.byte());
      // Of others, only S is known, which says nothing more; the length leads behind them.
      else if (letter !== "S") break;
    }
    reader.at = Math.min(end, reader.bytes.length);
  }
  const isSignalFrame = hasLength && augmentation.includes("S");
  const program = reader.bytes.subarray(reader.at);
  return { codeAlignment, dataAlignment, returnRegister, addressEncoding, hasLength, isSignalFrame, program };
}

function findSorted(elf: Elf): { readonly place: bigint; readonly entries: DataView } | undefined {
  const segment = elf.segments.find(({ type }) => type === PT_GNU_EH_FRAME);
  const size = segment === undefined ? 0 : Number(segment.memorySize);
  if (segment === undefined || size < 12 || size > LARGEST_HEADER) return undefined;
  // Where a page of it is missing, what lies there is not found: an entry says itself which code it is about.
  const bytes = elf.findBytes(segment.address, size);
  if (bytes === undefined) return undefined;
  const reader = new DwarfReader(bytes, segment.address, elf.bits);
  const [version, frameEncoding, countEncoding, tableEncoding] = [reader.byte(), reader.byte(), reader.byte(), reader.byte()]; // prettier-ignore
  if (version !== 1 || tableEncoding !== SORTED_WORDS) return undefined;
  reader.pointer(frameEncoding, segment.address);
  const count = reader.pointer(countEncoding, segment.address) ?? 0n;
  const left = Math.floor((bytes.length - reader.at) / SORTED_ENTRY);
  const length = SORTED_ENTRY * (count > BigInt(left) ? left : Number(count));
  if (length === 0) return undefined;
  return { place: segment.address, entries: new DataView(bytes.buffer, bytes.byteOffset + reader.at, length) };
}
