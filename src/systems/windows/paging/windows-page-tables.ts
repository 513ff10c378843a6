import { PageTables } from "../../memory/page-tables";
import type { Ram } from "../../memory/ram";

/** Bits of an entry that is not valid: _MMPTE_TRANSITION, _MMPTE_PROTOTYPE and _MMPTE_SOFTWARE of all builds from 7 to 11. */
const VALID = 1n;
const SWIZZLED = 1n << 4n;
const PROTOTYPE = 1n << 10n;
const TRANSITION = 1n << 11n;
/** _MMPTE_TRANSITION.PageFrameNumber has up to 40 bits, from bit 12 on. */
const FRAME_MASK = 0xffffffffff000n;
const PROTO_SHIFT = 16n;
/** A prototype's address that means: the range's own record has it. */
const LOOK_IN_RANGE = 0xffffffff0000n;
const PAGE_FILE_MASK = 0xfn;

/** Where a page is that no valid entry leads to. */
type Missing =
  { readonly kind: "frame"; readonly physical: number } | { readonly kind: "absent"; readonly reason: string };

/**
 * The page tables of a Windows of 64 bits, with the pages that are in memory though no valid entry leads to them: those that were taken
 * from a process and not reused yet (transition), and those of sections that several processes share (prototype).
 */
export class WindowsPageTables extends PageTables {
  readonly #ram: Ram;
  /** The page tables of the kernel, which maps all prototypes. */
  readonly #kernelRoot: number;
  /** The bit that Windows sets in entries that are not valid, against speculation (L1TF); 0 where it does not. */
  readonly #swizzle: bigint;

  /**
   * @param tables those by which the kernel was found
   * @param kernelRoot the physical address of the kernel's highest table
   * @param physicalBits of physical addresses, as the kernel knows it (KiImplementedPhysicalBits); 0 where it has no such variable
   */
  constructor(ram: Ram, { mode }: PageTables, kernelRoot: number, physicalBits: number) {
    super(ram, mode);
    this.#ram = ram;
    this.#kernelRoot = kernelRoot;
    this.#swizzle = physicalBits >= 36 && physicalBits <= 52 ? 1n << BigInt(physicalBits - 1) : 0n;
  }

  override translate(root: number, address: bigint): number {
    const physical = super.translate(root, address);
    if (physical >= 0) return physical;
    const missing = this.#find(root, address);
    return missing?.kind === "frame" ? missing.physical + Number(address & 0xfffn) : -1;
  }

  override explain(root: number, address: bigint): string | undefined {
    const missing = this.#find(root, address);
    return missing?.kind === "absent" ? missing.reason : undefined;
  }

  #find(root: number, address: bigint): Missing | undefined {
    if (this.pointerSize !== 8) return undefined;
    const place = this.findPageEntry(root, address);
    if (place === undefined) return undefined;
    return this.#decode(this.#readEntry(place), true);
  }

  #decode(entry: bigint, mayBePrototype: boolean): Missing | undefined {
    if (entry === 0n) return { kind: "absent", reason: "its page was not used yet" };
    if ((entry & VALID) !== 0n) return { kind: "frame", physical: Number(entry & FRAME_MASK) };
    if ((entry & PROTOTYPE) !== 0n) {
      if (!mayBePrototype) return { kind: "absent", reason: "its page is in a file, and was not read yet" };
      return this.#followPrototype(this.#undoSwizzle(entry));
    }
    const whole = this.#undoSwizzle(entry);
    if ((entry & TRANSITION) !== 0n) return { kind: "frame", physical: Number(whole & FRAME_MASK) };
    const page = whole >> 32n;
    if (page === 0n) return { kind: "absent", reason: "its page was not used yet" };
    const file = (whole >> 12n) & PAGE_FILE_MASK;
    return { kind: "absent", reason: `its page is in the page file ${file}, at page 0x${page.toString(16)}` };
  }

  #followPrototype(entry: bigint): Missing {
    const address = BigInt.asUintN(64, BigInt.asIntN(64, entry) >> PROTO_SHIFT);
    if ((address & LOOK_IN_RANGE) === LOOK_IN_RANGE && address >> 48n === 0n) {
      return { kind: "absent", reason: "its page belongs to a section, and was not used yet" };
    }
    // A prototype lies at a multiple of 8, within a page that is valid itself.
    const physical = super.translate(this.#kernelRoot, address & ~7n);
    const found = physical < 0 ? undefined : this.#decode(this.#readEntry(physical), false);
    return found ?? { kind: "absent", reason: "its page belongs to a section whose record is not in memory" };
  }

  /** Entries whose bit says so are as they were written. */
  #undoSwizzle(entry: bigint): bigint {
    return (entry & SWIZZLED) === 0n ? entry & ~this.#swizzle : entry;
  }

  /** 0 where there is no RAM. */
  #readEntry(place: number): bigint {
    const [low, high] = [this.#ram.findWord32(place), this.#ram.findWord32(place + 4)];
    return low < 0 || high < 0 ? 0n : (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  }
}
