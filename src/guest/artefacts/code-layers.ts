const PAGE = 4096;
/** So many bytes behind the program counter tell code from code: data beside it may change. */
const COMPARED = 64;
/** Addresses of the kernel begin here. */
const KERNEL = 1n << 63n;

/** Code that was written at run time, as it was when it was executed first. */
export interface CodeRegion {
  readonly start: bigint;
  /** Exclusive. */
  readonly end: bigint;
  /** 1 for code that the program's own files have written, 2 for code that such code has written, and so on. */
  readonly layer: number;
  /** The pages that were in RAM, by their addresses. */
  readonly pages: Map<bigint, Uint8Array>;
}

/** A range of memory that was made executable, with the layer of the code that did it. */
interface MadeRange {
  readonly start: bigint;
  readonly end: bigint;
  readonly layer: number;
}

/**
 * Counts the layers of code that a program unpacks in an address space. Code is one layer above the code that wrote it, as far as that
 * is known, and above the code that made its memory executable: so the number is the least that it can be.
 */
export class CodeLayers {
  /** The newest one comes last, and hides those below it. */
  readonly #regions: CodeRegion[] = [];
  readonly #made: MadeRange[] = [];

  /** Finds the layer of code that has been executed; 0 for that of files. */
  findLayer(address: bigint): number {
    return this.#findRegion(address)?.layer ?? 0;
  }

  /**
   * Notes that memory was made executable.
   *
   * @param by addresses in the code that did it, and its callers
   */
  noteMade(start: bigint, end: bigint, by: readonly bigint[]): void {
    const layer = Math.max(0, ...by.map((address) => this.findLayer(address)));
    const same = this.#made.findIndex((one) => one.start === start && one.end === end);
    if (same >= 0) this.#made.splice(same, 1);
    this.#made.push({ start, end, layer });
  }

  /**
   * Judges code that is about to be executed.
   *
   * @param bytes of its page, as they are now
   * @param writer an address in the code that wrote it; 0 when that is not known
   * @returns the layer, and whether it is a new one there; undefined when the code is what was executed there before
   */
  judge(
    pc: bigint,
    bytes: Uint8Array,
    writer: bigint,
  ): { readonly layer: number; readonly isNew: boolean } | undefined {
    const region = this.#findRegion(pc);
    const before = region?.pages.get(pc - (pc % BigInt(PAGE)));
    if (before !== undefined && isSameCode(pc, bytes, before)) return undefined;
    const written = writer === 0n || writer >= KERNEL ? 0 : this.findLayer(writer);
    const layer = 1 + Math.max(written, this.#made.findLast(({ start, end }) => pc >= start && pc < end)?.layer ?? 0);
    if (region === undefined || layer > region.layer) return { layer, isNew: true };
    return { layer: region.layer, isNew: false };
  }

  /** Adds code that is executed from now on. */
  add(region: CodeRegion): void {
    this.#regions.push(region);
  }

  /** Notes code that is executed from now on in a page, beside what is known of its region. */
  update(pc: bigint, bytes: Uint8Array): void {
    this.#findRegion(pc)?.pages.set(pc - (pc % BigInt(PAGE)), bytes);
  }

  /** Lists the memory that was made executable. */
  get ranges(): readonly { readonly start: bigint; readonly end: bigint }[] {
    return this.#made;
  }

  /** Lists the regions, the oldest one first. */
  get regions(): readonly CodeRegion[] {
    return this.#regions;
  }

  /** Copies all for a process that was forked. */
  copy(): CodeLayers {
    const copy = new CodeLayers();
    copy.#regions.push(...this.#regions);
    copy.#made.push(...this.#made);
    return copy;
  }

  #findRegion(address: bigint): CodeRegion | undefined {
    return this.#regions.findLast(({ start, end }) => address >= start && address < end);
  }
}

/** Compares the code of two states of a page, from the program counter on. */
export function isSameCode(pc: bigint, page: Uint8Array, other: Uint8Array): boolean {
  const from = Number(pc % BigInt(PAGE));
  return Buffer.compare(page.subarray(from, from + COMPARED), other.subarray(from, from + COMPARED)) === 0;
}
