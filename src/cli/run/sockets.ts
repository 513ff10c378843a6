import { lstatSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { UsageError } from "../errors";

/** The longest path that a unix socket can have on Linux, in bytes. */
const LONGEST_SOCKET_PATH = 107;

/**
 * Checks the length of a socket's path.
 *
 * @param option that names it, for the message
 * @throws UsageError when it is too long
 */
export function checkSocketPath(path: string, option: string): string {
  const length = Buffer.byteLength(path);
  if (length > LONGEST_SOCKET_PATH) {
    const advice = "use a shorter one, or a relative one";
    throw new UsageError(
      `${option}: a socket's path has at most ${LONGEST_SOCKET_PATH} bytes, this has ${length}; ${advice}`,
    );
  }
  return path;
}

/**
 * Checks that a socket may be made there, and removes one that a killed program left behind. QEMU itself would silently
 * delete whatever has that name.
 *
 * @param option that names the path, for messages
 * @throws UsageError when something else has that name, or another program listens there
 */
export async function prepareSocket(path: string, option: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) throw new UsageError(`${option}: ${path} exists and is no socket; name a path that is free`);
  if (await isListening(path)) {
    throw new UsageError(`${option}: another program listens on ${path}; end it, or name another path`);
  }
  rmSync(path, { force: true });
}

/** Removes a socket if it is there. */
export function removeSocket(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) rmSync(path, { force: true });
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const answer = (listening: boolean) => {
      socket.destroy();
      resolve(listening);
    };
    socket.once("connect", () => answer(true));
    socket.once("error", () => answer(false));
  });
}

/** The place of QEMU's monitor: the terminal, nowhere, or a unix socket. */
export type MonitorOption = "stdio" | "none" | { readonly socket: string };

/**
 * Parses the value of --monitor.
 *
 * @param text "stdio", "none" or "unix:PATH"
 * @throws UsageError for anything else, and for a path too long for a socket
 */
export function parseMonitor(text: string): MonitorOption {
  if (text === "stdio" || text === "none") return text;
  const socket = text.startsWith("unix:") ? text.slice("unix:".length) : "";
  if (socket === "") throw new UsageError(`--monitor is "${text}"; it must be stdio, none or unix:PATH`);
  return { socket: checkSocketPath(socket, "--monitor") };
}

/** Returns QEMU's arguments for a monitor. */
export function getMonitorArgs(monitor: MonitorOption): string[] {
  if (typeof monitor === "string") return ["-monitor", monitor];
  // In QEMU's options a comma is written twice.
  return ["-monitor", `unix:${monitor.socket.replaceAll(",", ",,")},server=on,wait=off`];
}
