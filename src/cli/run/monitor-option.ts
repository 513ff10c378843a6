import { UsageError } from "../usage-error";
import { checkSocketPath } from "./socket-path";

/** Where QEMU's monitor goes: the terminal, nowhere, or a unix socket. */
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
