import { Buffer } from "buffer/";
import { MemoryResult } from "../../../../machine/engine/native";
import { MemoryError, RecordedError } from "../../../../machine/errors";
import {
  accessPhysical,
  accessVirtual,
  createViewReader,
  lastFault,
  REFUSED,
  translate,
  type ViewReader,
} from "../host-access";
import { ask } from "../messages";

const LARGEST_READ = 0x40000000;
const OK = MemoryResult.Ok;

function allocate(size: number): Buffer {
  if (!Number.isInteger(size) || size < 0 || size > LARGEST_READ) {
    throw new RangeError(`size is ${size}: a whole number of bytes from 0 to ${LARGEST_READ}`);
  }
  return Buffer.alloc(size);
}

function check(result: MemoryResult, pgd?: bigint): void {
  if (result === MemoryResult.Recorded) throw new RecordedError("memory cannot be written");
  if (result !== OK) throw new MemoryError(result, lastFault(), pgd);
}

/** As outside of the sandbox: src/machine/state/memory.ts says what these functions do. */
export function readPa(address: bigint, size: number): Buffer {
  const bytes = allocate(size);
  const result = accessPhysical("readPhysical", address, bytes);
  if (result !== OK) check(result);
  return bytes;
}

export function writePa(address: bigint, bytes: Uint8Array): void {
  check(accessPhysical("writePhysical", address, bytes));
}

export function readVa(pgd: bigint, address: bigint, size: number): Buffer {
  const bytes = allocate(size);
  const result = accessVirtual("readVirtual", pgd, address, bytes);
  if (result !== OK) check(result, pgd);
  return bytes;
}

export function writeVa(pgd: bigint, address: bigint, bytes: Uint8Array): void {
  check(accessVirtual("writeVirtual", pgd, address, bytes), pgd);
}

export function findPa(pgd: bigint, address: bigint): bigint | undefined {
  const physical = translate(pgd, address);
  return physical === REFUSED ? (ask("findPa", pgd, address) as bigint | undefined) : physical;
}

export function vaToPa(pgd: bigint, address: bigint): bigint {
  const physical = translate(pgd, address);
  if (physical === REFUSED) return ask("vaToPa", pgd, address) as bigint;
  if (physical === undefined) throw new MemoryError(MemoryResult.Unmapped, address, pgd);
  return physical;
}

const GETTERS = [
  ...(["getInt8", "getUint8", "getInt16", "getUint16", "getInt32", "getUint32"] as const),
  ...(["getBigInt64", "getBigUint64", "getFloat32", "getFloat64"] as const),
];

/** Reads RAM like a DataView; its buffer is not given away. */
export class PhysicalView {
  readonly byteOffset = 0;
  readonly #read: ViewReader;

  constructor(
    read: ViewReader,
    readonly byteLength: number,
  ) {
    this.#read = read;
  }

  static {
    for (const getter of GETTERS) {
      Object.defineProperty(PhysicalView.prototype, getter, {
        value: function (this: PhysicalView, offset: number, isLittleEndian = false) {
          const value = this.#read(getter, offset, isLittleEndian);
          if (value === undefined) throw new RangeError(`offset ${offset} is outside of the view`);
          return value;
        },
      });
    }
  }
}

export function viewPa(address: bigint, size: number): PhysicalView {
  const read = createViewReader(address, size);
  if (read !== undefined) return new PhysicalView(read, size);
  throw new MemoryError(MemoryResult.NotRam, address);
}
