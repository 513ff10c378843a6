import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { connect } from "node:net";
import { basename, dirname, relative } from "node:path";
import type { Duplex } from "node:stream";
import { MachineryConnectionError } from "../../../errors";

/** sun_path of sockaddr_un has 108 bytes, with a zero at the end. */
const LONGEST_PATH = 107;

/** Returns the path of a socket for a process whose working folder is `cwd`: a lab may lie deep. */
export function shortenSocketPath(path: string, cwd: string): string {
  const inside = relative(cwd, path);
  return inside.length < path.length ? inside : path;
}

/**
 * Connects to a socket however long its path is, by way of its folder's descriptor.
 *
 * @param use gets a path that is short enough, which holds until it is done
 */
export async function withSocketPath<Result>(path: string, use: (path: string) => Promise<Result>): Promise<Result> {
  if (Buffer.byteLength(path) <= LONGEST_PATH) return use(path);
  const folder = openSync(dirname(path), "r");
  try {
    return await use(`/proc/self/fd/${folder}/${basename(path)}`);
  } finally {
    closeSync(folder);
  }
}

/**
 * Opens a connection to a socket of a machine.
 *
 * @param what it is, for the message
 * @throws MachineryConnectionError
 */
export function openSocket(file: string, what: string, signal: AbortSignal): Promise<Duplex> {
  return withSocketPath(file, async (path) => {
    const socket = connect(path);
    try {
      await once(socket, "connect", { signal });
    } catch (error) {
      socket.destroy();
      const reason = error instanceof Error ? error.message : String(error);
      throw new MachineryConnectionError(`${what} cannot be opened: ${reason}`);
    }
    return socket;
  });
}
