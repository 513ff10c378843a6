import { deepFreeze } from "./deep-freeze";
import { askGuest } from "./guest-struct";

/** What is read of a process at once. */
export interface ProcessFacts {
  readonly pid: number;
  readonly ppid: number;
  readonly pgd: bigint;
  readonly name: string;
  readonly kaddr: bigint;
  readonly isKernelThread: boolean;
}

/** A process of the guest, as outside of the sandbox: src/systems/linux/linux-process.ts says what its members are. */
class GuestProcess {
  readonly pid: number;
  readonly ppid: number;
  readonly pgd: bigint;
  readonly name: string;
  readonly kaddr: bigint;
  readonly isKernelThread: boolean;
  readonly #guest: number;

  constructor(guest: number, facts: ProcessFacts) {
    this.#guest = guest;
    this.pid = facts.pid;
    this.ppid = facts.ppid;
    this.pgd = facts.pgd;
    this.name = facts.name;
    this.kaddr = facts.kaddr;
    this.isKernelThread = facts.isKernelThread;
    Object.freeze(this);
  }

  static {
    const parts = [
      ...["tgid", "uid", "credentials", "threads", "commandLine", "executable", "startTime", "startTimeNs"],
      ...["memoryMap", "openFiles", "sockets", "mounts"],
    ];
    for (const part of parts) {
      Object.defineProperty(GuestProcess.prototype, part, {
        get(this: GuestProcess) {
          return freezeEntries(askGuest(this.#guest, "process", this.kaddr, this.pid, this.ppid, part));
        },
      });
    }
  }
}

/** Lists are the script's own, to sort and to change; what is in them is not. */
function freezeEntries(value: unknown): unknown {
  if (!Array.isArray(value)) return deepFreeze(value);
  value.forEach(deepFreeze);
  return value;
}

/** Makes a process of what rebox has told of it. */
export function createProcess(guest: number, facts: ProcessFacts): object {
  return new GuestProcess(guest, facts);
}
