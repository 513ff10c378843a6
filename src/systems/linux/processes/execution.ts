import { KernelDataError } from "../../errors";
import type { PathReader } from "../files/path-reader";
import type { LinuxKernel } from "../structs/linux-kernel";
import { readCommandLine, readEnvironment, splitWords } from "./command-line";
import type { TaskFacts } from "./task-reader";

/** A program at the moment at which a task is about to execute its first instruction. */
export interface Execution {
  readonly pid: number;
  readonly pgd: bigint;
  readonly name: string;
  /** As /proc/PID/exe shows it; of a script the interpreter. */
  readonly path: string;
  readonly argv: readonly string[];
}

/** Where a task's memory is read. */
interface TaskMemory {
  readonly kernel: LinuxKernel;
  readonly paths: PathReader;
}

/**
 * Reads what a task executes, out of the memory that the kernel has just filled: no instruction of the program has run, so
 * nothing of it can have been changed.
 *
 * @throws KernelDataError when the address space is damaged
 */
export function readExecution({ kernel, paths }: TaskMemory, { mm, pgd, tgid, name }: TaskFacts): Execution {
  try {
    const space = kernel.at("mm_struct", mm);
    const memory = kernel.space(pgd);
    const file = space.value("exe_file");
    return {
      ...{ pid: tgid, pgd, name },
      path: file === 0n ? "" : paths.readFile(file),
      argv: splitWords(readCommandLine(space, memory)),
    };
  } catch (error) {
    throw KernelDataError.from(error, "an mm_struct", mm);
  }
}

/**
 * Reads the environment that a task executes its program with, at the moment of readExecution().
 *
 * @returns words as `NAME=value`
 * @throws KernelDataError when the address space is damaged
 */
export function readExecutionEnvironment({ kernel }: Pick<TaskMemory, "kernel">, { mm, pgd }: TaskFacts): string[] {
  try {
    return splitWords(readEnvironment(kernel.at("mm_struct", mm), kernel.space(pgd)));
  } catch (error) {
    throw KernelDataError.from(error, "an mm_struct", mm);
  }
}
