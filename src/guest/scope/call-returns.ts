import type { CallbackManager } from "../../machine/callbacks/callback-manager";
import { GuestSet } from "../../machine/callbacks/guest-set";
import type { Cpu } from "../../machine/state/cpu";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { CurrentTask } from "../events/current-task";

/** The part of a CallbackManager that returns need. */
export type ReturnCallbacks = Pick<CallbackManager, "addCallback" | "callbackExists" | "rmCallback" | "setCondition">;

/** The entry's code is no longer (arch/x86/entry/entry_64.S). */
const ENTRY_BYTES = 512;
/** CALL rel32 (Intel SDM volume 2, CALL). */
const CALL = 0xe8;
const CALL_BYTES = 5;
/** SYSCALL (Intel SDM volume 2, SYSCALL). */
const SYSCALL_BYTES = 2n;

/** The end of a call, while the vCPU is still in the kernel. */
export interface CallEnd {
  readonly cpu: Cpu;
  /** The address of the task_struct that made it. */
  readonly task: bigint;
  /** As a signed number; undefined when the program does not go on behind the call: a signal's handler comes first. */
  readonly result: bigint | undefined;
}

/** Called at the end of a call; without one when there is none, because the kernel begins the call anew. */
export type CallEndListener = (end?: CallEnd) => void;

/** A call that is waited for. */
interface AwaitedCall {
  readonly onEnd: CallEndListener;
  /** Its number, as the program gave it. */
  readonly number: bigint;
  /** Behind the call, in the program. */
  readonly address: bigint;
}

/**
 * Calls functions when system calls of 64 bits return, by one hook on the kernel for all of them. A hook in the program for each call
 * would have the guest's code there translated again and again.
 */
export class CallReturns {
  readonly #calls = new Map<bigint, AwaitedCall>();
  readonly #waiting = new GuestSet();
  readonly #current: CurrentTask;
  readonly #offsets: { readonly ax: bigint; readonly ip: bigint };
  readonly #name: string;

  private constructor(
    private readonly guest: LinuxGuest,
    private readonly callbacks: ReturnCallbacks,
    addr: bigint,
    place: bigint,
  ) {
    const { kernel } = guest;
    this.#current = new CurrentTask(guest);
    const at = (member: string): bigint => BigInt(kernel.offset("pt_regs", member));
    this.#offsets = { ax: at("ax"), ip: at("ip") };
    this.#name = callbacks.addCallback("BLOCK_BEGIN_CB", (_index, cpu) => this.#onReturn(cpu), { addr });
    callbacks.setCondition(this.#name, [[{ from: "GS_BASE", via: [place], is: this.#waiting }]]);
  }

  /** Hooks the kernel; undefined when it does not show where it returns to. @param entry the address of its entry for "syscall" */
  static hook(guest: LinuxGuest, callbacks: ReturnCallbacks, entry: bigint): CallReturns | undefined {
    const { place } = new CurrentTask(guest);
    const addr = guest.kernel.bits === 64 ? findReturn(guest, entry) : undefined;
    return addr === undefined || place === undefined ? undefined : new CallReturns(guest, callbacks, addr, place);
  }

  /**
   * Waits for the call that a vCPU is about to carry out, at the kernel's first instruction of it. A task makes one call at a time.
   *
   * @returns the function that ends the waiting; undefined when the task cannot be told
   */
  expect(cpu: Cpu, onEnd: CallEndListener): (() => void) | undefined {
    const task = this.#current.findEntering(cpu);
    if (task === undefined) return undefined;
    this.#take(task)?.onEnd();
    const call: AwaitedCall = { onEnd, address: cpu.RCX, number: cpu.RAX };
    this.#calls.set(task, call);
    this.#waiting.add(task);
    return () => {
      if (this.#calls.get(task) === call) this.#take(task);
    };
  }

  /** Removes the hook. */
  dispose(): void {
    if (this.callbacks.callbackExists(this.#name)) this.callbacks.rmCallback(this.#name);
    this.#waiting.dispose();
  }

  #take(task: bigint): AwaitedCall | undefined {
    const call = this.#calls.get(task);
    if (call === undefined) return undefined;
    this.#calls.delete(task);
    this.#waiting.delete(task);
    return call;
  }

  #onReturn(cpu: Cpu): void {
    const task = this.#current.findAddress(cpu);
    const call = task === undefined ? undefined : this.#take(task);
    if (call === undefined) return;
    // struct pt_regs lies at the stack pointer (arch/x86/entry/entry_64.S, before the registers are restored).
    const { memory } = this.guest.kernel;
    const [ip, ax] = [this.#offsets.ip, this.#offsets.ax].map((at) => memory.pointer(cpu.RSP + at)) as [bigint, bigint];
    // The program makes the same call again (arch/x86/kernel/signal.c, ERESTARTSYS and its like).
    if (ip === call.address - SYSCALL_BYTES && ax === call.number) return call.onEnd();
    call.onEnd({ cpu, task: task!, result: ip === call.address ? BigInt.asIntN(64, ax) : undefined });
  }
}

/** Finds the place behind the entry's call of do_syscall_64() (arch/x86/entry/entry_64.S, all versions since 4.17). */
function findReturn({ kernel }: LinuxGuest, entry: bigint): bigint | undefined {
  const target = kernel.findSymbol("do_syscall_64");
  if (target === undefined) return undefined;
  const code = kernel.memory.readSome(entry, ENTRY_BYTES);
  for (let at = 0; at + CALL_BYTES <= code.length; at++) {
    const behind = entry + BigInt(at + CALL_BYTES);
    if (code[at] === CALL && behind + BigInt(code.readInt32LE(at + 1)) === target) return behind;
  }
  return undefined;
}
