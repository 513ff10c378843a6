import type { GuestModule } from "../../guest-system";
import { AddressError, KernelDataError } from "../../errors";
import type { StructCursor } from "../../structs/struct-cursor";
import { walkList } from "../../structs/kernel-list";
import type { WindowsKernel } from "../kernel/windows-kernel";
import { readUnicodeString } from "../structs/unicode-string";
import type { AddressRange } from "../processes/address-ranges";
import type { WindowsSpace } from "../structs/windows-space";

/** The name of the kernel itself among the modules. */
export const KERNEL = "kernel";
const MOST_MODULES = 1 << 14;
const DRIVER_TYPES = ["_KLDR_DATA_TABLE_ENTRY", "_LDR_DATA_TABLE_ENTRY"] as const;

/** A driver, or the kernel itself, as the kernel's list has it. */
export interface KernelModule {
  readonly name: string;
  /** As the loader was given it: "\SystemRoot\System32\drivers\disk.sys". */
  readonly path: string;
  readonly base: bigint;
  /** In bytes. */
  readonly size: number;
  /** The address of its entry in the list. */
  readonly kaddr: bigint;
}

/** Lists the kernel and its drivers, in the order in which they were loaded. @throws KernelDataError when the list is damaged */
export function listKernelModules(kernel: WindowsKernel): KernelModule[] {
  const what = "the list of kernel modules";
  const found: KernelModule[] = [];
  const offset = kernel.place(typeOfDriver(kernel), "InLoadOrderLinks").offset;
  for (const address of walkList(kernel.memory, kernel.symbol("PsLoadedModuleList"), what, offset)) {
    if (found.length >= MOST_MODULES) throw new KernelDataError(what, address, `more than ${MOST_MODULES} modules`);
    found.push(readKernelModule(kernel, address));
  }
  return found;
}

/** Reads the entry of a driver. @throws KernelDataError */
export function readKernelModule(kernel: WindowsKernel, address: bigint): KernelModule {
  try {
    return { ...readEntry(kernel.at(typeOfDriver(kernel), address), kernel), kaddr: address };
  } catch (error) {
    throw KernelDataError.from(error, "the entry of a kernel module", address);
  }
}

/** Windows 10 gave drivers a type of their own; the members that are read here are the same. */
function typeOfDriver(kernel: WindowsKernel): string {
  return DRIVER_TYPES.find((name) => kernel.findCompound(name)) ?? DRIVER_TYPES[0];
}

/** Makes a kernel module a module as scripts see it: the kernel itself is "kernel". */
export function asModule(kernel: WindowsKernel, { name, path, base, size }: KernelModule): GuestModule {
  return createModule(base === kernel.image.base ? KERNEL : name, path, base, size);
}

/**
 * Lists the programs and libraries of a process: those that its loader knows (PEB.Ldr), then the images in its memory that the
 * loader does not know, or not yet. The process can change the loader's list at will; where it cannot be read, the images do.
 *
 * @param narrow those that the loader of 32 bits knows, where the process has two
 */
export function listUserModules(
  space: WindowsSpace,
  peb: bigint,
  ranges: readonly AddressRange[],
  narrow: readonly GuestModule[] = [],
): GuestModule[] {
  const wide = readLoaderList(space, peb);
  const known = new Set(wide.map(({ base }) => base));
  // The program is in both lists.
  const listed = [...wide, ...narrow.filter(({ base }) => !known.has(base))];
  for (const { base } of narrow) known.add(base);
  const others = ranges.filter(({ isImage, start }) => isImage && !known.has(start));
  return [...listed, ...others.map(asImage)];
}

/** Makes an address range with an image a module, named by its file. */
export function asImage({ path, start, end }: AddressRange): GuestModule {
  return createModule(lastPart(path), path, start, Number(end - start));
}

function readLoaderList(space: WindowsSpace, peb: bigint): GuestModule[] {
  const found: GuestModule[] = [];
  if (peb === 0n) return found;
  try {
    const loader = space.at("_PEB", peb).follow("Ldr");
    if (!loader) return found;
    const head = loader.addressOf("InLoadOrderModuleList");
    const offset = space.place("_LDR_DATA_TABLE_ENTRY", "InLoadOrderLinks").offset;
    for (const address of walkList(space.memory, head, "the loader's list of modules", offset)) {
      if (found.length >= MOST_MODULES) break;
      const { name, path, base, size } = readEntry(space.at("_LDR_DATA_TABLE_ENTRY", address), space);
      if (base !== 0n) found.push(createModule(name, path, base, size));
    }
  } catch (error) {
    // The process may be about to change it, or has done so to mislead: what was read until then holds.
    if (!(error instanceof AddressError || error instanceof KernelDataError)) throw error;
  }
  return found;
}

function readEntry(entry: StructCursor, { memory }: WindowsKernel | WindowsSpace): Omit<KernelModule, "kaddr"> {
  const path = readUnicodeString(entry.member("FullDllName"), memory);
  return {
    name: readUnicodeString(entry.member("BaseDllName"), memory) || lastPart(path),
    path,
    base: entry.value("DllBase"),
    size: entry.number("SizeOfImage"),
  };
}

/** Returns the part of a path behind the last folder. */
export function lastPart(path: string): string {
  return path.slice(path.lastIndexOf("\\") + 1);
}

/** Makes a module that lies in one piece. */
export function createModule(name: string, path: string, base: bigint, size: number): GuestModule {
  const end = base + BigInt(size);
  const contains = (address: bigint): boolean => address >= base && address < end;
  return { name, path, base, size, memory: [{ base, size }], contains };
}
