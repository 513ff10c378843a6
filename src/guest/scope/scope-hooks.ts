import type { CallbackManager } from "../../machine/callbacks/callback-manager";
import type { GuestCondition } from "../../machine/callbacks/guest-condition";
import { GuestSet } from "../../machine/callbacks/guest-set";
import type { Cpu } from "../../machine/state/cpu";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { CurrentTask } from "../events/current-task";
import type { ScopeConditions } from "./scope-conditions";

/** The part of a CallbackManager that hooks need. */
export type HookCallbacks = Pick<
  CallbackManager,
  "addCallback" | "callbackExists" | "rmCallback" | "setCondition" | "setJournal" | "setRemoval"
>;

/** Names that GCC may have made of a function of which it saw every call. */
const SUFFIXES = ["", ".isra.0", ".constprop.0"];

/** Called with the vCPU and the address of the task_struct that it runs; a promise holds the guest until it has settled. */
export type HookAct = (cpu: Cpu, current: bigint) => void | Promise<void>;

/** Hooks on functions of the guest's kernel, with the task that calls them. They go with the callbacks. */
export class ScopeHooks {
  readonly #guest: LinuxGuest;
  readonly #callbacks: HookCallbacks;
  readonly #current: CurrentTask;
  readonly #conditions: ScopeConditions;
  readonly #onProblem: (text: string) => void;

  /**
   * @param conditions of the scope that the hooks are for
   * @param onProblem called when a hook's function throws: the kernel's data is damaged, for example
   */
  constructor(
    guest: LinuxGuest,
    callbacks: HookCallbacks,
    conditions: ScopeConditions,
    onProblem: (text: string) => void,
  ) {
    this.#guest = guest;
    this.#callbacks = callbacks;
    this.#current = new CurrentTask(guest);
    this.#conditions = conditions;
    this.#onProblem = onProblem;
  }

  /**
   * Hooks the first of these functions that the kernel has; returns whether it has one.
   *
   * @param condition holds when the function is to be called; by default while a task of the scope runs
   */
  addFirst(names: readonly string[], act: HookAct, condition = this.#conditions.running): boolean {
    const addr = this.#findFirst(names);
    if (addr !== undefined) this.#add(addr, act, condition);
    return addr !== undefined;
  }

  /** Hooks all of these functions that the kernel has, as addFirst() does one; returns whether it has one. */
  addAll(names: readonly string[], act: HookAct, condition = this.#conditions.running): boolean {
    const found = names.flatMap((name) => this.#findFirst([name]) ?? []);
    for (const addr of new Set(found)) this.#add(addr, act, condition);
    return found.length > 0;
  }

  /** Has the first of these functions that the kernel has take its first argument out of a set, without a call. */
  removeFirst(names: readonly string[], set: GuestSet): void {
    const addr = this.#findFirst(names);
    if (addr === undefined) return;
    const name = this.#callbacks.addCallback("BLOCK_BEGIN_CB", () => undefined, { addr });
    this.#callbacks.setRemoval(name, set, this.#conditions.pointerSize);
  }

  /**
   * Calls a function once, when the function of the kernel that a hook is at returns to its caller in the same task. A task that
   * ends within it does not return.
   *
   * @param act is called with the result, as a signed number of the kernel's size
   */
  onReturn(cpu: Cpu, act: (result: bigint) => void): void {
    const { kernel } = this.#guest;
    const is64 = kernel.bits === 64;
    const stackOf = (at: Cpu): bigint => (is64 ? at.RSP : at.ESP);
    const stack = stackOf(cpu);
    // The caller's stack pointer behind "ret"; the stack belongs to the task alone.
    const behind = new GuestSet();
    behind.add(stack + (is64 ? 8n : 4n));
    const name = this.#callbacks.addCallback(
      "BLOCK_BEGIN_CB",
      (_index, now) => {
        behind.dispose();
        // Not now: a hook on the instruction there, of a script that waits for the same function, would not be called.
        setImmediate(() => {
          if (this.#callbacks.callbackExists(name)) this.#callbacks.rmCallback(name);
        });
        this.#attempt(() => act(BigInt.asIntN(kernel.bits, is64 ? now.RAX : now.EAX)));
      },
      { addr: kernel.memory.pointer(stack) },
    );
    this.#callbacks.setCondition(name, [[this.#conditions.stack(behind)]], this.#conditions.pointerSize);
  }

  #findFirst(names: readonly string[]): bigint | undefined {
    return this.#guest.kernel.findSymbol(...names.flatMap((name) => SUFFIXES.map((suffix) => name + suffix)));
  }

  #add(addr: bigint, act: HookAct, condition: GuestCondition): void {
    const name = this.#callbacks.addCallback(
      "BLOCK_BEGIN_CB",
      (_index, cpu) => {
        const current = this.#current.findAddress(cpu);
        return current === undefined ? undefined : this.#attempt(() => act(cpu, current));
      },
      { addr },
    );
    this.#callbacks.setCondition(name, condition, this.#conditions.pointerSize);
  }

  #attempt(act: () => void | Promise<void>): void | Promise<void> {
    const fail = (error: unknown) => this.#onProblem(error instanceof Error ? error.message : String(error));
    try {
      return act()?.catch(fail);
    } catch (error) {
      fail(error);
    }
  }
}
