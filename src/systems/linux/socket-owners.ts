import { KernelDataError } from "./structs/kernel-data-error";
import type { LinuxKernel } from "./structs/linux-kernel";
import type { LinuxProcess } from "./linux-process";

/** fs.nr_open can be raised beyond its default of 1 Mi; what has more is not looked at further. */
const MOST_DESCRIPTORS = 1024 * 1024;
const MODE_FORMAT = 0xf000;
const MODE_SOCKET = 0xc000;

/**
 * Finds which processes have which sockets open. A socket that a process was given, or that it had when it was made, belongs to
 * several.
 *
 * @returns by the address of the socket's struct sock, the kaddr of SocketFacts; sockets that no process has are not in it
 * @throws KernelDataError when a table of open files is damaged
 */
export function findSocketOwners(
  kernel: LinuxKernel,
  processes: readonly LinuxProcess[],
): Map<bigint, readonly LinuxProcess[]> {
  const owners = new Map<bigint, LinuxProcess[]>();
  // Files that several processes have are looked at once.
  const known = new Map<bigint, bigint>();
  for (const process of processes) {
    for (const file of listFiles(kernel, process.kaddr)) {
      let sock = known.get(file);
      if (sock === undefined) known.set(file, (sock = findSock(kernel, file)));
      if (sock === 0n) continue;
      const others = owners.get(sock);
      if (!others) owners.set(sock, [process]);
      else if (others.at(-1) !== process) others.push(process);
    }
  }
  return owners;
}

/** The addresses of the struct file of all open files; those that are open twice come twice. */
function listFiles(kernel: LinuxKernel, task: bigint): bigint[] {
  try {
    const table = kernel.at("task_struct", task).follow("files")?.follow("fdt");
    if (!table) return [];
    const count = table.number("max_fds");
    if (!(count >= 0 && count <= MOST_DESCRIPTORS)) {
      throw new KernelDataError("a table of open files", table.address, `it says that it has ${count} entries`);
    }
    const size = kernel.memory.pointerSize;
    const entries = kernel.memory.read(table.value("fd"), count * size);
    return Array.from({ length: count }, (_, index) =>
      size === 8 ? entries.readBigUInt64LE(index * size) : BigInt(entries.readUInt32LE(index * size)),
    ).filter((file) => file !== 0n);
  } catch (error) {
    throw KernelDataError.from(error, "the open files of a task_struct", task);
  }
}

/** The address of the struct sock behind an open file; 0 when it is no socket. */
function findSock(kernel: LinuxKernel, file: bigint): bigint {
  const { memory } = kernel;
  try {
    const inode = memory.pointer(file + BigInt(kernel.offset("file", "f_inode")));
    if (inode === 0n) return 0n;
    const mode = memory.u16(inode + BigInt(kernel.offset("inode", "i_mode")));
    if ((mode & MODE_FORMAT) !== MODE_SOCKET) return 0n;
    const socket = memory.pointer(file + BigInt(kernel.offset("file", "private_data")));
    return socket === 0n ? 0n : memory.pointer(socket + BigInt(kernel.offset("socket", "sk")));
  } catch (error) {
    throw KernelDataError.from(error, "an open file", file);
  }
}
