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
  /** Read when it is asked for: before the program has executed an instruction. @throws KernelDataError as readExecution() */
  readonly envp: readonly string[];
}

/**
 * Reads what a task executes, out of the memory that the kernel has just filled: no instruction of the program has run, so
 * nothing of it can have been changed.
 *
 * @throws KernelDataError when the address space is damaged
 */
export function readExecution(
  { kernel, paths }: { readonly kernel: LinuxKernel; readonly paths: PathReader },
  { mm, pgd, tgid, name }: TaskFacts,
): Execution {
  try {
    const space = kernel.at("mm_struct", mm);
    const memory = kernel.space(pgd);
    const file = space.value("exe_file");
    return {
      ...{ pid: tgid, pgd, name },
      path: file === 0n ? "" : paths.readFile(file),
      argv: splitWords(readCommandLine(space, memory)),
      get envp(): string[] {
        try {
          return splitWords(readEnvironment(space, memory));
        } catch (error) {
          throw KernelDataError.from(error, "an mm_struct", mm);
        }
      },
    };
  } catch (error) {
    throw KernelDataError.from(error, "an mm_struct", mm);
  }
}
