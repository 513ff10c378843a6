import { randomBytes } from "node:crypto";
import { findGuest } from "../../guest/guest";
import type { CallbackManager } from "../../machine/callbacks/callback-manager";
import type { Cpu } from "../../machine/state/cpu";
import { KernelDataError } from "../../systems/errors";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { GuestControl } from "./guest-control";
import type { GuestProgram, ScriptResult } from "./guest-way";

/** include/uapi/linux/auxvec.h. */
const AT_ENTRY = 9n;
/** AT_VECTOR_SIZE of no kernel is larger, in pairs (arch/x86/include/asm/elf.h). */
const MOST_PAIRS = 64;

/** A program that is about to execute its first instruction, behind its loader. */
export interface EnteredProgram {
  readonly pid: number;
  readonly pgd: bigint;
  /** As /proc/PID/exe shows it; of a script the interpreter. */
  readonly path: string;
  readonly entry: bigint;
}

/**
 * Runs a program in the guest, and calls a function at its entry point: its loader is done, and no instruction of its own has run.
 *
 * @param callbacks of the script; it gets two that are removed again
 * @param program its environment gets a variable, REBOX_ENTRY, by which it is known
 * @param onEntry called once; a promise of it holds the guest until it has settled. It is never called when the program cannot be executed; hooks with an address that it adds see what follows that instruction
 * @returns the program's end
 * @throws as runInGuest() does
 */
export async function runToEntry(
  control: GuestControl,
  callbacks: Pick<CallbackManager, "addCallback" | "callbackExists" | "rmCallback">,
  program: GuestProgram,
  onEntry: (entered: EnteredProgram, cpu: Cpu) => void | Promise<void>,
): Promise<ScriptResult> {
  const mark = `REBOX_ENTRY=${randomBytes(8).toString("hex")}`;
  const [name, value] = mark.split("=") as [string, string];
  const set = new Set<string>();
  const remove = (callback: string): void => {
    // The script may have been unloaded meanwhile.
    if (set.delete(callback) && callbacks.callbackExists(callback)) callbacks.rmCallback(callback);
  };
  const watcher = callbacks.addCallback("EXEC_CB", (pid, pgd, _name, path, _argv, envp) => {
    if (!envp.includes(mark) || !set.has(watcher)) return;
    remove(watcher);
    const entry = readEntry(pid, path);
    const hook = callbacks.addCallback(
      "INSN_BEGIN_CB",
      (_index, cpu) => {
        remove(hook);
        return onEntry({ pid, pgd, path, entry }, cpu);
      },
      { addr: entry, pgd },
    );
    set.add(hook);
  });
  set.add(watcher);
  const { program: path, args, environment, ...rest } = program;
  try {
    return await control.runInGuest(path, args, { environment: { ...environment, [name]: value }, ...rest });
  } finally {
    for (const callback of set) remove(callback);
  }
}

/** Reads the entry point that the kernel tells the program's loader (fs/binfmt_elf.c, create_elf_tables()). */
function readEntry(pid: number, path: string): bigint {
  const guest = findGuest();
  const process = guest?.getProcessList().find((each) => each.pid === pid);
  if (guest === undefined || process === undefined) throw new KernelDataError(`the process ${pid}`, 0n, "it is gone");
  const entry = findAuxiliary(guest, process.kaddr, AT_ENTRY);
  if (entry === undefined)
    throw new KernelDataError(`the entry point of ${path}`, process.kaddr, "the kernel has none");
  return entry;
}

/**
 * Finds a value of mm_struct.saved_auxv: pairs of the program's words, up to a pair of zeros. The first is one that has a value
 * (ARCH_DLINFO of arch/x86/include/asm/elf.h), so a program of 32 bits shows in it on a kernel of 64.
 */
function findAuxiliary({ kernel }: LinuxGuest, task: bigint, type: bigint): bigint | undefined {
  const mm = kernel.at("task_struct", task).follow("mm");
  if (mm === undefined) return undefined;
  const at = mm.addressOf("saved_auxv");
  const isNarrow = kernel.bits === 32 || kernel.memory.pointer(at) >> 32n !== 0n;
  const size = isNarrow ? 4n : 8n;
  const read = (place: bigint): bigint => (isNarrow ? BigInt(kernel.memory.u32(place)) : kernel.memory.pointer(place));
  for (let pair = 0n; pair < MOST_PAIRS; pair++) {
    const found = read(at + 2n * pair * size);
    if (found === 0n) return undefined;
    if (found === type) return read(at + (2n * pair + 1n) * size);
  }
  return undefined;
}
