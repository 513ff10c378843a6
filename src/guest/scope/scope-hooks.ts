import type { CallbackManager } from "../../machine/callbacks/callback-manager";
import type { GuestCondition } from "../../machine/callbacks/guest-condition";
import type { GuestSet } from "../../machine/callbacks/guest-set";
import type { Cpu } from "../../machine/state/cpu";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { CurrentTask } from "../events/current-task";
import { type ReturnAct, ReturnHook } from "./return-hook";
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
  /** By the address that is returned to. */
  readonly #returns = new Map<bigint, ReturnHook>();

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
  onReturn(cpu: Cpu, act: ReturnAct): void {
    const { kernel } = this.#guest;
    const is64 = kernel.bits === 64;
    const stack = is64 ? cpu.RSP : cpu.ESP;
    const addr = kernel.memory.pointer(stack);
    let hook = this.#returns.get(addr);
    if (hook === undefined) {
      // It stays: each hook that comes or goes has the guest's code there translated again, and its jumps looked up anew.
      hook = new ReturnHook(this.#conditions.createSet());
      this.#returns.set(addr, hook);
      this.#hookReturn(addr, hook);
    }
    // The caller's stack pointer behind "ret"; the stack belongs to the task alone.
    hook.expect(stack + (is64 ? 8n : 4n), act);
  }

  #hookReturn(addr: bigint, hook: ReturnHook): void {
    const { bits } = this.#guest.kernel;
    const is64 = bits === 64;
    const name = this.#callbacks.addCallback(
      "BLOCK_BEGIN_CB",
      (_index, cpu) => {
        const result = BigInt.asIntN(bits, is64 ? cpu.RAX : cpu.EAX);
        for (const act of hook.take(is64 ? cpu.RSP : cpu.ESP)) this.#attempt(() => act(result));
      },
      { addr },
    );
    this.#callbacks.setCondition(name, [[this.#conditions.stack(hook.stacks)]], this.#conditions.pointerSize);
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
