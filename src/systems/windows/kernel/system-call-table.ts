import { KernelDataError } from "../../errors";
import type { SystemCall } from "../../system-call";
import type { WindowsKernel } from "./windows-kernel";

/** Numbers have 12 bits; behind them begin those of win32k's table. */
const MOST_CALLS = 0x1000;
/** Arguments that registers hold in programs of 64 bits. */
const IN_REGISTERS = 4;

/**
 * Lists the system calls of a Windows kernel by its own table (KiServiceTable, with KiServiceLimit entries) and symbols. Those of
 * win32k have a table of their own, which is not read. Parameters are known by their number alone, of those that are more than
 * registers hold.
 *
 * @returns in the order of their numbers
 * @throws KernelDataError when the table cannot be read
 * @throws MissingSymbolError when the kernel's symbols lack it
 */
export function listWindowsSystemCalls(kernel: WindowsKernel): SystemCall[] {
  return readServiceTable(kernel).map(({ number, target, onStack }): SystemCall => {
    return { bits: kernel.bits, number, name: findName(kernel, target, number), parameters: describe(onStack) };
  });
}

/** An entry of the table of system calls. */
export interface ServiceEntry {
  readonly number: number;
  /** The address of the function. */
  readonly target: bigint;
  /** How many arguments lie on the stack, of 64 bits. */
  readonly onStack: number;
}

/** Reads the table of system calls. @throws KernelDataError, MissingSymbolError */
export function readServiceTable(kernel: WindowsKernel): ServiceEntry[] {
  const { memory, bits } = kernel;
  const [table, limit] = [kernel.symbol("KiServiceTable"), kernel.symbol("KiServiceLimit")];
  try {
    const count = memory.u32(limit);
    if (count > MOST_CALLS) throw new KernelDataError("the number of system calls", limit, `it is ${count}`);
    return Array.from({ length: count }, (_, number): ServiceEntry => {
      const entry = memory.u32(table + BigInt(number * 4)) | 0;
      // Since Vista, in 64 bits: the distance of the function in 28 bits, and how many arguments lie on the stack.
      const target = bits === 64 ? table + BigInt(entry >> 4) : BigInt(entry >>> 0);
      return { number, target, onStack: bits === 64 ? entry & 0xf : 0 };
    });
  } catch (error) {
    throw KernelDataError.from(error, "the table of system calls", table);
  }
}

/** Functions with the same code have one address: the one that is a system call's is named. */
function findName({ symbols }: WindowsKernel, target: bigint, number: number): string {
  const found = symbols.findSymbol(target);
  return found?.address === target ? found.name : `syscall_${number}`;
}

function describe(onStack: number): SystemCall["parameters"] {
  if (onStack === 0) return undefined;
  return Array.from({ length: IN_REGISTERS + onStack }, (_, index) => ({
    type: "ULONG_PTR",
    name: `argument${index + 1}`,
  }));
}
