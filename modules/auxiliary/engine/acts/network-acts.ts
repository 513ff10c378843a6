/** Tells what system calls have done in the network. */
import { type LinuxProcess, readVa, type SocketFacts } from "rebox";
import { readAddress } from "./act-arguments";
import { type Act, type FindAct, onSuccess, type ReportAct } from "./acts";
import { type PendingConnections, readError } from "./pending-connections";
import type { Traced } from "../traced-processes";

/** Results of a call behind which the kernel goes on: EINPROGRESS, EINTR and ERESTARTSYS (include/uapi/asm-generic/errno.h). */
const GOES_ON = [-115n, -4n, -512n];
/** Of a call that asks again: EALREADY, EISCONN. */
const ASKED_AGAIN = [-114n, -106n];
const TCP = 6;
/** Of a connection that is being made (include/net/tcp_states.h). */
const UNDECIDED_STATES = ["SYN_SENT", "SYN_RECV"];
const PROTOCOLS: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6" };
/** Messages of one sendmmsg(2) whose addresses are looked at. */
const MOST_MESSAGES = 16;
/** sizeof(struct mmsghdr), and of a struct user_msghdr's first two members: the address and its size (include/linux/socket.h). */
const MESSAGES = { 64: { size: 64, head: 12 }, 32: { size: 32, head: 8 } } as const;

/** Watches calls that reach other machines, or wait for them. */
export class NetworkActs {
  readonly calls: Readonly<Record<string, FindAct>> = {
    connect: ([fd = 0n, address = 0n, size = 0n], who) => this.connection(who, fd, address, size),
    sendto: ([fd = 0n, , , , address = 0n, size = 0n], who) =>
      address === 0n ? undefined : this.sending(who, fd, () => [{ address, size }]),
    sendmsg: ([fd = 0n, message = 0n], who, bits) => this.sending(who, fd, () => [readMessage(who.pgd, message, bits)]),
    sendmmsg: ([fd = 0n, messages = 0n], who, bits) =>
      this.sending(who, fd, (sent) => {
        const count = Math.min(Number(sent), MOST_MESSAGES);
        return Array.from({ length: count }, (_, at) => readMessage(who.pgd, messages + BigInt(at * MESSAGES[bits].size), bits)); // prettier-ignore
      }),
    listen: ([fd = 0n], who) => this.onSocket("network.listening", who, fd, (socket) => local(socket)),
    accept: (_values, who) => this.accepting(who),
    accept4: (_values, who) => this.accepting(who),
  };

  constructor(
    private readonly report: ReportAct,
    private readonly pending: PendingConnections,
  ) {}

  private connection(caller: Traced, descriptor: bigint, address: bigint, size: bigint): Act {
    return (result, process) => {
      const end = readAddress(caller.pgd, address, size);
      if (end === undefined || ASKED_AGAIN.includes(result)) return;
      const socket = findSocket(process, descriptor);
      const facts = { protocol: protocolOf(socket), ...end };
      const tell = (error: number | undefined): void => {
        if (error === undefined) this.report("network.connected", caller, facts);
        else this.report("network.failed", caller, { ...facts, error });
      };
      if (!GOES_ON.includes(result)) return tell(result >= 0n ? undefined : Number(-result));
      if (socket?.protocol !== TCP) return tell(Number(-result));
      // Over loopback it is made, or refused, before the call returns; the other side may even have shut it already.
      if (socket.state === "CLOSE") return tell(readError(socket.kaddr) || Number(-result));
      if (!UNDECIDED_STATES.includes(socket.state)) return tell(undefined);
      if (!this.pending.follow(socket.kaddr, tell)) tell(Number(-result));
    };
  }

  private sending(
    caller: Traced,
    descriptor: bigint,
    listEnds: (result: bigint) => readonly ({ readonly address: bigint; readonly size: bigint } | undefined)[],
  ): Act {
    return onSuccess((process, result) => {
      for (const named of listEnds(result)) {
        const end = named && named.address !== 0n ? readAddress(caller.pgd, named.address, named.size) : undefined;
        if (end === undefined) continue;
        this.report("network.sent", caller, { protocol: protocolOf(findSocket(process, descriptor)), ...end });
      }
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

/** Reads the address of a message and its size; undefined when it is not in memory. */
function readMessage(pgd: bigint, at: bigint, bits: 32 | 64): { address: bigint; size: bigint } | undefined {
  try {
    const bytes = readVa(pgd, at, MESSAGES[bits].head);
    const address = bits === 64 ? bytes.readBigUInt64LE(0) : BigInt(bytes.readUInt32LE(0));
    return { address, size: BigInt(bytes.readUInt32LE(bits / 8)) };
  } catch {
    return undefined;
  }
}

function local(socket: SocketFacts): object {
  return { protocol: protocolOf(socket), address: socket.localAddress, port: socket.localPort };
}

function findSocket(process: LinuxProcess | undefined, descriptor: bigint): SocketFacts | undefined {
  const number = Number(BigInt.asIntN(32, descriptor));
  return process?.sockets.find((each) => each.descriptor === number);
}

function protocolOf(socket: SocketFacts | undefined): string {
  return socket === undefined ? "?" : (PROTOCOLS[socket.protocol] ?? String(socket.protocol));
}
