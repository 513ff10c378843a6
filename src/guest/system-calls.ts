import { type Cpu, getCpus, type RegisterName } from "../machine/state/cpu";
import { LinuxGuest } from "../systems/linux/linux-guest";
import type { LinuxKernel } from "../systems/linux/structs/linux-kernel";
import { WindowsKernel } from "../systems/windows/kernel/windows-kernel";
import type { SystemCall } from "../systems/system-call";
import { listSystemCalls as readSystemCalls } from "../systems/linux/system/system-call-list";
import { listWindowsSystemCalls } from "../systems/windows/kernel/system-call-table";
import { WindowsGuest } from "../systems/windows/windows-guest";
import { OtherSystemError } from "../systems/errors";
import { getSystem } from "./guest";

const WIDE: readonly RegisterName[] = ["RDI", "RSI", "RDX", "R10", "R8", "R9"];
const NARROW: readonly RegisterName[] = ["EBX", "ECX", "EDX", "ESI", "EDI"];
/** Windows: those of 64-bit programs, of which the others lie on the stack; those of 32 bits all do. */
const WINDOWS_WIDE: readonly RegisterName[] = ["R10", "RDX", "R8", "R9"];
const INT_80 = 0x80;

const lists = new WeakMap<object, SystemCall[]>();

/**
 * Lists the system calls that the guest's kernel has: their numbers, its own names for them, and their parameters as far as
 * it describes them. The first call for a kernel takes some 50 ms.
 *
 * @throws AttachError when the guest runs no kernel that rebox knows
 * @throws KernelDataError, MissingSymbolError when a Windows kernel's table cannot be read
 */
export function listSystemCalls(): readonly SystemCall[] {
  const { kernel } = getKnown();
  let list = lists.get(kernel);
  if (!list) {
    list = kernel instanceof WindowsKernel ? listWindowsSystemCalls(kernel) : readSystemCalls(kernel);
    lists.set(kernel, list);
  }
  return list;
}

function getKnown(): LinuxGuest | WindowsGuest {
  const system = getSystem();
  if (system instanceof LinuxGuest || system instanceof WindowsGuest) return system;
  throw new OtherSystemError(system.version);
}

/**
 * Lists where programs enter the guest's kernel with a system call. A hook (addr) at one of these addresses sees the call
 * with all of its arguments, in the process that makes it.
 *
 * @throws AttachError when the guest runs no kernel that rebox knows
 */
export function listSystemCallEntries(): SystemCallEntry[] {
  const { kernel } = getKnown();
  const cpu = getCpus().find(({ LSTAR, SYSENTER_EIP }) => LSTAR !== 0n || SYSENTER_EIP !== 0n) ?? (getCpus()[0] as Cpu);
  const isWide = kernel.bits === 64;
  if (kernel instanceof WindowsKernel) return listWindowsEntries(cpu, isWide);
  const gate = findGate(kernel, cpu);
  // arch/x86/entry/entry_64.S, entry_64_compat.S, entry_32.S say which register holds what.
  const entries: (SystemCallEntry | false)[] = [
    isWide && { instruction: "syscall", bits: 64, address: cpu.LSTAR, number: "RAX", arguments: WIDE },
    isWide && {
      ...{ instruction: "syscall", bits: 32, address: cpu.CSTAR, number: "EAX" },
      ...{ arguments: ["EBX", "EBP", "EDX", "ESI", "EDI"], sixthAt: "ESP" },
    },
    {
      ...{ instruction: "sysenter", bits: 32, address: cpu.SYSENTER_EIP, number: "EAX" },
      ...{ arguments: NARROW, sixthAt: "EBP" },
    },
    { instruction: "int 0x80", bits: 32, address: gate, number: "EAX", arguments: [...NARROW, "EBP"] },
  ];
  return entries.filter((entry) => entry !== false && entry.address !== 0n) as SystemCallEntry[];
}

/** Where programs enter a Windows kernel. A program of 32 bits under one of 64 makes its calls as one of 64 does. */
function listWindowsEntries(cpu: Cpu, isWide: boolean): SystemCallEntry[] {
  const entry: SystemCallEntry = isWide
    ? { instruction: "syscall", bits: 64, address: cpu.LSTAR, number: "RAX", arguments: WINDOWS_WIDE }
    : { instruction: "sysenter", bits: 32, address: cpu.SYSENTER_EIP, number: "EAX", arguments: [] };
  return entry.address === 0n ? [] : [entry];
}

/** Reads the handler that programs may call by int 0x80 (Intel SDM volume 3, 6.11 and 6.14.1); 0n when there is none. */
function findGate({ memory, bits }: LinuxKernel, cpu: Cpu): bigint {
  const size = bits === 64 ? 16 : 8;
  if (Number(cpu.IDT_LIMIT) < (INT_80 + 1) * size - 1) return 0n;
  const gate = memory.readSome(cpu.IDT_BASE + BigInt(INT_80 * size), size);
  // Present, and open to user mode.
  if (gate.length < size || ((gate[5] as number) & 0xe0) !== 0xe0) return 0n;
  const low = BigInt(gate.readUInt16LE(0)) | (BigInt(gate.readUInt16LE(6)) << 16n);
  return bits === 64 ? (BigInt(gate.readUInt32LE(8)) << 32n) | low : low;
}

/** A place where programs enter the kernel with a system call, with the registers that then hold its number and arguments. */
export interface SystemCallEntry {
  readonly instruction: "syscall" | "sysenter" | "int 0x80";
  readonly bits: 32 | 64;
  /** Of the kernel's first instruction. */
  readonly address: bigint;
  readonly number: RegisterName;
  readonly arguments: readonly RegisterName[];
  /** The register whose value is the address of the sixth argument, when that is in memory. */
  readonly sixthAt?: RegisterName;
}
