import { KernelDataError } from "../../errors";
import type { WindowsKernel } from "../kernel/windows-kernel";
import { listObjectsOfTable } from "../objects/handle-table";
import { isProcess, listProcesses, readProcess } from "../processes/process-reader";

/** Where a process is known. Rootkits take a process out of the first. */
export type ProcessView = "list" | "numbers" | "running threads";

/** A process, and where it was found. */
export interface ViewedProcess {
  readonly pid: number;
  readonly name: string;
  /** The address of its _EPROCESS. */
  readonly kaddr: bigint;
  readonly views: readonly ProcessView[];
  readonly hasEnded: boolean;
}

/**
 * Looks for processes in three places that must agree: the list of processes (PsActiveProcessHead), the table of numbers
 * (PspCidTable) and the threads that the processors run.
 *
 * @returns all processes, in the order of their numbers
 * @throws KernelDataError when the list is damaged; from the other places, what cannot be read is left out
 */
export function compareProcessViews(kernel: WindowsKernel): ViewedProcess[] {
  const views = new Map<bigint, ProcessView[]>();
  const add = (kaddr: bigint, view: ProcessView): void => {
    const known = views.get(kaddr);
    if (!known) views.set(kaddr, [view]);
    else if (!known.includes(view)) known.push(view);
  };
  for (const { kaddr } of listProcesses(kernel)) add(kaddr, "list");
  for (const kaddr of listByNumber(kernel)) add(kaddr, "numbers");
  for (const kaddr of listRunning(kernel)) add(kaddr, "running threads");
  return [...views]
    .map(([kaddr, found]): ViewedProcess => {
      const { pid, name, hasEnded } = readProcess(kernel, kaddr);
      return { pid, name, kaddr, views: found, hasEnded };
    })
    .sort((a, b) => a.pid - b.pid);
}

/** The table holds threads too: of an object of either kind, its own number must be the one that it has in the table. */
function* listByNumber(kernel: WindowsKernel): Iterable<bigint> {
  const pointer = kernel.findSymbol("PspCidTable");
  if (pointer === undefined) return;
  try {
    for (const { handle, object } of listObjectsOfTable(kernel, kernel.memory.pointer(pointer))) {
      if (isProcess(kernel, object) && readProcess(kernel, object).pid === handle) yield object;
    }
  } catch (error) {
    const problem = KernelDataError.from(error, "PspCidTable", pointer);
    if (!(problem instanceof KernelDataError)) throw problem;
  }
}

function* listRunning(kernel: WindowsKernel): Iterable<bigint> {
  const table = kernel.findSymbol("KiProcessorBlock");
  const owner = kernel.findMember("_KTHREAD", "Process", "ApcState.Process");
  if (table === undefined || !owner) return;
  try {
    for (let cpu = 0n; cpu < 64n; cpu++) {
      const block = kernel.memory.pointer(table + cpu * BigInt(kernel.memory.pointerSize));
      if (block === 0n) return;
      const thread = kernel.at("_KPRCB", block).value("CurrentThread");
      const process = thread === 0n ? 0n : kernel.readValue(thread, owner);
      // The idle thread's process has no number.
      if (process !== 0n && isProcess(kernel, process)) yield process;
    }
  } catch (error) {
    const problem = KernelDataError.from(error, "KiProcessorBlock", table);
    if (!(problem instanceof KernelDataError)) throw problem;
  }
}
