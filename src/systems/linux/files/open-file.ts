import { KernelDataError } from "../../errors";
import type { LinuxKernel } from "../structs/linux-kernel";
import { type FileKind, getFileKind } from "./file-mode";
import type { PathReader } from "./path-reader";

/** fs.nr_open can be raised beyond its default of 1 Mi; a larger table is taken for a damaged one. */
const MOST_DESCRIPTORS = 1024 * 1024;

/** A file that a process has open. */
export interface OpenFile {
  readonly descriptor: number;
  /** As /proc/PID/fd shows it: a path, or "socket:[1234]", "pipe:[1234]", "anon_inode:[eventpoll]". */
  readonly path: string;
  /** In bytes. */
  readonly position: bigint;
  /** The flags of open(2). */
  readonly flags: number;
  readonly type: FileKind;
  /** The address of its struct file. */
  readonly kaddr: bigint;
}

/** An entry of a process' table of open files. */
export interface Descriptor {
  readonly descriptor: number;
  /** The address of the struct file. */
  readonly file: bigint;
}

/**
 * Lists the open files of a process, in the order of their descriptors.
 *
 * @param task the address of its task_struct
 * @throws KernelDataError when the table of descriptors is damaged
 */
export function listOpenFiles(kernel: LinuxKernel, paths: PathReader, task: bigint): OpenFile[] {
  return listDescriptors(kernel, task).map(({ descriptor, file }) => {
    try {
      return readFile(kernel, paths, file, descriptor);
    } catch (error) {
      throw KernelDataError.from(error, "the open files of a task_struct", task);
    }
  });
}

/**
 * Finds an open file of a process by its descriptor.
 *
 * @param task the address of its task_struct
 * @throws KernelDataError when the table of descriptors is damaged
 */
export function findOpenFile(
  kernel: LinuxKernel,
  paths: PathReader,
  task: bigint,
  descriptor: number,
): OpenFile | undefined {
  const found = listDescriptors(kernel, task).find((each) => each.descriptor === descriptor);
  try {
    return found && readFile(kernel, paths, found.file, descriptor);
  } catch (error) {
    throw KernelDataError.from(error, "the open files of a task_struct", task);
  }
}

/**
 * Lists the descriptors of a process that are in use. A file that is open twice is listed twice.
 *
 * @param task the address of its task_struct
 * @throws KernelDataError when the table of descriptors is damaged
 */
export function listDescriptors(kernel: LinuxKernel, task: bigint): Descriptor[] {
  try {
    // A process that has ended, and some kernel threads, have no table.
    const table = kernel.at("task_struct", task).follow("files")?.follow("fdt");
    if (!table) return [];
    const count = table.number("max_fds");
    if (!(count >= 0 && count <= MOST_DESCRIPTORS)) {
      throw new KernelDataError("a table of open files", table.address, `it says that it has ${count} entries`);
    }
    const size = kernel.memory.pointerSize;
    const entries = kernel.memory.read(table.value("fd"), count * size);
    const used: Descriptor[] = [];
    for (let descriptor = 0; descriptor < count; descriptor++) {
      const at = descriptor * size;
      const file = size === 8 ? entries.readBigUInt64LE(at) : BigInt(entries.readUInt32LE(at));
      if (file !== 0n) used.push({ descriptor, file });
    }
    return used;
  } catch (error) {
    throw KernelDataError.from(error, "the open files of a task_struct", task);
  }
}

function readFile(kernel: LinuxKernel, paths: PathReader, address: bigint, descriptor: number): OpenFile {
  const file = kernel.at("file", address);
  return {
    descriptor,
    path: paths.readFile(address),
    position: file.value("f_pos"),
    flags: file.number("f_flags"),
    type: getFileKind(file.follow("f_inode")?.number("i_mode") ?? 0),
    kaddr: address,
  };
}
