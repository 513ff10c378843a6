import { compileOptions } from "../../machine/callbacks/callback-options";
import { callbackRegistry, type RegisteredCallback } from "../../machine/callbacks/callback-registry";
import { guestEvents } from "../../machine/callbacks/guest-event-source";
import { Engine } from "../../machine/engine/engine";
import type { NativeTaskLayout, ProcessPlace } from "../../machine/engine/native";
import type { Cpu } from "../../machine/state/cpu";

/** The owner of the hooks in lists of callbacks: no script has this number. */
const MODULE_HANDLE = 0;
/** The name of the hooks in reports of callbacks that failed. */
export const HOOKS_NAME = "process and module events";
/** The names that GCC may have made of a function of which it saw every call; its first argument stays. */
const SUFFIXES = ["", ".isra.0", ".constprop.0"];

/** The part of a hook that the addon decides, without calling its function. */
export interface NativeDecision {
  readonly place: ProcessPlace;
  readonly layout: NativeTaskLayout;
}

/** The names of a kernel's functions. */
export interface FunctionNames {
  /** Finds the address of the first of these names that the kernel has. */
  findSymbol(...names: readonly string[]): bigint | undefined;
}

/** Hooks on functions of the guest's kernel. What a hook's function throws is an error of the hook, as a script's would be. */
export class KernelHooks {
  readonly #kernel: FunctionNames;
  readonly #set: RegisteredCallback[] = [];
  readonly #failures = new Map<string, number>();

  constructor(kernel: FunctionNames) {
    this.#kernel = kernel;
    callbackRegistry.nameModule(MODULE_HANDLE, HOOKS_NAME);
  }

  /** Reports whether the kernel has a function. */
  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  /**
   * Hooks the first of these functions that the kernel has.
   *
   * @param names of functions
   * @param decision what is decided before onCall is called
   * @returns whether it has one
   */
  addFirst(names: readonly string[], onCall: (cpu: Cpu) => void, decision?: NativeDecision): boolean {
    const name = names.find((candidate) => this.has(candidate));
    if (name !== undefined) this.#add(name, this.#find(name) as bigint, onCall, decision);
    return name !== undefined;
  }

  /** Hooks an address. @param name for messages */
  addAt(address: bigint, name: string, onCall: (cpu: Cpu) => void): void {
    this.#add(name, address, onCall);
  }

  /** Removes all hooks. */
  clear(): void {
    for (const callback of this.#set.splice(0))
      if (callbackRegistry.has(callback)) callbackRegistry.unregister(callback);
  }

  /** Reports to the engine's listeners that something could not be found out, and how often by now. */
  fail(what: string, error: unknown): void {
    const count = (this.#failures.get(what) ?? 0) + 1;
    this.#failures.set(what, count);
    const problem = error instanceof Error ? error : new Error(String(error));
    Engine.get().emit("callbackError", { callback: what, script: HOOKS_NAME, error: problem, count, removed: false });
  }

  #find(name: string): bigint | undefined {
    return this.#kernel.findSymbol(...SUFFIXES.map((suffix) => name + suffix));
  }

  #add(name: string, addr: bigint, onCall: (cpu: Cpu) => void, decision?: NativeDecision): void {
    const listener = (_cpuIndex: number, cpu: Cpu): void => {
      try {
        onCall(cpu);
      } catch (error) {
        this.fail(name, error);
      }
    };
    const registered = callbackRegistry.register(
      MODULE_HANDLE,
      listener,
      compileOptions("BLOCK_BEGIN_CB", { addr }),
      name,
    );
    this.#set.push(registered);
    if (!decision) return;
    const { place, layout } = decision;
    Engine.get().native.decideProcessesAt(registered.listenerId, place, layout, () => {
      for (const type of ["CREATEPROC_CB", "REMOVEPROC_CB"] as const) guestEvents.update(type);
    });
  }
}

/**
 * Reads an argument of the function of the kernel that a vCPU is about to execute.
 *
 * The System V ABI for x86-64; on 32 bits the kernel is compiled with -mregparm=3 (arch/x86/Makefile).
 *
 * @param index from 0
 */
export function readArgument(cpu: Cpu, index: 0 | 1 | 2, bits: 32 | 64): bigint {
  if (index === 0) return bits === 64 ? cpu.RDI : cpu.EAX;
  if (index === 1) return bits === 64 ? cpu.RSI : cpu.EDX;
  return bits === 64 ? cpu.RDX : cpu.ECX;
}
