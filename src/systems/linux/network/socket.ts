import { KernelDataError } from "../structs/kernel-data-error";
import type { LinuxKernel } from "../structs/linux-kernel";
import type { OpenFile } from "../files/open-file";
import { readSocket, type SocketFacts } from "./socket-facts";

/** A socket that a process has open. */
export interface GuestSocket extends SocketFacts {
  readonly descriptor: number;
}

/**
 * Reads the socket behind an open file.
 *
 * @returns undefined when the file is no socket
 * @throws KernelDataError when it is damaged
 */
export function findSocket(kernel: LinuxKernel, file: OpenFile): GuestSocket | undefined {
  if (file.type !== "socket") return undefined;
  try {
    const sock = kernel.at("file", file.kaddr);
    const socket = kernel.at("socket", sock.value("private_data")).follow("sk");
    return socket && { ...readSocket(kernel, socket.address), descriptor: file.descriptor };
  } catch (error) {
    throw KernelDataError.from(error, "a socket", file.kaddr);
  }
}
