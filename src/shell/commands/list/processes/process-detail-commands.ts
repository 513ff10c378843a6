import { type Command, defineCommand } from "../../command";
import type { CommandValue } from "../../command-result";
import type { GuestProcess } from "../../../../systems/guest-system";
import { LinuxProcess } from "../../../../systems/linux/linux-process";
import { WindowsProcess } from "../../../../systems/windows/windows-process";
import type { SocketFacts } from "../../../../systems/linux/network/socket";
import { getGuest } from "../../../../guest/guest";
import { getLinuxProcess, getProcess } from "../../arguments/process-choice";

const SOCKET_COLUMNS = ["family", "type", "state", "local", "remote", "inode", "net", "process"];

interface Listing {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly help: string;
  readonly columns: readonly string[];
  /** Those that it lists, for the answer that there are none. */
  readonly what: string;
  list(process: LinuxProcess): { readonly [column: string]: CommandValue }[];
  /** The same for Windows; without it, the command is for Linux. */
  listOfWindows?(process: WindowsProcess): { readonly [column: string]: CommandValue }[];
}

function describeEnd(family: SocketFacts["family"], address: string, port: number): string {
  return family === "inet6" ? `[${address}]:${port}` : `${address}:${port}`;
}

function describeSocket(socket: SocketFacts) {
  const { family, type, state, inode, namespace, path, kaddr } = socket;
  const isInternet = family === "inet" || family === "inet6";
  return {
    ...{ family, type, state, inode: String(inode), net: namespace, sock: kaddr },
    local: isInternet ? describeEnd(family, socket.localAddress, socket.localPort) : path,
    remote: isInternet ? describeEnd(family, socket.remoteAddress, socket.remotePort) : "",
  };
}

const LISTINGS: readonly Listing[] = [
  {
    name: "vmmap",
    aliases: ["maps"],
    help: "Lists the mappings of a process' memory, as /proc/PID/maps does.",
    columns: ["start", "end", "permissions", "offset", "path"],
    what: "mappings",
    list: (process) =>
      process.memoryMap.map(({ start, end, permissions, offset, path }) => ({ start, end, permissions, offset, path })),
    listOfWindows: (process) =>
      process.memoryMap.map(({ start, end, permissions, isPrivate, path }) => ({
        ...{ start, end, offset: null, path },
        permissions: `${permissions}${isPrivate ? "p" : "s"}`,
      })),
  },
  {
    name: "threads",
    help: "Lists the threads of a process.",
    columns: ["tid", "name", "task"],
    what: "threads",
    list: (process) => process.threads.map(({ tid, name, kaddr }) => ({ tid, name, task: kaddr })),
    listOfWindows: (process) => process.threads.map(({ tid, kaddr }) => ({ tid, name: null, task: kaddr })),
  },
  {
    name: "files",
    aliases: ["lsof"],
    help: "Lists the open files of a process; of Windows all handles, with their rights as flags.",
    columns: ["fd", "type", "position", "flags", "path"],
    what: "open files",
    list: (process) =>
      process.openFiles.map(({ descriptor, type, position, flags, path, kaddr }) => ({
        ...{ fd: descriptor, type, path, file: kaddr },
        position: String(position),
        flags: `0${flags.toString(8)}`,
      })),
    listOfWindows: (process) =>
      process.handles.map(({ handle, type, name, access, object }) => ({
        ...{ fd: handle, type, path: name, file: object, position: null },
        flags: `0x${access.toString(16)}`,
      })),
  },
  {
    name: "sockets",
    aliases: ["netstat"],
    help: "Lists the sockets of a process.",
    columns: ["fd", "family", "type", "state", "local", "remote", "inode"],
    what: "sockets",
    list: (process) => process.sockets.map((socket) => ({ fd: socket.descriptor, ...describeSocket(socket) })),
  },
];

const ALL_SOCKETS = defineCommand({
  name: "ss",
  help:
    "Lists all sockets of the guest, in all network namespaces, with the processes that have them open.\n" +
    "Also those that no process has, whose inode is 0: not accepted yet, being opened, or in TIME_WAIT.",
  parse: (input) => input.end(),
  run: () => {
    const guest = getGuest();
    const owners = guest.getSocketOwners();
    const rows = guest.getSockets().map((socket) => ({
      ...describeSocket(socket),
      process: (owners.get(socket.kaddr) ?? []).map(({ name, pid }) => `${name} (${pid})`).join(", "),
    }));
    return {
      kind: "rows",
      columns: SOCKET_COLUMNS,
      rows,
      note: rows.length === 0 ? "the guest has no sockets" : undefined,
    };
  },
});

function explainNone({ name, pid, pgd, isKernelThread }: GuestProcess, what: string): string {
  const reason = isKernelThread ? ": it is a thread of the kernel" : pgd === 0n ? ": it has ended" : "";
  return `${name} (${pid}) has no ${what}${reason}`;
}

const PROCESS_LISTINGS = LISTINGS.map(({ name, aliases, help, columns, what, list, listOfWindows }) =>
  defineCommand({
    name,
    ...(aliases === undefined ? {} : { aliases }),
    usage: "[PROCESS]",
    help: `${help} Without PROCESS: of the chosen one, or the one that the vCPU runs.`,
    parse: (input) => input.find(),
    run: (text, session) => {
      const process = listOfWindows ? getProcess(text, session) : getLinuxProcess(text, session);
      const rows =
        listOfWindows && process instanceof WindowsProcess
          ? listOfWindows(process)
          : list(process instanceof LinuxProcess ? process : getLinuxProcess(text, session));
      return { kind: "rows", columns, rows, note: rows.length === 0 ? explainNone(process, what) : undefined };
    },
  }),
);

export const PROCESS_DETAIL_COMMANDS: readonly Command[] = [...PROCESS_LISTINGS, ALL_SOCKETS];
