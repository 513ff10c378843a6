/** Tells what system calls have done to processes and to the kernel. */
import { readVa } from "rebox";
import { readPath } from "./act-arguments";
import { type Act, type FindAct, findPath, onSuccess, type ReportAct } from "./acts";
import { SET_NAME } from "./call-choices";
import type { Traced } from "../traced-processes";

// include/uapi/linux/ptrace.h
const PTRACE_REQUESTS: Readonly<Record<number, string>> = {
  ...{ 0: "traceme", 4: "poketext", 5: "pokedata", 13: "setregs", 16: "attach", 0x4205: "setregset", 0x4206: "seize" },
};
// include/uapi/asm-generic/mman-common.h
const PROT_WRITE = 2n;
const PROT_EXEC = 4n;
/** The flags of clone(2) that make a namespace, in the order of their bits. */
const NAMESPACES: readonly (readonly [bigint, string])[] = [
  ...([
    [0x80n, "time"],
    [0x20000n, "mount"],
    [0x2000000n, "cgroup"],
    [0x4000000n, "uts"],
  ] as const),
  ...([
    [0x8000000n, "ipc"],
    [0x10000000n, "user"],
    [0x20000000n, "pid"],
    [0x40000000n, "network"],
  ] as const),
];

/** Commands of keyctl(2) that use, change or remove a key or a keyring (include/uapi/linux/keyctl.h); the others only ask. */
const KEY_COMMANDS: Readonly<Record<number, string>> = {
  ...{
    1: "join_session_keyring",
    2: "update",
    3: "revoke",
    4: "chown",
    5: "setperm",
    7: "clear",
    8: "link",
    9: "unlink",
  },
  ...{ 11: "read", 12: "instantiate", 15: "set_timeout", 21: "invalidate", 29: "restrict_keyring", 30: "move" },
};
/** Supplementary groups that are told; a process may have 65536. */
const MOST_GROUPS = 32;

/** Watches calls that change other processes, what the caller may do, and the kernel. */
export class ProcessActs {
  readonly calls: Readonly<Record<string, FindAct>>;
  /** The acts that are told once of each process: a loader may do it thousands of times. */
  private readonly told = new Set<string>();

  constructor(private readonly report: ReportAct) {
    const users = (who: Traced, ...ids: bigint[]): Act => this.always("process.credentials", who, { ids: ids.map(showId) }); // prettier-ignore
    const groups = (who: Traced, ...ids: bigint[]): Act => this.always("process.credentials", who, { groups: ids.map(showId) }); // prettier-ignore
    this.calls = {
      ptrace: ([request = 0n, pid = 0n], who) => {
        const named = PTRACE_REQUESTS[Number(request)];
        return named === undefined
          ? undefined
          : this.once("process.traced", who, { request: named, target: Number(pid) });
      },
      process_vm_writev: ([pid = 0n], who) =>
        this.once("process.injected", who, { target: Number(pid), way: "process_vm_writev" }),
      kill: ([pid = 0n, signal = 0n], who) => this.signal(who, pid, signal),
      tkill: ([pid = 0n, signal = 0n], who) => this.signal(who, pid, signal),
      tgkill: ([, pid = 0n, signal = 0n], who) => this.signal(who, pid, signal),
      setuid: ([id = 0n], who) => users(who, id),
      setreuid: ([a = 0n, b = 0n], who) => users(who, a, b),
      setresuid: ([a = 0n, b = 0n, c = 0n], who) => users(who, a, b, c),
      setgid: ([id = 0n], who) => groups(who, id),
      setregid: ([a = 0n, b = 0n], who) => groups(who, a, b),
      setresgid: ([a = 0n, b = 0n, c = 0n], who) => groups(who, a, b, c),
      setfsuid: ([id = 0n], who) => users(who, id),
      setfsgid: ([id = 0n], who) => groups(who, id),
      setgroups: ([count = 0n, list = 0n], who) =>
        this.always("process.credentials", who, { supplementary: readGroups(who.pgd, list, count) }),
      chroot: ([path = 0n], who) => this.named("process.root", who, path, {}),
      pivot_root: ([path = 0n], who) => this.named("process.root", who, path, {}),
      capset: (_values, who) => this.once("process.capabilities", who, {}),
      unshare: ([flags = 0n], who) => this.namespaces(who, flags),
      setns: ([fd = 0n], who) =>
        onSuccess((process) => this.report("process.namespaces", who, { joined: findPath(process, fd) ?? "?" })),
      memfd_create: ([name = 0n], who) => this.named("process.memfd", who, name, {}),
      prctl: ([option = 0n, name = 0n], who) =>
        BigInt.asUintN(32, option) === SET_NAME ? this.named("process.renamed", who, name, {}) : undefined,
      mprotect: ([, , rights = 0n], who) => this.memory(who, rights),
      mmap: ([, , rights = 0n], who) => this.memory(who, rights),
      init_module: (_values, who) => this.always("kernel.module", who, { way: "init_module" }),
      finit_module: ([fd = 0n], who) =>
        onSuccess((process) => this.report("kernel.module", who, { path: findPath(process, fd), way: "finit_module" })),
      delete_module: ([name = 0n], who) => this.named("kernel.module", who, name, { way: "delete_module" }),
      bpf: ([command = 0n], who) => this.once("kernel.bpf", who, { command: Number(command) }),
      add_key: ([kind = 0n, name = 0n], who) =>
        this.named("kernel.key", who, name, { kind: readPath(who.pgd, kind), way: "add_key" }),
      request_key: ([kind = 0n, name = 0n], who) =>
        this.named("kernel.key", who, name, { kind: readPath(who.pgd, kind), way: "request_key" }),
      keyctl: ([command = 0n, key = 0n], who) => {
        const way = KEY_COMMANDS[Number(BigInt.asUintN(32, command))];
        // The first names a keyring; of the others the first argument is the key's number, or that of a special one.
        if (way === "join_session_keyring") return this.named("kernel.key", who, key, { way });
        const facts = { way, key: Number(BigInt.asIntN(32, key)) };
        return way === undefined ? undefined : this.once("kernel.key", who, facts);
      },
      settimeofday: (_values, who) => this.always("kernel.time", who, {}),
      clock_settime: (_values, who) => this.always("kernel.time", who, {}),
      sethostname: ([name = 0n], who) => this.named("kernel.hostname", who, name, {}),
      kexec_load: (_values, who) => this.always("kernel.kexec", who, {}),
      io_uring_setup: (_values, who) => this.once("process.io_uring", who, {}),
    };
  }

  private always(act: string, caller: Traced, facts: object): Act {
    return onSuccess(() => this.report(act, caller, facts));
  }

  private once(act: string, caller: Traced, facts: object): Act | undefined {
    const key = JSON.stringify([act, caller.pid, caller.name, facts]);
    if (this.told.has(key)) return undefined;
    return onSuccess(() => {
      if (this.told.has(key)) return;
      this.told.add(key);
      this.report(act, caller, facts);
    });
  }

  private named(act: string, caller: Traced, address: bigint, facts: object): Act {
    const early = readPath(caller.pgd, address);
    return onSuccess(() => this.report(act, caller, { name: early ?? readPath(caller.pgd, address), ...facts }));
  }

  /** Signal 0 only asks whether a process is there. */
  private signal(caller: Traced, pid: bigint, signal: bigint): Act | undefined {
    const target = Number(BigInt.asIntN(32, pid));
    if (signal === 0n || target === caller.pid) return undefined;
    return this.once("process.signalled", caller, { target, signal: Number(signal) });
  }

  private namespaces(caller: Traced, flags: bigint): Act | undefined {
    const made = NAMESPACES.filter(([bit]) => (flags & bit) !== 0n).map(([, name]) => name);
    return made.length === 0 ? undefined : this.always("process.namespaces", caller, { made });
  }

  private memory(caller: Traced, rights: bigint): Act | undefined {
    if ((rights & PROT_WRITE) === 0n || (rights & PROT_EXEC) === 0n) return undefined;
    return this.once("process.memory", caller, { rights: "writable and executable" });
  }
}

/** Minus one leaves an id as it is. */
function showId(value: bigint): number | undefined {
  return BigInt.asIntN(32, value) === -1n ? undefined : Number(BigInt.asUintN(32, value));
}

function readGroups(pgd: bigint, list: bigint, count: bigint): number[] | undefined {
  const size = Math.min(Number(BigInt.asUintN(32, count)), MOST_GROUPS);
  if (size === 0) return [];
  try {
    const bytes = readVa(pgd, list, size * 4);
    return Array.from({ length: size }, (_, index) => bytes.readUInt32LE(index * 4));
  } catch {
    // Not in memory at the moment.
    return undefined;
  }
}
