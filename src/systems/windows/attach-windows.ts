import {
  AddressError,
  AttachError,
  type AttachStep,
  KernelDataError,
  MissingSymbolError,
  MissingTypeError,
  SymbolsError,
} from "../errors";
import type { GuestSource } from "../memory/guest-source";
import { VirtualMemory } from "../memory/virtual-memory";
import { PeImage } from "./images/pe-image";
import { peSourceOfMemory } from "./images/pe-source";
import { findWindowsKernel, type WindowsKernelImage } from "./kernel/kernel-search";
import { WindowsKernel } from "./kernel/windows-kernel";
import { WindowsPageTables } from "./paging/windows-page-tables";
import { readProcess, toPgd } from "./processes/process-reader";
import type { ImageSymbols, SymbolFinder } from "./symbols/image-symbols";
import { formatIdentity } from "./symbols/symbol-identity";
import { SHARED_DATA, WindowsGuest } from "./windows-guest";

/** How a Windows guest is looked for. */
export interface WindowsOptions {
  /** Finds the symbols of the kernel, and later of other images. */
  readonly findSymbols: SymbolFinder;
  /** Is called with each step that has succeeded, and what was found in it. */
  readonly trace?: (step: AttachStep, evidence: string) => void;
}

const SYSTEM_PID = 4;
const EARLY = "try again when the kernel has started";
const STRANGE = "this kernel is not as any that rebox knows: please report it, with what rebox doctor says";

/**
 * Finds the Windows guest that a machine runs, from its vCPUs' registers and memory, and the symbols that its kernel's image names.
 *
 * @returns undefined when no vCPU enters a Windows kernel
 * @throws AttachError when there is one, and it cannot be read: without its symbols, or not started yet
 */
export function attachWindows(source: GuestSource, options: WindowsOptions): WindowsGuest | undefined {
  const image = findWindowsKernel(source);
  return image && openKernel(image, options);
}

function openKernel(image: WindowsKernelImage, { findSymbols, trace }: WindowsOptions): WindowsGuest {
  const { found, memory, base, record } = image;
  const { imageSize, timeDateStamp } = image.image.header;
  trace?.("cpu", `vCPU ${found.cpu}: paging ${memory.tables.mode}, ${found.by} ${hex(found.entry)} enters the kernel`);
  trace?.("image", `${formatIdentity(record)} at ${hex(base)}, ${imageSize} bytes, time stamp ${hex(timeDateStamp)}`);
  const symbols = openSymbols(image, findSymbols);
  trace?.("symbols", `${symbols.symbols.count} in ${symbols.origin} (${symbols.form})`);
  try {
    const kernel = withSystemTables(new WindowsKernel(image, symbols), symbols);
    trace?.("page-tables", `${memory.tables.mode}, those of System at physical ${hex(kernel.memory.root)}`);
    trace?.("types", `_EPROCESS has ${kernel.sizeOf("_EPROCESS")} bytes in ${kernel.types.origin}`);
    const guest = new WindowsGuest(kernel, findSymbols);
    trace?.("banner", checkVersion(guest));
    return guest;
  } catch (error) {
    if (error instanceof MissingTypeError || error instanceof MissingSymbolError) {
      throw refuse("types", `${formatIdentity(record)}: ${error.message}`, STRANGE);
    }
    throw error;
  }
}

function openSymbols(image: WindowsKernelImage, findSymbols: SymbolFinder): ImageSymbols {
  const name = formatIdentity(image.record);
  let found: ImageSymbols | undefined;
  try {
    found = findSymbols(image.record);
  } catch (error) {
    if (!(error instanceof SymbolsError)) throw error;
    throw refuse("symbols", `a Windows kernel, ${name}: ${error.message}`, `mend or remove the file`);
  }
  if (found) return found;
  throw refuse(
    "symbols",
    `a Windows kernel is at ${hex(image.base)}, and there is no symbol file ${name}`,
    `rebox symbols get ${name} --server ADDRESS fetches it, rebox symbols add FILE keeps one that you have`,
  );
}

/**
 * Reads the kernel by the page tables of the process System, which stay as long as it runs: those by which it was found are of
 * whichever process ran then.
 *
 * @throws AttachError when System is not there yet, or the list of processes does not hold it
 */
function withSystemTables(kernel: WindowsKernel, symbols: ImageSymbols): WindowsKernel {
  const { image } = kernel;
  let root: bigint;
  try {
    root = findSystem(kernel);
  } catch (error) {
    if (!(error instanceof AddressError || error instanceof KernelDataError)) throw error;
    throw refuse("processes", `the process System: ${error.message}`, EARLY, true);
  }
  const { ram } = image.memory;
  const tables = new WindowsPageTables(ram, image.memory.tables, Number(root), readPhysicalBits(kernel));
  const memory = new VirtualMemory(ram, tables, Number(root));
  if (memory.translate(image.base) !== image.memory.translate(image.base)) {
    const evidence = `the page tables of System, at physical ${hex(root)}, do not map the kernel`;
    throw refuse("page-tables", evidence, EARLY, true);
  }
  const own = new PeImage(peSourceOfMemory(memory, image.base));
  return new WindowsKernel({ ...image, memory, image: own }, symbols);
}

/** How many bits physical addresses have by the kernel's own knowledge; 0 where it has no such variable, or it cannot be read. */
function readPhysicalBits(kernel: WindowsKernel): number {
  const address = kernel.findSymbol("KiImplementedPhysicalBits");
  const bytes = address === undefined ? undefined : kernel.memory.readSome(address, 4);
  return bytes?.length === 4 ? bytes.readUInt32LE(0) : 0;
}

/** Three things must agree before this is believed: the variable, the process' number and name, and the list. */
function findSystem(kernel: WindowsKernel): bigint {
  const { memory } = kernel;
  const address = memory.pointer(kernel.symbol("PsInitialSystemProcess"));
  if (address === 0n) throw refuse("processes", "PsInitialSystemProcess is 0", EARLY, true);
  const { pid, name, pgd } = readProcess(kernel, address);
  if (pid !== SYSTEM_PID || name !== "System") {
    const evidence = `PsInitialSystemProcess, at ${hex(address)}, is ${JSON.stringify(name)} with the number ${pid}`;
    throw refuse("processes", evidence, EARLY, true);
  }
  const links = address + BigInt(kernel.place("_EPROCESS", "ActiveProcessLinks").offset);
  const before = memory.pointer(links + BigInt(memory.pointerSize));
  if (memory.pointer(before) !== links) {
    throw refuse("processes", "System is not in the list of processes", EARLY, true);
  }
  return toPgd(kernel, pgd);
}

/** The kernel's variable and the data that it shares with programs must say the same build, where the latter has it (10 and later). */
function checkVersion(guest: WindowsGuest): string {
  const { kernel, build } = guest;
  const address = SHARED_DATA[guest.bits];
  try {
    const shared = kernel.at("_KUSER_SHARED_DATA", address);
    const said = shared.has("NtBuildNumber") ? shared.number("NtBuildNumber") : build;
    if (said === build) return guest.version;
    throw refuse(
      "banner",
      `NtBuildNumber is ${build}, and the data shared with programs says ${said}`,
      "the symbols are another kernel's, or the guest's memory is damaged",
    );
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    throw refuse("banner", `the data shared with programs: ${error.message}`, EARLY, true);
  }
}

function refuse(step: AttachStep, evidence: string, advice: string, isEarly = false): AttachError {
  return new AttachError(step, evidence, advice, isEarly, "the guest's Windows kernel cannot be read");
}

function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}
