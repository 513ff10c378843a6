import { KernelDataError } from "../../errors";
import { pageTableRoot } from "../../memory/page-tables";
import type { Place } from "../../symbols/member-path";
import { walkList } from "../../structs/kernel-list";
import type { WindowsKernel } from "../kernel/windows-kernel";

/** ImageFileName has 15 bytes, the last of which is 0 in most versions. */
const LONGEST_NAME = 15;
/** The most processes and threads that one list may have: numbers are multiples of 4, and tables of handles have 16 million. */
const LONGEST_LIST = 1 << 18;

/** The facts that every list of processes needs, read at one moment. */
export interface ProcessFacts {
  readonly pid: number;
  readonly ppid: number;
  /** The physical address of its page tables, as callbacks report it. */
  readonly pgd: bigint;
  readonly name: string;
  /** The address of its _EPROCESS. */
  readonly kaddr: bigint;
  /** The address of its PEB in its own memory; 0 for one that has no program, as System. */
  readonly peb: bigint;
  /** Whether it has ended, and only its record is still there. */
  readonly hasEnded: boolean;
}

/** A thread of a process. */
export interface WindowsThread {
  readonly tid: number;
  /** The address of its _ETHREAD. */
  readonly kaddr: bigint;
  /** The function that it was made for, in its process' memory. */
  readonly startAddress: bigint;
  /** The address of its TEB; 0 for a thread of the kernel. */
  readonly teb: bigint;
}

interface ProcessPlaces {
  readonly pid: Place;
  readonly ppid: Place;
  readonly tables: Place;
  readonly peb: Place;
  readonly exitTime: Place;
  readonly name: bigint;
}

/** By kernel: a list of processes reads the same members of each. */
const knownPlaces = new WeakMap<WindowsKernel, ProcessPlaces>();

function placesOf(kernel: WindowsKernel): ProcessPlaces {
  let places = knownPlaces.get(kernel);
  if (!places) {
    const at = (...paths: readonly string[]): Place => kernel.place("_EPROCESS", ...paths);
    places = {
      ...{ pid: at("UniqueProcessId"), ppid: at("InheritedFromUniqueProcessId"), peb: at("Peb") },
      ...{ tables: at("Pcb.DirectoryTableBase"), exitTime: at("ExitTime.QuadPart", "ExitTime") },
      name: BigInt(at("ImageFileName").offset),
    };
    knownPlaces.set(kernel, places);
  }
  return places;
}

/** Reads a process' record. @throws KernelDataError, MissingTypeError */
export function readProcess(kernel: WindowsKernel, address: bigint): ProcessFacts {
  const { pid, ppid, tables, peb, exitTime, name } = placesOf(kernel);
  try {
    return {
      pid: Number(kernel.readValue(address, pid)),
      ppid: Number(kernel.readValue(address, ppid)),
      pgd: toPgd(kernel, kernel.readValue(address, tables)),
      name: kernel.memory.text(address + name, LONGEST_NAME),
      kaddr: address,
      peb: kernel.readValue(address, peb),
      hasEnded: kernel.readValue(address, exitTime) !== 0n,
    };
  } catch (error) {
    throw KernelDataError.from(error, "an _EPROCESS", address);
  }
}

/**
 * Tells a process' record from anything else: its number is a multiple of 4, and its page tables map the kernel where those of the
 * kernel do.
 */
export function isProcess(kernel: WindowsKernel, address: bigint): boolean {
  try {
    const { pid, pgd } = readProcess(kernel, address);
    const { tables } = kernel.memory;
    const { base } = kernel.image;
    if (pid === 0 || pid % 4 !== 0 || pgd === 0n) return false;
    return tables.translate(Number(pgd), base) === kernel.memory.translate(base);
  } catch (error) {
    if (error instanceof KernelDataError) return false;
    throw error;
  }
}

/** Lists the processes in the order in which they were started. @throws KernelDataError when the list is damaged */
export function* listProcesses(kernel: WindowsKernel): Iterable<ProcessFacts> {
  const what = "the list of processes";
  const offset = kernel.place("_EPROCESS", "ActiveProcessLinks").offset;
  let count = 0;
  for (const address of walkList(kernel.memory, kernel.symbol("PsActiveProcessHead"), what, offset)) {
    if (++count > LONGEST_LIST) throw new KernelDataError(what, address, `more than ${LONGEST_LIST} processes`);
    yield readProcess(kernel, address);
  }
}

/** Lists the threads of a process. @throws KernelDataError when the list is damaged */
export function listThreads(kernel: WindowsKernel, process: bigint): WindowsThread[] {
  const what = "the list of threads";
  const head = kernel.at("_EPROCESS", process).addressOf("ThreadListHead");
  const offset = kernel.place("_ETHREAD", "ThreadListEntry").offset;
  const threads: WindowsThread[] = [];
  for (const address of walkList(kernel.memory, head, what, offset)) {
    if (threads.length >= LONGEST_LIST) throw new KernelDataError(what, address, `more than ${LONGEST_LIST} threads`);
    threads.push(readThread(kernel, address));
  }
  return threads;
}

function readThread(kernel: WindowsKernel, address: bigint): WindowsThread {
  try {
    const thread = kernel.at("_ETHREAD", address);
    return {
      tid: thread.number("Cid.UniqueThread"),
      kaddr: address,
      startAddress: thread.value("Win32StartAddress"),
      teb: thread.value("Tcb.Teb"),
    };
  } catch (error) {
    throw KernelDataError.from(error, "an _ETHREAD", address);
  }
}

/** Makes a value of DirectoryTableBase or of CR3 the address of the page tables. */
export function toPgd(kernel: WindowsKernel, value: bigint): bigint {
  return BigInt(pageTableRoot(value, kernel.memory.tables.mode));
}
