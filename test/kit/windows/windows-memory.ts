import { PeImage } from "../../../src/systems/windows/images/pe-image";
import { peSourceOfFile } from "../../../src/systems/windows/images/pe-source";
import type { CpuFacts } from "../../../src/systems/memory/guest-source";
import type { PagingMode } from "../../../src/systems/memory/page-tables";

export type Paging = PagingMode;

const PAGE = 0x1000;
const SIZE = 0x1000000;
/** Present and writable. */
const LINK = 3;

/** For each paging mode: the bits of the address from which each table, the highest first, takes its index; entry sizes. */
const WALKS: Readonly<Record<Paging, { readonly shifts: readonly bigint[]; readonly entry: 4 | 8 }>> = {
  legacy: { shifts: [22n, 12n], entry: 4 },
  pae: { shifts: [30n, 21n, 12n], entry: 8 },
  "4-level": { shifts: [39n, 30n, 21n, 12n], entry: 8 },
  "5-level": { shifts: [48n, 39n, 30n, 21n, 12n], entry: 8 },
};

/** A machine's memory of a test's own making, with page tables, into which images are mapped as Windows maps them. */
export class WindowsMemory {
  readonly bytes = Buffer.alloc(SIZE);
  readonly #paging: Paging;
  #next = 2 * PAGE;

  constructor(paging: Paging) {
    this.#paging = paging;
  }

  /** The end of what is used, in bytes from 0. */
  get used(): number {
    return this.#next;
  }

  /**
   * Maps a PE file at an address as an image, others as they are.
   *
   * @param imageSize what the header in memory says, when it is not to be the file's
   */
  map(address: bigint, file: Buffer, imageSize?: number): void {
    const isImage = file.subarray(0, 2).toString("latin1") === "MZ";
    const laidOut = isImage ? layOut(file, imageSize) : file;
    for (let at = 0; at < laidOut.length; at += PAGE) {
      const page = this.#allocate();
      laidOut.copy(this.bytes, page, at, Math.min(laidOut.length, at + PAGE));
      this.#mapPage(address + BigInt(at), page);
    }
  }

  /** Makes an interrupt descriptor table with one gate, present and of privilege level 0. */
  interruptTable(vector: number, handler: bigint): Buffer {
    const table = Buffer.alloc(PAGE);
    const wide = this.#paging.endsWith("level");
    const at = vector * (wide ? 16 : 8);
    table.writeUInt16LE(Number(handler & 0xffffn), at);
    table.writeUInt16LE(0x8e00, at + 4);
    table.writeUInt16LE(Number((handler >> 16n) & 0xffffn), at + 6);
    if (wide) table.writeUInt32LE(Number(handler >> 32n), at + 8);
    return table;
  }

  /** Makes the registers of a vCPU that uses this memory. */
  cpu(registers: Partial<CpuFacts>): CpuFacts {
    const wide = this.#paging.endsWith("level");
    return {
      ...{ index: 0, cr0: 0x80000011n, cr3: BigInt(PAGE), efer: wide ? 0x500n : 0n },
      cr4: (this.#paging === "legacy" ? 0n : 0x20n) | (this.#paging === "5-level" ? 0x1000n : 0n),
      ...{ lstar: 0n, sysenterEip: 0n, idtBase: 0n, idtLimit: 0 },
      ...registers,
    };
  }

  #allocate(): number {
    const page = this.#next;
    this.#next += PAGE;
    if (this.#next > SIZE) throw new Error("the test's memory is too small");
    return page;
  }

  #mapPage(address: bigint, page: number): void {
    const { shifts, entry } = WALKS[this.#paging];
    let table = PAGE;
    for (const [level, shift] of shifts.entries()) {
      const isTop = level === 0;
      const bits = this.#paging === "legacy" ? 1023n : this.#paging === "pae" && isTop ? 3n : 511n;
      const at = table + Number((address >> shift) & bits) * entry;
      const isLast = level === shifts.length - 1;
      if (isLast) this.bytes.writeUInt32LE(page | LINK, at);
      else if (this.bytes.readUInt32LE(at) === 0) this.bytes.writeUInt32LE(this.#allocate() | LINK, at);
      table = this.bytes.readUInt32LE(at) & ~(PAGE - 1);
    }
  }
}

function layOut(file: Buffer, imageSize: number | undefined): Buffer {
  const source = peSourceOfFile(file);
  const { header } = new PeImage(source);
  const memory = Buffer.alloc(header.imageSize);
  file.copy(memory, 0, 0, header.headersSize);
  for (const { rva, size } of header.sections) memory.set(source.read(rva, size)!, rva);
  if (imageSize !== undefined) memory.writeUInt32LE(imageSize, file.readUInt32LE(60) + 24 + 56);
  return memory;
}
