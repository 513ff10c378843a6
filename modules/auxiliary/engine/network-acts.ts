/** Tells what system calls have done in the network. */
import type { LinuxProcess, SocketFacts } from "rebox";
import { readAddress } from "./act-arguments";
import { type Act, type FindAct, onSuccess, type ReportAct } from "./acts";
import type { Traced } from "./traced-processes";

/** The result of a call that goes on without the program (include/uapi/asm-generic/errno.h). */
const IN_PROGRESS = -115n;
const PROTOCOLS: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6" };

/** Watches calls that reach other machines, or wait for them. */
export class NetworkActs {
  readonly calls: Readonly<Record<string, FindAct>> = {
    connect: ([fd = 0n, address = 0n, size = 0n], who) => this.connection(who, fd, address, size),
    sendto: ([fd = 0n, , , , address = 0n, size = 0n], who) =>
      address === 0n ? undefined : this.sending(who, fd, address, size),
    listen: ([fd = 0n], who) => this.onSocket("network.listening", who, fd, (socket) => local(socket)),
    accept: (_values, who) => this.accepting(who),
    accept4: (_values, who) => this.accepting(who),
  };

  constructor(private readonly report: ReportAct) {}

  private connection(caller: Traced, descriptor: bigint, address: bigint, size: bigint): Act {
    return (result, process) => {
      const end = readAddress(caller.pgd, address, size);
      if (end === undefined) return;
      const protocol = protocolOf(findSocket(process, descriptor));
      if (result === 0n || result === IN_PROGRESS) this.report("network.connected", caller, { protocol, ...end });
      else this.report("network.failed", caller, { protocol, ...end, error: Number(-result) });
    };
  }

  private sending(caller: Traced, descriptor: bigint, address: bigint, size: bigint): Act {
    return onSuccess((process) => {
      const end = readAddress(caller.pgd, address, size);
      if (end === undefined) return;
      this.report("network.sent", caller, { protocol: protocolOf(findSocket(process, descriptor)), ...end });
    });
  }

  private accepting(caller: Traced): Act {
    return onSuccess((process, result) => {
      const socket = findSocket(process, result);
      if (socket?.family === "inet" || socket?.family === "inet6") {
        const { remoteAddress: address, remotePort: port } = socket;
        this.report("network.accepted", caller, { protocol: protocolOf(socket), address, port });
      }
    });
  }

  private onSocket(act: string, caller: Traced, descriptor: bigint, facts: (socket: SocketFacts) => object): Act {
    return onSuccess((process) => {
      const socket = findSocket(process, descriptor);
      if (socket?.family === "inet" || socket?.family === "inet6") this.report(act, caller, facts(socket));
    });
  }
}

function local(socket: SocketFacts): object {
  return { protocol: protocolOf(socket), address: socket.localAddress, port: socket.localPort };
}

function findSocket(process: LinuxProcess | undefined, descriptor: bigint): SocketFacts | undefined {
  return process?.sockets.find((each) => each.descriptor === Number(descriptor));
}

function protocolOf(socket: SocketFacts | undefined): string {
  return socket === undefined ? "?" : (PROTOCOLS[socket.protocol] ?? String(socket.protocol));
}
