import { MemoryError } from "../../machine/state/memory-error";
import { findPa, readPa, readVa, writePa, writeVa } from "../../machine/state/memory";
import type { MemoryPlace } from "./memory-place";

const PAGE = 0x1000;

/** A piece of memory as it was found: what cannot be read is missing. */
export interface GuestBytes {
  readonly bytes: Buffer;
  /** Tells whether the byte at this index was read. */
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
