import { type Command, defineCommand } from "../command";
import type { CommandValue } from "../command-result";
import type { LinuxProcess } from "../../../systems/linux/linux-process";
import type { SocketFacts } from "../../../systems/linux/network/socket";
import { getGuest } from "../../../guest/guest";
import { getProcess } from "../arguments/process-choice";

const SOCKET_COLUMNS = ["family", "type", "state", "local", "remote", "inode", "net"];

interface Listing {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly help: string;
  readonly columns: readonly string[];
  list(process: LinuxProcess): { readonly [column: string]: CommandValue }[];
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
    list: (process) =>
      process.memoryMap.map(({ start, end, permissions, offset, path }) => ({ start, end, permissions, offset, path })),
  },
  {
    name: "threads",
    help: "Lists the threads of a process.",
    columns: ["tid", "name", "task"],
    list: (process) => process.threads.map(({ tid, name, kaddr }) => ({ tid, name, task: kaddr })),
  },
  {
    name: "files",
    aliases: ["lsof"],
    help: "Lists the open files of a process.",
    columns: ["fd", "type", "position", "flags", "path"],
    list: (process) =>
      process.openFiles.map(({ descriptor, type, position, flags, path, kaddr }) => ({
        ...{ fd: descriptor, type, path, file: kaddr },
        position: String(position),
        flags: `0${flags.toString(8)}`,
      })),
  },
  {
    name: "sockets",
    aliases: ["netstat"],
    help: "Lists the sockets of a process.",
    columns: ["fd", "family", "type", "state", "local", "remote", "inode"],
    list: (process) => process.sockets.map((socket) => ({ fd: socket.descriptor, ...describeSocket(socket) })),
  },
];

const ALL_SOCKETS = defineCommand({
  name: "ss",
  help:
    "Lists all sockets of the guest, in all network namespaces.\n" +
    "Also those that no process has, whose inode is 0: not accepted yet, being opened, or in TIME_WAIT.",
  parse: (input) => input.end(),
  run: () => ({ kind: "rows", columns: SOCKET_COLUMNS, rows: getGuest().getSockets().map(describeSocket) }),
});

const PROCESS_LISTINGS = LISTINGS.map(({ name, aliases, help, columns, list }) =>
  defineCommand({
    name,
    ...(aliases === undefined ? {} : { aliases }),
    usage: "[PROCESS]",
    help: `${help} Without PROCESS: of the chosen one, or the one that the vCPU runs.`,
    parse: (input) => input.find(),
    run: (text, session) => ({ kind: "rows", columns, rows: list(getProcess(text, session)) }),
  }),
);

export const PROCESS_DETAIL_COMMANDS: readonly Command[] = [...PROCESS_LISTINGS, ALL_SOCKETS];
