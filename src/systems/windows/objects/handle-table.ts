import { AddressError, KernelDataError } from "../../errors";
import type { StructCursor } from "../../structs/struct-cursor";
import type { WindowsKernel } from "../kernel/windows-kernel";
import { ObjectReader } from "./object-reader";

const PAGE = 0x1000;
/** Numbers of handles have 24 bits, without the lowest two, which are the program's. */
const MOST_HANDLES = 1 << 22;
const LEVELS = 3n;

/** A handle of a process: its own number for an object of the kernel. */
export interface Handle {
  readonly handle: number;
  /** The address of the object. */
  readonly object: bigint;
  /** As "File", "Event", "Process"; empty where it cannot be read. */
  readonly type: string;
  /** Of a file its path on its volume, of a key that in the registry; empty without one, and where it cannot be read. */
  readonly name: string;
  /** The rights of the process on it, a mask. */
  readonly access: number;
}

/**
 * Lists the handles of a process.
 *
 * @param process the address of its _EPROCESS
 * @throws KernelDataError when the table is damaged, or not in memory
 */
export function listHandles(kernel: WindowsKernel, process: bigint): Handle[] {
  try {
    const table = kernel.at("_EPROCESS", process).follow("ObjectTable");
    return table ? [...readTable(kernel, table)] : [];
  } catch (error) {
    throw KernelDataError.from(error, "the table of handles of the _EPROCESS", process);
  }
}

/**
 * Finds what a handle of a process stands for.
 *
 * @param process the address of its _EPROCESS
 * @returns undefined when the process has no such handle
 * @throws KernelDataError when the table is damaged, or not in memory
 */
export function findHandle(kernel: WindowsKernel, process: bigint, handle: number): Handle | undefined {
  if (!Number.isInteger(handle) || handle <= 0 || handle / 4 >= MOST_HANDLES) return undefined;
  try {
    const table = kernel.at("_EPROCESS", process).follow("ObjectTable");
    const size = kernel.sizeOf("_HANDLE_TABLE_ENTRY");
    const index = Math.floor(handle / 4);
    if (!table || handle >= table.number("NextHandleNeedingPool")) return undefined;
    const page = findPage(kernel, table.value("TableCode"), Math.floor((index * size) / PAGE));
    if (page === 0n) return undefined;
    const entry = kernel.at("_HANDLE_TABLE_ENTRY", page + BigInt((index * size) % PAGE));
    const pointer = readPointer(kernel, entry);
    if (pointer === 0n || (index * size) % PAGE === 0) return undefined;
    const access = entry.number("GrantedAccessBits", "GrantedAccess");
    return { handle: index * 4, ...describe(new ObjectReader(kernel), pointer), access };
  } catch (error) {
    throw KernelDataError.from(error, "the table of handles of the _EPROCESS", process);
  }
}

/** Follows the levels of pages with pointers down to a page of entries; 0 where there is none. */
function findPage({ memory }: WindowsKernel, code: bigint, number: number): bigint {
  const perPage = PAGE / memory.pointerSize;
  let page = code & ~7n;
  for (let level = Number(code & LEVELS); level > 0 && page !== 0n; level--) {
    const index = Math.floor(number / perPage ** (level - 1)) % perPage;
    page = memory.pointer(page + BigInt(index * memory.pointerSize));
  }
  return page;
}

function* readTable(kernel: WindowsKernel, table: StructCursor): Iterable<Handle> {
  const objects = new ObjectReader(kernel);
  for (const { handle, pointer, entry } of listEntries(kernel, table)) {
    yield { handle, ...describe(objects, pointer), access: entry.number("GrantedAccessBits", "GrantedAccess") };
  }
}

/**
 * Lists the objects of a table that holds these themselves in place of their headers: PspCidTable, of processes and threads.
 *
 * @param table the address of its _HANDLE_TABLE
 * @throws AddressError, MissingTypeError
 */
export function* listObjectsOfTable(
  kernel: WindowsKernel,
  table: bigint,
): Iterable<{ readonly handle: number; readonly object: bigint }> {
  for (const { handle, pointer } of listEntries(kernel, kernel.at("_HANDLE_TABLE", table))) {
    yield { handle, object: pointer };
  }
}

interface TableEntry {
  readonly handle: number;
  /** Of the object's header, or of the object. */
  readonly pointer: bigint;
  readonly entry: StructCursor;
}

function* listEntries(kernel: WindowsKernel, table: StructCursor): Iterable<TableEntry> {
  const code = table.value("TableCode");
  const size = kernel.sizeOf("_HANDLE_TABLE_ENTRY");
  const perPage = PAGE / size;
  const end = Math.min(table.number("NextHandleNeedingPool") / 4, MOST_HANDLES);
  // The lowest bits say how many levels of pages lie above the entries.
  const pages = listPages(kernel, code & ~7n, Number(code & LEVELS), Math.ceil(end / perPage));
  for (const [number, page] of pages.entries()) {
    // The first entry of each page is none.
    for (let index = 1; index < perPage; index++) {
      const entry = kernel.at("_HANDLE_TABLE_ENTRY", page + BigInt(index * size));
      const pointer = readPointer(kernel, entry);
      if (pointer !== 0n) yield { handle: (number * perPage + index) * 4, pointer, entry };
    }
  }
}

/** @param levels of pages with pointers, 0 for a single page of entries */
function listPages(kernel: WindowsKernel, start: bigint, levels: number, most: number): bigint[] {
  const { memory } = kernel;
  let pages = [start];
  for (let level = 0; level < levels; level++) {
    const below: bigint[] = [];
    for (const page of pages) {
      for (let at = 0; at < PAGE && below.length < most; at += memory.pointerSize) {
        const next = memory.pointer(page + BigInt(at));
        if (next === 0n) break;
        below.push(next);
      }
    }
    pages = below;
  }
  return pages.slice(0, Math.max(1, most));
}

/** Since 8 an entry has the upper bits of the address, whose uppermost one says what is above them. */
function readPointer(kernel: WindowsKernel, entry: StructCursor): bigint {
  const bits = kernel.findMember("_HANDLE_TABLE_ENTRY", "ObjectPointerBits");
  if (!bits) return entry.value("Object") & ~7n;
  const low = kernel.bits === 64 ? 4 : 3;
  const value = kernel.readValue(entry.address, bits) << BigInt(low);
  return BigInt.asUintN(kernel.bits, BigInt.asIntN(bits.bitSize + low, value));
}

function describe(objects: ObjectReader, header: bigint): Pick<Handle, "object" | "type" | "name"> {
  const object = objects.bodyOf(header);
  let type = "";
  try {
    type = objects.readType(header);
    return { object, type, name: objects.readName(header, type) };
  } catch (error) {
    if (error instanceof AddressError) return { object, type, name: "" };
    throw error;
  }
}
