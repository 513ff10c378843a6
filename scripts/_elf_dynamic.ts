/** Reads the table that a program or library has for its loader, out of memory, and takes back what the loader did: for dumper. */

/** Tags (elf(5), and the GNU extensions of glibc's elf/elf.h). */
const TAG = {
  ...{ PLTRELSZ: 2, HASH: 4, STRTAB: 5, SYMTAB: 6, RELA: 7, RELASZ: 8, STRSZ: 10, DEBUG: 21, JMPREL: 23 },
  ...{ INIT_ARRAY: 25, FINI_ARRAY: 26, INIT_ARRAYSZ: 27, FINI_ARRAYSZ: 28, RELRSZ: 35, RELR: 36 },
  ...{ GNU_HASH: 0x6ffffef5, VERSYM: 0x6ffffff0, VERDEF: 0x6ffffffc, VERDEFNUM: 0x6ffffffd },
  ...{ VERNEED: 0x6ffffffe, VERNEEDNUM: 0x6fffffff },
} as const;
/** Tags whose values are addresses, which some loaders replace by those in the process. */
const ADDRESSES = new Set<number>([
  ...[3, TAG.HASH, TAG.STRTAB, TAG.SYMTAB, TAG.RELA, 12, 13, 17, TAG.JMPREL, TAG.INIT_ARRAY, TAG.FINI_ARRAY, 32],
  ...[TAG.RELR, TAG.GNU_HASH, TAG.VERSYM, TAG.VERDEF, TAG.VERNEED],
]);
const [ENTRY, SYMBOL, RELA] = [16, 24, 24];
const MOST_ENTRIES = 1024;
const MOST_SYMBOLS = 1 << 20;
const MOST_VERSIONS = 4096;
/** System V ABI, AMD64 supplement, relocation types. */
const [R_GLOB_DAT, R_JUMP_SLOT, R_RELATIVE] = [6, 7, 8];
const [SHF_WRITE, SHF_ALLOC] = [1, 2];
const SHT = {
  ...{ STRTAB: 3, RELA: 4, HASH: 5, DYNAMIC: 6, DYNSYM: 11, INIT_ARRAY: 14, FINI_ARRAY: 15, RELR: 19 },
  ...{ GNU_HASH: 0x6ffffff6, VERDEF: 0x6ffffffd, VERNEED: 0x6ffffffe, VERSYM: 0x6fffffff },
} as const;

/** A section of the new file. Its place in the file is that in memory: the distance from the lowest address. */
export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly address: bigint;
  readonly size: bigint;
  /** The name of the section that it needs. */
  readonly link?: string;
  readonly info?: number;
  readonly entrySize?: number;
}

/** An import, and where it leads now. */
export interface ElfImport {
  readonly name: string;
  /** Where the address lies: as in the file. */
  readonly slot: bigint;
  /** In the process. */
  readonly to: bigint;
}

/** The memory of a module, from its lowest address on. */
export interface ModuleMemory {
  /** Is changed. */
  readonly memory: Buffer;
  /** As it was linked. */
  readonly lowest: bigint;
  /** The distance from there to where it lies in the process. */
  readonly bias: bigint;
}

/** The table for the loader, PT_DYNAMIC. Every address in it may be wrong. */
export class ElfDynamic {
  readonly #module: ModuleMemory;
  readonly #place: { readonly address: bigint; readonly size: bigint };
  readonly #values = new Map<number, bigint>();

  constructor(module: ModuleMemory, place: { readonly address: bigint; readonly size: bigint }) {
    this.#module = module;
    this.#place = place;
    for (const { tag, value, at } of this.#entries()) {
      const linked = ADDRESSES.has(tag) ? this.#unbias(value) : tag === TAG.DEBUG ? 0n : value;
      if (linked !== value) module.memory.writeBigUInt64LE(linked, at + 8);
      if (!this.#values.has(tag)) this.#values.set(tag, linked);
    }
  }

  /** Lists what it imports, with the addresses that are there now. */
  listImports(): ElfImport[] {
    const imports: ElfImport[] = [];
    for (const { slot, type, symbol } of this.#relocations()) {
      if (type !== R_GLOB_DAT && type !== R_JUMP_SLOT) continue;
      const [name, to] = [this.#nameOf(symbol), this.#long(slot)];
      if (name !== undefined && to !== undefined) imports.push({ name, slot, to });
    }
    return imports;
  }

  /** Takes what the loader has added out of all addresses of its own that it has relocated. */
  undoRelocations(): void {
    const { memory, bias } = this.#module;
    for (const { slot, type, addend } of this.#relocations()) {
      const at = this.#placeOf(slot, 8);
      if (type === R_RELATIVE && at !== undefined) memory.writeBigUInt64LE(BigInt.asUintN(64, addend), at);
    }
    for (const slot of this.#packedRelocations()) {
      const at = this.#placeOf(slot, 8);
      if (at !== undefined) memory.writeBigUInt64LE(BigInt.asUintN(64, memory.readBigUInt64LE(at) - bias), at);
    }
  }

  /** Lists the sections that the table tells of. */
  listSections(): ElfSection[] {
    const symbols = this.#countSymbols();
    const section = (
      name: string,
      type: number,
      tag: number,
      size: bigint | number,
      more: Partial<ElfSection> = {},
    ): ElfSection[] => {
      // prettier-ignore
      const address = this.#values.get(tag);
      if (address === undefined || BigInt(size) === 0n) return [];
      return [{ name, type, flags: SHF_ALLOC, address, size: BigInt(size), ...more }];
    };
    const value = (tag: number) => this.#values.get(tag) ?? 0n;
    const [symbolLink, textLink] = [{ link: ".dynsym" }, { link: ".dynstr" }];
    const isWritten = { flags: SHF_ALLOC | SHF_WRITE };
    const [needed, defined] = [Number(value(TAG.VERNEEDNUM)), Number(value(TAG.VERDEFNUM))];
    return [
      ...section(".hash", SHT.HASH, TAG.HASH, this.#sizeOfHash(), { ...symbolLink, entrySize: 4 }),
      ...section(".gnu.hash", SHT.GNU_HASH, TAG.GNU_HASH, this.#sizeOfGnuHash(symbols), symbolLink),
      ...section(".dynsym", SHT.DYNSYM, TAG.SYMTAB, symbols * SYMBOL, { ...textLink, info: 1, entrySize: SYMBOL }),
      ...section(".dynstr", SHT.STRTAB, TAG.STRTAB, value(TAG.STRSZ)),
      ...section(".gnu.version", SHT.VERSYM, TAG.VERSYM, symbols * 2, { ...symbolLink, entrySize: 2 }),
      ...section(".gnu.version_d", SHT.VERDEF, TAG.VERDEF, this.#sizeOfVersions(TAG.VERDEF, defined, [6, 12, 16, 8, 20], 4), { ...textLink, info: defined }), // prettier-ignore
      ...section(".gnu.version_r", SHT.VERNEED, TAG.VERNEED, this.#sizeOfVersions(TAG.VERNEED, needed, [2, 8, 12, 16, 16], 12), { ...textLink, info: needed }), // prettier-ignore
      ...section(".rela.dyn", SHT.RELA, TAG.RELA, value(TAG.RELASZ), { ...symbolLink, entrySize: RELA }),
      ...section(".rela.plt", SHT.RELA, TAG.JMPREL, value(TAG.PLTRELSZ), { ...symbolLink, entrySize: RELA }),
      ...section(".relr.dyn", SHT.RELR, TAG.RELR, value(TAG.RELRSZ), { entrySize: 8 }),
      ...section(".init_array", SHT.INIT_ARRAY, TAG.INIT_ARRAY, value(TAG.INIT_ARRAYSZ), { ...isWritten, entrySize: 8 }), // prettier-ignore
      ...section(".fini_array", SHT.FINI_ARRAY, TAG.FINI_ARRAY, value(TAG.FINI_ARRAYSZ), { ...isWritten, entrySize: 8 }), // prettier-ignore
      { name: ".dynamic", type: SHT.DYNAMIC, ...this.#place, ...isWritten, ...textLink, entrySize: ENTRY },
    ];
  }

  *#entries() {
    for (let index = 0; index < MOST_ENTRIES; index++) {
      const at = this.#placeOf(this.#place.address + BigInt(index * ENTRY), ENTRY);
      if (at === undefined) return;
      const tag = Number(this.#module.memory.readBigUInt64LE(at));
      if (tag === 0) return;
      yield { at, tag, value: this.#module.memory.readBigUInt64LE(at + 8) };
    }
  }

  /** glibc replaces addresses in the table where it may write there, other loaders do not. */
  #unbias(value: bigint): bigint {
    const { lowest, bias, memory } = this.#module;
    const isLinked = value >= lowest && value < lowest + BigInt(memory.length);
    return isLinked || value < bias ? value : value - bias;
  }

  *#relocations() {
    for (const [table, size] of [
      [TAG.RELA, TAG.RELASZ],
      [TAG.JMPREL, TAG.PLTRELSZ],
    ] as const) {
      // prettier-ignore
      const [from, bytes] = [this.#values.get(table), this.#values.get(size) ?? 0n];
      if (from === undefined) continue;
      for (let offset = 0n; offset < bytes; offset += BigInt(RELA)) {
        const at = this.#placeOf(from + offset, RELA);
        if (at === undefined) break;
        const { memory } = this.#module;
        const [type, symbol] = [memory.readUInt32LE(at + 8), memory.readUInt32LE(at + 12)];
        yield { slot: memory.readBigUInt64LE(at), type, symbol, addend: memory.readBigInt64LE(at + 16) };
      }
    }
  }

  /** DT_RELR: an address, and behind it words whose bits stand for the 63 that follow it. */
  *#packedRelocations(): Iterable<bigint> {
    const [from, size] = [this.#values.get(TAG.RELR), this.#values.get(TAG.RELRSZ) ?? 0n];
    if (from === undefined) return;
    let next = 0n;
    for (let offset = 0n; offset < size; offset += 8n) {
      const word = this.#long(from + offset);
      if (word === undefined) return;
      if ((word & 1n) === 0n) {
        yield word;
        next = word + 8n;
        continue;
      }
      for (let bit = 1n; bit < 64n; bit++) if ((word >> bit) & 1n) yield next + (bit - 1n) * 8n;
      next += 63n * 8n;
    }
  }

  #nameOf(symbol: number): string | undefined {
    const table = this.#values.get(TAG.SYMTAB);
    const texts = this.#values.get(TAG.STRTAB);
    const at = table === undefined ? undefined : this.#placeOf(table + BigInt(symbol * SYMBOL), SYMBOL);
    if (at === undefined || texts === undefined) return undefined;
    const { memory } = this.#module;
    const from = this.#placeOf(texts + BigInt(memory.readUInt32LE(at)), 1);
    const to = from === undefined ? -1 : memory.indexOf(0, from);
    return from === undefined || to <= from ? undefined : memory.toString("latin1", from, to);
  }

  /** The number of symbols stands nowhere: the hash table of System V has as many chains, that of GNU ends with the last of them. */
  #countSymbols(): number {
    const plain = this.#values.get(TAG.HASH);
    if (plain !== undefined) return Math.min(this.#word(plain + 4n) ?? 0, MOST_SYMBOLS);
    const hash = this.#values.get(TAG.GNU_HASH);
    if (hash === undefined) return 0;
    const [buckets = 0, first = 0, bloom = 0] = [0n, 4n, 8n].map((offset) => this.#word(hash + offset) ?? 0);
    const bucketsAt = hash + 16n + BigInt(bloom) * 8n;
    let last = 0;
    for (let index = 0; index < Math.min(buckets, MOST_SYMBOLS); index++) {
      last = Math.max(last, this.#word(bucketsAt + BigInt(index * 4)) ?? 0);
    }
    if (last < first) return first;
    const chainsAt = bucketsAt + BigInt(buckets) * 4n;
    while (last < MOST_SYMBOLS && ((this.#word(chainsAt + BigInt(last - first) * 4n) ?? 1) & 1) === 0) last++;
    return last + 1;
  }

  #sizeOfHash(): number {
    const hash = this.#values.get(TAG.HASH);
    return hash === undefined ? 0 : 4 * (2 + (this.#word(hash) ?? 0) + (this.#word(hash + 4n) ?? 0));
  }

  #sizeOfGnuHash(symbols: number): number {
    const hash = this.#values.get(TAG.GNU_HASH);
    if (hash === undefined) return 0;
    const [buckets = 0, first = 0, bloom = 0] = [0n, 4n, 8n].map((offset) => this.#word(hash + offset) ?? 0);
    return 16 + bloom * 8 + buckets * 4 + Math.max(0, symbols - first) * 4;
  }

  /** @param places of a record: the number of its parts, the first of them, the next record, the size of a part, its own size */
  #sizeOfVersions(tag: number, count: number, places: readonly number[], nextPart: number): number {
    const [countAt = 0, firstAt = 0, nextAt = 0, partSize = 0, ownSize = 0] = places;
    const start = this.#values.get(tag);
    if (start === undefined) return 0;
    let [end, record] = [start, start];
    for (let index = 0; index < Math.min(count, MOST_VERSIONS); index++) {
      let part = record + BigInt(this.#word(record + BigInt(firstAt)) ?? 0);
      const parts = (this.#word(record + BigInt(countAt)) ?? 0) & 0xffff;
      if (record + BigInt(ownSize) > end) end = record + BigInt(ownSize);
      for (let done = 0; done < parts; done++) {
        if (part + BigInt(partSize) > end) end = part + BigInt(partSize);
        part += BigInt(this.#word(part + BigInt(nextPart)) ?? 0);
      }
      record += BigInt(this.#word(record + BigInt(nextAt)) ?? 0);
    }
    return Number(end - start);
  }

  #word(address: bigint): number | undefined {
    const at = this.#placeOf(address, 4);
    return at === undefined ? undefined : this.#module.memory.readUInt32LE(at);
  }

  #long(address: bigint): bigint | undefined {
    const at = this.#placeOf(address, 8);
    return at === undefined ? undefined : this.#module.memory.readBigUInt64LE(at);
  }

  /** Where an address lies in the memory; undefined where it has not so many bytes. */
  #placeOf(address: bigint, size: number): number | undefined {
    const at = address - this.#module.lowest;
    return at < 0n || at + BigInt(size) > BigInt(this.#module.memory.length) ? undefined : Number(at);
  }
}
