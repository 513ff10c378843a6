import { findPa, readPa, readVa, writePa, writeVa } from "../../../machine/state/memory";
import { MemoryError } from "../../../machine/errors";
import { CommandError } from "../../errors";
import { evaluate, type NameSource } from "./expression";
import { readSymbolName } from "./symbol-name";

/** An address in virtual or guest-physical memory. */
export interface MemoryPlace {
  readonly isPhysical: boolean;
  readonly address: bigint;
}

/** A range of memory. */
export interface MemoryRange extends MemoryPlace {
  /** The size behind ":"; undefined when none was given. */
  readonly size: bigint | undefined;
}

/** "p" in front of a number, a variable or a register. */
const PHYSICAL = /^p(?=(?:0x)?[0-9a-f]+(?![\w!.])|\\d\d|[$@])/i;

/** Reads an address: "p" in front of it makes it guest-physical. @throws CommandError */
export function parsePlace(text: string, names: NameSource): MemoryPlace {
  const isPhysical = PHYSICAL.test(text) && !readSymbolName(text);
  return { isPhysical, address: evaluate(isPhysical ? text.slice(1) : text, names) };
}

/** Reads "ADDRESS" or "ADDRESS:SIZE". @throws CommandError */
export function parseRange(text: string, names: NameSource): MemoryRange {
  const [place, size, ...more] = splitAtColons(text) as [string, string?, ...string[]];
  if (more.length > 0) throw new CommandError(`"${text}" has too many colons: it is ADDRESS or ADDRESS:SIZE`);
  return { ...parsePlace(place, names), size: size === undefined ? undefined : evaluate(size, names) };
}

/** Splits at the colons that are not in quotes. */
export function splitAtColons(text: string): string[] {
  const parts = [""];
  for (const [piece] of text.matchAll(/"(?:[^"\\]|\\[^])*"|[^]/g)) {
    if (piece === ":") parts.push("");
    else parts.push(`${parts.pop()}${piece}`);
  }
  return parts;
}

/**
 * Gets the size of a range as a number.
 *
 * @param fallback the size when none was given
 * @param most the largest allowed size
 * @throws CommandError when it is 0 or larger
 */
export function getSize(range: MemoryRange, fallback: number, most: number): number {
  if (range.size === undefined) return fallback;
  if (range.size === 0n || range.size > BigInt(most)) {
    throw new CommandError(`the size 0x${range.size.toString(16)} is out of range: from 1 to 0x${most.toString(16)}`);
  }
  return Number(range.size);
}

const PAGE = 0x1000;

/** A piece of memory; bytes that cannot be read are missing. */
export interface GuestBytes {
  readonly bytes: Buffer;
  /** Whether the byte at this index was read. */
  has(index: number): boolean;
}

/**
 * Reads memory, a page at a time, over pages that cannot be read.
 *
 * @param pgd the address space of a virtual address
 * @param size in bytes
 */
export function readGuestBytes(place: MemoryPlace, pgd: bigint, size: number): GuestBytes {
  const bytes = Buffer.alloc(size);
  const holes: { readonly from: number; readonly to: number }[] = [];
  for (let done = 0; done < size;) {
    const at = BigInt.asUintN(64, place.address + BigInt(done));
    const part = Math.min(size - done, PAGE - Number(at & 0xfffn));
    try {
      bytes.set(readExactly({ ...place, address: at }, pgd, part), done);
    } catch (error) {
      if (!(error instanceof MemoryError)) throw error;
      holes.push({ from: done, to: done + part });
    }
    done += part;
  }
  return { bytes, has: (index) => !holes.some(({ from, to }) => index >= from && index < to) };
}

/** Reads memory. @throws MemoryError that names the first address that cannot be read */
export function readExactly(place: MemoryPlace, pgd: bigint, size: number): Buffer {
  return place.isPhysical ? readPa(place.address, size) : readVa(pgd, place.address, size);
}

/** Writes memory, all of it or, when a page of it is not mapped, nothing. @throws MemoryError */
export function writeExactly(place: MemoryPlace, pgd: bigint, bytes: Uint8Array): void {
  readExactly(place, pgd, bytes.length);
  if (place.isPhysical) writePa(place.address, bytes);
  else writeVa(pgd, place.address, bytes);
}

/** Whether anything can be mapped at the page of this address. */
export function isMapped(place: MemoryPlace, pgd: bigint): boolean {
  return place.isPhysical || findPa(pgd, place.address) !== undefined;
}
