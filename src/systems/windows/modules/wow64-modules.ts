import { AddressError } from "../../errors";
import type { GuestModule } from "../../guest-system";
import type { VirtualMemory } from "../../memory/virtual-memory";
import type { WindowsKernel } from "../kernel/windows-kernel";
import { WindowsSpace } from "../structs/windows-space";
import { createModule, lastPart } from "./module-list";

const FOUR_GIB = 1n << 32n;
const MOST_MODULES = 1 << 14;
/**
 * Members of PEB_LDR_DATA, LDR_DATA_TABLE_ENTRY and UNICODE_STRING of 32 bits, which a kernel of 64 bits has no types of: those of
 * 64 bits, with words of 4 bytes.
 */
const LOADER_LIST = 0xcn;
const ENTRY = { base: 0x18, size: 0x20, path: 0x24, name: 0x2c, end: 0x34 } as const;

/**
 * Finds the PEB of 32 bits of a process that runs a program of 32 bits on a kernel of 64. The kernel's member is its address until
 * 8.1, later that of a struct with it: the one is taken whose program is the process' own.
 *
 * @param process the address of its _EPROCESS
 * @param memory its address space
 * @returns 0 for a process without one
 * @throws AddressError when the kernel's record cannot be read
 */
export function findWow64Peb(kernel: WindowsKernel, process: bigint, memory: VirtualMemory): bigint {
  const member = kernel.findMember("_EPROCESS", "WoW64Process", "Wow64Process");
  if (kernel.bits === 32 || !member) return 0n;
  const value = kernel.readValue(process, member);
  if (value === 0n) return 0n;
  const program = kernel.at("_EPROCESS", process).value("SectionBaseAddress");
  const isPeb = (address: bigint): boolean => {
    if (address === 0n || address >= FOUR_GIB) return false;
    try {
      return new WindowsSpace(kernel, memory).at("_PEB32", address).value("ImageBaseAddress") === program;
    } catch (error) {
      // Paged out: an address below 4 GiB is nothing else.
      if (error instanceof AddressError) return true;
      throw error;
    }
  };
  if (value < FOUR_GIB) return isPeb(value) ? value : 0n;
  const inner = kernel.memory.pointer(value + BigInt(kernel.findMember("_EWOW64PROCESS", "Peb")?.offset ?? 0));
  return isPeb(inner) ? inner : 0n;
}

/**
 * Lists the program and libraries of 32 bits that the loader of a process knows. The process can change the list at will: what cannot
 * be read ends it.
 *
 * @param peb of 32 bits
 */
export function listWow64Modules(kernel: WindowsKernel, memory: VirtualMemory, peb: bigint): GuestModule[] {
  const found: GuestModule[] = [];
  const seen = new Set<bigint>();
  try {
    const loader = new WindowsSpace(kernel, memory).at("_PEB32", peb).value("Ldr");
    if (loader === 0n) return found;
    const head = loader + LOADER_LIST;
    for (let at = BigInt(memory.u32(head)); at !== head && !seen.has(at); at = BigInt(memory.u32(at))) {
      if (seen.size >= MOST_MODULES) break;
      seen.add(at);
      const entry = memory.read(at, ENTRY.end);
      const base = BigInt(entry.readUInt32LE(ENTRY.base));
      const path = readText(memory, entry, ENTRY.path);
      const name = readText(memory, entry, ENTRY.name) || lastPart(path);
      if (base !== 0n) found.push(createModule(name, path, base, entry.readUInt32LE(ENTRY.size)));
    }
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
  }
  return found;
}

function readText(memory: VirtualMemory, entry: Buffer, at: number): string {
  const length = entry.readUInt16LE(at);
  const bytes = memory.readSome(BigInt(entry.readUInt32LE(at + 4)), length - (length % 2));
  return bytes.toString("utf16le", 0, bytes.length - (bytes.length % 2));
}
