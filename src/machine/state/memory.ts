import { Engine } from "../engine/engine";
import { checkMayChange } from "../engine/recorded";
import { MemoryResult, type NativeRamRegion } from "../engine/native";
import { getMachine } from "./machine-access";
import { MemoryError, RecordedError } from "../errors";

const LARGEST_READ = 0x40000000;

function allocate(size: number): Buffer {
  if (!Number.isInteger(size) || size < 0 || size > LARGEST_READ) {
    throw new RangeError(`size is ${size}: a whole number of bytes from 0 to ${LARGEST_READ}`);
  }
  return Buffer.allocUnsafe(size);
}

function check(result: MemoryResult, pgd?: bigint): void {
  if (result === MemoryResult.Recorded) throw new RecordedError("memory cannot be written");
  if (result !== MemoryResult.Ok) {
    throw new MemoryError(result, memoryAccess.lastFault(), pgd);
  }
}

/** Which vCPU's paging mode a virtual address is read with: all vCPUs of a running system have the same. */
const PAGING_CPU = 0;

/** The accesses behind the functions below, with bytes of the caller's and results in place of errors: for the sandbox. */
export const memoryAccess = {
  readPhysical: (address: bigint, into: Uint8Array) => getMachine().readPhysical(address, into),
  writePhysical: (address: bigint, from: Uint8Array) => getMachine().writePhysical(address, from),
  readVirtual: (pgd: bigint, address: bigint, into: Uint8Array) =>
    getMachine().readVirtual(PAGING_CPU, pgd, BigInt.asUintN(64, address), into),
  writeVirtual: (pgd: bigint, address: bigint, from: Uint8Array) =>
    getMachine().writeVirtual(PAGING_CPU, pgd, BigInt.asUintN(64, address), from),
  lastFault: () => getMachine().lastFault(),
} as const;

/**
 * Reads guest-physical memory: RAM and ROM, never a device.
 *
 * @param address guest-physical
 * @param size in bytes, at most 1 GiB
 * @returns a copy
 * @throws MemoryError when a byte of it is not RAM or ROM
 */
export function readPa(address: bigint, size: number): Buffer {
  const bytes = allocate(size);
  const result = memoryAccess.readPhysical(address, bytes);
  if (result !== MemoryResult.Ok) {
    check(result);
  }
  return bytes;
}

/**
 * Writes guest-physical RAM. Code that was translated from it is translated anew.
 *
 * @throws MemoryError when a byte of it is not RAM; what lies before that byte has been written
 * @throws RecordedError when the machine is recorded or replayed
 */
export function writePa(address: bigint, bytes: Uint8Array): void {
  check(memoryAccess.writePhysical(address, bytes));
}

/**
 * Reads memory of an address space.
 *
 * @param pgd the address space: a value of CR3, as callbacks give it
 * @param address virtual
 * @param size in bytes, at most 1 GiB
 * @returns a copy
 * @throws MemoryError that names the first address that is not mapped, or not RAM
 */
export function readVa(pgd: bigint, address: bigint, size: number): Buffer {
  const bytes = allocate(size);
  const result = memoryAccess.readVirtual(pgd, address, bytes);
  if (result !== MemoryResult.Ok) {
    check(result, pgd);
  }
  return bytes;
}

const PAGE = 4096;
const LONGEST_TEXT = 1 << 20;

/**
 * Reads text as C has it, which ends with a zero byte.
 *
 * @param pgd the address space: a value of CR3, as callbacks give it
 * @param address virtual
 * @param maxBytes at most so many bytes are read, up to 1 MiB; text that is longer is cut off
 * @returns the text, as UTF-8
 * @throws MemoryError that names the first address that is not mapped, or not RAM, when no zero comes before it
 */
export function readText(pgd: bigint, address: bigint, maxBytes = PAGE): string {
  if (!Number.isInteger(maxBytes) || maxBytes < 0 || maxBytes > LONGEST_TEXT) {
    throw new RangeError(`maxBytes is ${maxBytes}: a whole number of bytes from 0 to ${LONGEST_TEXT}`);
  }
  const pieces: Buffer[] = [];
  // Page by page: the next one need not be there.
  for (let size = 0; size < maxBytes;) {
    const at = BigInt.asUintN(64, address + BigInt(size));
    const piece = readVa(pgd, at, Math.min(maxBytes - size, PAGE - Number(at & 0xfffn)));
    const end = piece.indexOf(0);
    pieces.push(end < 0 ? piece : piece.subarray(0, end));
    if (end >= 0) break;
    size += piece.length;
  }
  return Buffer.concat(pieces).toString("utf8");
}

/**
 * Writes memory of an address space, whatever its page permissions are.
 *
 * @throws MemoryError that names the first address that is not mapped, or not RAM; the bytes before have been written
 * @throws RecordedError when the machine is recorded or replayed
 */
export function writeVa(pgd: bigint, address: bigint, bytes: Uint8Array): void {
  check(memoryAccess.writeVirtual(pgd, address, bytes), pgd);
}

/**
 * Translates a virtual address.
 *
 * @param pgd the address space: a value of CR3
 * @returns the guest-physical address
 * @throws MemoryError when nothing is mapped there
 */
export function vaToPa(pgd: bigint, address: bigint): bigint {
  const physical = findPa(pgd, address);
  if (physical === undefined) {
    throw new MemoryError(MemoryResult.Unmapped, address, pgd);
  }
  return physical;
}

/** Finds the guest-physical address of a virtual one; undefined when nothing is mapped there. */
export function findPa(pgd: bigint, address: bigint): bigint | undefined {
  return getMachine().translate(PAGING_CPU, pgd, BigInt.asUintN(64, address));
}

let regions: NativeRamRegion[] | undefined;

function findRegion(address: bigint, size: number): NativeRamRegion | undefined {
  return regions?.find(
    (region) =>
      address >= region.address && address + BigInt(size) <= region.address + BigInt(region.buffer.byteLength),
  );
}

/**
 * Views guest-physical RAM without copying: what the guest writes is seen at once.
 *
 * Read only: QEMU does not notice what is written through the view, so translated code and the screen would be stale.
 * The view stays over the same RAM when the guest moves its memory map.
 *
 * @param address guest-physical
 * @param size in bytes; address and size lie within one region of RAM and one GiB
 * @throws MemoryError when they do not
 */
export function viewPa(address: bigint, size: number): DataView {
  // The firmware changes what lies below 1 MiB, so the list is made anew when an address is not in it.
  let region = findRegion(address, size);
  if (!region) {
    regions = getMachine().ramRegions();
    region = findRegion(address, size);
  }
  if (!region) {
    throw new MemoryError(MemoryResult.NotRam, address);
  }
  return new DataView(region.buffer, Number(address - region.address), size);
}

const PORT_SIZES = [1, 2, 4];

function checkPort(port: number, size: number): void {
  if (!Number.isInteger(port) || port < 0 || port > 0xffff) {
    throw new RangeError(`port is ${port}: a whole number from 0 to 0xffff`);
  }
  if (!PORT_SIZES.includes(size)) {
    throw new RangeError(`size is ${size}: 1, 2 or 4 bytes`);
  }
}

/**
 * Reads an I/O port, as the guest's IN would, with its effects on the device.
 *
 * @param port from 0 to 0xffff
 * @param size 1, 2 or 4 bytes
 * @throws RecordedError when the machine is recorded or replayed
 */
export function readIoPort(port: number, size: number): number {
  checkPort(port, size);
  const { native } = Engine.get();
  checkMayChange(native, "a port cannot be read, which may change its device");
  return native.readPort(port, size);
}

/**
 * Writes an I/O port, as the guest's OUT would.
 *
 * @param port from 0 to 0xffff
 * @param size 1, 2 or 4 bytes
 * @param value taken modulo the size
 * @throws RecordedError when the machine is recorded or replayed
 */
export function writeIoPort(port: number, size: number, value: number): void {
  checkPort(port, size);
  const { native } = Engine.get();
  checkMayChange(native, "a port cannot be written");
  native.writePort(port, size, value >>> 0);
}
