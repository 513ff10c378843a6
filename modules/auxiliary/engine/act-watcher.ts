/** Tells what system calls have done, by what they returned. */
import { CallbackManager, type Cpu, findGuest, getRunningProcess, type LinuxProcess } from "rebox";
import { readAddress, readPath, resolvePath } from "./act-arguments";
import type { Traced } from "./syscalls";

/** Calls that wait for their return at one moment. */
const MOST_WAITING = 1000;
/** What a call returns that goes on without the program (include/uapi/asm-generic/errno.h). */
const IN_PROGRESS = -115n;
const PROTOCOLS: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6" };

const WRITES = new Set(["write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile64", "sendfile", "ftruncate"]);
/** After these, a descriptor may be another file. */
const CHANGES = /^(open|close|dup|socket|accept|pipe|creat|fcntl|eventfd|epoll_create|memfd|timerfd|signalfd|execve)/;

/** A call whose return is waited for. */
interface Waiting {
  readonly pgd: bigint;
  readonly stack: bigint;
  readonly callback: string;
}

/** What a call has done, told when it has returned. */
type Act = (result: bigint, process: LinuxProcess | undefined) => void;

/** Watches calls that change files or the network. */
export class ActWatcher {
  private readonly waiting = new Set<Waiting>();
  /** Descriptors that were looked at, by address space. */
  private readonly settled = new Map<bigint, Set<bigint>>();
  /** Files that are told of, with who has written them. */
  private readonly written = new Set<string>();
  private told = 0;

  /** @param most so many acts are told */
  constructor(
    private readonly callbacks: CallbackManager,
    private readonly most: number,
    private readonly tell: (value: unknown) => void,
  ) {}

  /** Sees a call of a program of 64 bits before it is carried out. */
  see(call: string, values: readonly bigint[], caller: Traced, cpu: Cpu): void {
    if (this.told >= this.most) return;
    if (CHANGES.test(call)) this.settled.delete(caller.pgd);
    const act = this.findAct(call, values, caller);
    if (act !== undefined && this.waiting.size < MOST_WAITING) this.waitForReturn(caller, cpu, act);
  }

  /** Forgets a process that has ended, or executes another program. */
  forget(pgd: bigint): void {
    this.settled.delete(pgd);
    for (const each of this.waiting) if (each.pgd === pgd) this.end(each);
  }

  private findAct(call: string, values: readonly bigint[], caller: Traced): Act | undefined {
    const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n] = values;
    const { pgd } = caller;
    const path = (address: bigint) => readPath(pgd, address);
    switch (call) {
      case "unlink":
      case "rmdir":
        return this.removal(caller, undefined, path(a), () => path(a));
      case "unlinkat":
        return this.removal(caller, a, path(b), () => path(b));
      case "rename":
        return this.renaming(caller, [undefined, path(a)], [undefined, path(b)]);
      case "renameat":
      case "renameat2":
        return this.renaming(caller, [a, path(b)], [c, path(d)]);
      case "connect":
        return this.connection(caller, a, b, c);
      case "sendto":
        return e === 0n ? undefined : this.sending(caller, a, e, f);
      default:
        return WRITES.has(call) ? this.writing(caller, a) : undefined;
    }
  }

  private writing(caller: Traced, descriptor: bigint): Act | undefined {
    const settled = this.settled.get(caller.pgd) ?? new Set<bigint>();
    if (settled.has(descriptor)) return undefined;
    return (result, process) => {
      if (result < 0n) return;
      this.settled.set(caller.pgd, settled.add(descriptor));
      const file = process?.openFiles.find((each) => each.descriptor === Number(descriptor));
      if (file?.type !== "file") return;
      const key = `${caller.pid} ${file.path}`;
      if (this.written.has(key)) return;
      this.written.add(key);
      this.report("file.written", caller, { path: file.path });
    };
  }

  /** What is not in memory yet is, once the kernel has read it. */
  private removal(
    caller: Traced,
    folder: bigint | undefined,
    early: string | undefined,
    late: () => string | undefined,
  ): Act {
    return (result, process) => {
      if (result !== 0n) return;
      this.report("file.removed", caller, { path: resolvePath(process, folder, early ?? late()) });
    };
  }

  private renaming(
    caller: Traced,
    from: readonly [bigint | undefined, string | undefined],
    to: readonly [bigint | undefined, string | undefined],
  ): Act {
    return (result, process) => {
      if (result !== 0n) return;
      this.report("file.renamed", caller, { path: resolvePath(process, ...from), to: resolvePath(process, ...to) });
    };
  }

  private connection(caller: Traced, descriptor: bigint, address: bigint, size: bigint): Act {
    return (result, process) => {
      const end = readAddress(caller.pgd, address, size);
      if (end === undefined) return;
      const protocol = findProtocol(process, descriptor);
      if (result === 0n || result === IN_PROGRESS) this.report("network.connected", caller, { protocol, ...end });
      else this.report("network.failed", caller, { protocol, ...end, error: Number(-result) });
    };
  }

  private sending(caller: Traced, descriptor: bigint, address: bigint, size: bigint): Act {
    return (result, process) => {
      const end = result < 0n ? undefined : readAddress(caller.pgd, address, size);
      if (end !== undefined)
        this.report("network.sent", caller, { protocol: findProtocol(process, descriptor), ...end });
    };
  }

  private report(act: string, { pid, name }: Traced, facts: object): void {
    this.told++;
    this.tell({ act, pid, process: name, ...facts });
    if (this.told === this.most) this.tell({ act: "full" });
  }

  /** "syscall" leaves the address behind it in RCX (Intel SDM volume 2, SYSCALL); the stack tells threads apart. */
  private waitForReturn(caller: Traced, cpu: Cpu, act: Act): void {
    const { pgd } = caller;
    const { RCX: address, RSP: stack } = cpu;
    const listener = (cpuIndex: number, now: Cpu): void => {
      if (now.RSP !== stack || getRunningProcess(cpuIndex) !== pgd) return;
      this.end(waiting);
      try {
        act(BigInt.asIntN(64, now.RAX), findGuest()?.findProcess(pgd));
      } catch {
        // The kernel's tables are damaged, or the process has gone: there is nothing to tell.
      }
    };
    const callback = this.callbacks.addCallback(CallbackManager.INSN_BEGIN_CB, listener, { addr: address, pgd });
    const waiting = { pgd, stack, callback };
    this.waiting.add(waiting);
  }

  private end(waiting: Waiting): void {
    if (!this.waiting.delete(waiting)) return;
    this.callbacks.rmCallback(waiting.callback);
  }
}

function findProtocol(process: LinuxProcess | undefined, descriptor: bigint): string {
  const socket = process?.sockets.find((each) => each.descriptor === Number(descriptor));
  if (socket === undefined) return "?";
  return PROTOCOLS[socket.protocol] ?? String(socket.protocol);
}
