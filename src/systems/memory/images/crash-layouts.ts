import type { RegisterField, RegisterLayout } from "./register-layouts";
import type { PageMapForm } from "./page-map";

/** The places in the header of a crash dump (DUMP_HEADER32 and DUMP_HEADER64 of the WDK), offsets in bytes. */
export interface CrashHeaderLayout {
  readonly magic: string;
  readonly bits: 32 | 64;
  /** Of the header; memory or the map of pages follows. */
  readonly size: number;
  /** DirectoryTableBase. */
  readonly tablesAt: number;
  /** PsLoadedModuleList. */
  readonly modulesAt: number;
  /** MachineImageType. */
  readonly machineAt: number;
  /** IMAGE_FILE_MACHINE_AMD64 or IMAGE_FILE_MACHINE_I386. */
  readonly machine: number;
  /** PaeEnabled, of 32 bits only. */
  readonly paeAt: number;
  /** PhysicalMemoryBlock. */
  readonly runsAt: number;
  /** ContextRecord. */
  readonly contextAt: number;
  readonly typeAt: number;
  /** The form of the map of pages in dumps of the type 2. */
  readonly summary: PageMapForm;
}

export const CRASH_64: CrashHeaderLayout = {
  ...{ magic: "PAGEDU64", bits: 64, size: 0x2000, machine: 0x8664, summary: "narrow-64" },
  ...{ tablesAt: 0x10, modulesAt: 0x20, machineAt: 0x30, paeAt: 0, runsAt: 0x88, contextAt: 0x348, typeAt: 0xf98 },
};

export const CRASH_32: CrashHeaderLayout = {
  ...{ magic: "PAGEDUMP", bits: 32, size: 0x1000, machine: 0x14c, summary: "narrow-32" },
  ...{ tablesAt: 0x10, modulesAt: 0x18, machineAt: 0x20, paeAt: 0x5c, runsAt: 0x64, contextAt: 0x320, typeAt: 0xf88 },
};

function inOrder(names: readonly string[], start: number, size: 2 | 4 | 8): RegisterField[] {
  return names.map((name, index) => ({ name, offset: start + index * size, size }));
}

/** CONTEXT of x64 (winnt.h), without the registers of the floating point. */
export const CONTEXT_64: RegisterLayout = {
  size: 0x100,
  fields: [
    ...inOrder(["CS", "DS", "ES", "FS", "GS", "SS"], 0x38, 2),
    ...inOrder(["RFLAGS"], 0x44, 4),
    ...inOrder(["DR0", "DR1", "DR2", "DR3", "DR6", "DR7"], 0x48, 8),
    ...inOrder(["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"], 0x78, 8),
    ...inOrder(["R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15", "RIP"], 0xb8, 8),
  ],
};

/** CONTEXT of x86 (winnt.h), without the registers of the floating point. */
export const CONTEXT_32: RegisterLayout = {
  size: 0xcc,
  fields: [
    ...inOrder(["DR0", "DR1", "DR2", "DR3", "DR6", "DR7"], 0x4, 4),
    ...inOrder(["GS", "FS", "ES", "DS", "RDI", "RSI", "RBX", "RDX", "RCX", "RAX", "RBP", "RIP"], 0x8c, 4),
    ...inOrder(["CS", "RFLAGS", "RSP", "SS"], 0xbc, 4),
  ],
};
