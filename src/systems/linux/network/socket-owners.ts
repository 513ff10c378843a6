import { FileFormat, getFileFormat } from "../files/file-mode";
import { listDescriptors } from "../files/open-file";
import { KernelDataError } from "../../errors";
import type { LinuxKernel } from "../structs/linux-kernel";

/**
 * Finds which processes have which sockets open. A socket that a process was given, or that it had when it was made, belongs to
 * several.
 *
 * @param processes anything that has the thread through which its files are read
 * @returns by the address of the socket's struct sock, the kaddr of SocketFacts; sockets that no process has are not in it
 * @throws KernelDataError when a table of open files is damaged
 */
export function findSocketOwners<Process extends { readonly livingThread: { readonly kaddr: bigint } }>(
  kernel: LinuxKernel,
  processes: readonly Process[],
): Map<bigint, readonly Process[]> {
  const owners = new Map<bigint, Process[]>();
  // A file that several processes have is looked at once.
  const known = new Map<bigint, bigint>();
  for (const process of processes) {
    for (const { file } of listDescriptors(kernel, process.livingThread.kaddr)) {
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

/** Finds the address of the struct sock behind an open file; 0 when the file is no socket. */
function findSock(kernel: LinuxKernel, file: bigint): bigint {
  const { memory } = kernel;
  try {
    const inode = memory.pointer(file + BigInt(kernel.offset("file", "f_inode")));
    if (inode === 0n) return 0n;
    const mode = memory.u16(inode + BigInt(kernel.offset("inode", "i_mode")));
    if (getFileFormat(mode) !== FileFormat.socket) return 0n;
    const socket = memory.pointer(file + BigInt(kernel.offset("file", "private_data")));
    return socket === 0n ? 0n : memory.pointer(socket + BigInt(kernel.offset("socket", "sk")));
  } catch (error) {
    throw KernelDataError.from(error, "an open file", file);
  }
}
