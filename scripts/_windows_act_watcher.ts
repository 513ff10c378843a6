/** Tells what programs of Windows do, by hooks at the kernel's own functions for system calls. */
import { CallbackManager, type Cpu, getRunningProcess, type WindowsGuest, type WindowsProcess } from "rebox";
import { type Act, type ActReader, type Caller, readPointers } from "./_windows_call";
import { FILE_ACTS } from "./_windows_file_acts";
import { PROCESS_ACTS } from "./_windows_process_acts";
import { REGISTRY_ACTS } from "./_windows_registry_acts";

const READERS: Readonly<Record<string, ActReader>> = { ...FILE_ACTS, ...REGISTRY_ACTS, ...PROCESS_ACTS };
/** Calls that wait for their return at one moment. */
const MOST_WAITING = 1000;
/** Processes whose acts are told once are remembered up to so many acts. */
const MOST_TOLD = 100_000;
const KERNEL_HALF = 1n << 63n;

/** An act as it is told. */
export interface ToldAct {
  readonly act: string;
  readonly [fact: string]: Act[string];
}

interface Waiting {
  readonly callback: string;
  readonly stack: bigint;
  readonly finish: (status: bigint) => void;
}

/** Watches the system calls of chosen processes, as these return. */
export class WindowsActWatcher {
  readonly #hooks: string[] = [];
  /** By the place on the stack behind the return: no two calls have the same. */
  readonly #waiting = new Map<bigint, Waiting>();
  /** The processes that were met, by address space; forgotten when they end. */
  readonly #callers = new Map<bigint, WindowsProcess>();
  readonly #told = new Set<string>();

  /**
   * @param isWanted whether the acts of a process are told
   * @param tell is called with each act, when its call has succeeded
   */
  constructor(
    private readonly callbacks: CallbackManager,
    private readonly isWanted: (process: WindowsProcess) => boolean,
    private readonly tell: (process: WindowsProcess, act: ToldAct) => void,
  ) {}

  /** Begins. A function that this kernel does not have is not hooked: nobody can call it. */
  hook(guest: WindowsGuest): void {
    const { callbacks } = this;
    for (const [call, reader] of Object.entries(READERS)) {
      const addr = guest.symbols.resolve(0n, "kernel", call);
      if (addr === undefined) continue;
      const onCall = (cpuIndex: number, cpu: Cpu): void => this.#onEntry(guest, reader, cpuIndex, cpu);
      this.#hooks.push(callbacks.addCallback(CallbackManager.INSN_BEGIN_CB, onCall, { addr }));
    }
    const forget = (_pid: number, pgd: bigint): void => void this.#callers.delete(pgd);
    this.#hooks.push(callbacks.addCallback(CallbackManager.REMOVEPROC_CB, forget));
  }

  /** Ends it; what was told once is told again after another hook(). */
  unhook(): void {
    const names = [...this.#hooks.splice(0), ...[...this.#waiting.values()].map(({ callback }) => callback)];
    for (const name of names) this.callbacks.rmCallback(name);
    this.#waiting.clear();
    this.#callers.clear();
    this.#told.clear();
  }

  #onEntry(guest: WindowsGuest, reader: ActReader, cpuIndex: number, cpu: Cpu): void {
    const pgd = getRunningProcess(cpuIndex);
    const process = this.#findCaller(guest, pgd);
    if (process === undefined || !this.isWanted(process) || this.#waiting.size >= MOST_WAITING) return;
    // The return's address, the room for four arguments, then the fifth (Windows' convention for x64).
    const stack = readPointers(pgd, cpu.RSP, 12);
    const target = stack[0];
    if (target === undefined || target < KERNEL_HALF) return;
    const caller: Caller = { guest, process, pgd };
    const finish = reader([cpu.RCX, cpu.RDX, cpu.R8, cpu.R9, ...stack.slice(5)], caller);
    if (finish === undefined) return;
    const behind = cpu.RSP + 8n;
    const onReturn = (_index: number, now: Cpu): void => {
      const call = now.RSP === behind ? this.#waiting.get(behind) : undefined;
      if (call?.callback !== callback) return;
      this.#forget(call);
      call.finish(now.RAX);
    };
    const callback = this.callbacks.addCallback(CallbackManager.INSN_BEGIN_CB, onReturn, { addr: target, pgd });
    const before = this.#waiting.get(behind);
    // A thread that ended within a call has left its place.
    if (before) this.#forget(before);
    this.#waiting.set(behind, {
      ...{ callback, stack: behind },
      finish: (status) => {
        if (BigInt.asIntN(32, status) < 0n) return;
        for (const { isOnce, ...act } of finish()) this.#tellAct(process, act, isOnce === true);
      },
    });
  }

  #forget({ callback, stack }: Waiting): void {
    this.#waiting.delete(stack);
    this.callbacks.rmCallback(callback);
  }

  #findCaller(guest: WindowsGuest, pgd: bigint): WindowsProcess | undefined {
    let process = this.#callers.get(pgd);
    if (process === undefined) {
      process = guest.findProcess(pgd) as WindowsProcess | undefined;
      if (process !== undefined) this.#callers.set(pgd, process);
    }
    return process;
  }

  #tellAct(process: WindowsProcess, act: ToldAct, isOnce: boolean): void {
    if (isOnce) {
      const key = JSON.stringify([process.pid, process.name, act]);
      if (this.#told.has(key) || this.#told.size >= MOST_TOLD) return;
      this.#told.add(key);
    }
    this.tell(process, act);
  }
}
