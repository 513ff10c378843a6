import type { Cpu } from "../../machine/state/cpu";
import { HookError } from "../errors";
import { CallRecorder } from "./recording/call-recorder";
import { CallWatcher } from "./call-watcher";
import { FunctionHook, type HookedPlace } from "./function-hook";
import { FunctionPlaces } from "./function-places";
import type { HookAccess, HookCallbacks } from "./hook-access";
import { checkHook, type FunctionHookOptions } from "./hook-options";
import type { FunctionHandlers, HookBody, HookedFunction } from "./hooked-function";
import { HookedSpace, type LoadedModule } from "./hooked-space";
import { matchModule, type WantedHook } from "./wanted-hook";

/** The name of the kernel itself among the modules. */
const KERNEL = "kernel";
/** What is kept of texts and of other bytes when a hook does not say it. */
const MAX_TEXT_BYTES = 1024;
const MAX_BYTES = 64;

/** The hooks on functions of one script: keeps them on every process that has the functions, as processes and modules come and go. */
export class FunctionHooks {
  readonly #access: HookAccess;
  readonly #watcher: CallWatcher;
  readonly #spaces = new Map<bigint, HookedSpace>();
  readonly #wanted = new Set<WantedHook>();
  readonly #places: FunctionPlaces;
  #callbacks: HookCallbacks | undefined;
  #recorder: CallRecorder | undefined;
  #watches: string[] = [];
  #ends: { readonly address: bigint; readonly callback: string } | undefined;

  constructor(access: HookAccess) {
    this.#access = access;
    this.#watcher = new CallWatcher(access);
    this.#places = new FunctionPlaces(access, {
      isThere: (space, loaded) => this.#spaces.get(space.pgd) === space && space.modules.get(loaded.base) === loaded,
      isWanted: (wanted) => this.#wanted.has(wanted),
      onAdded: () => this.#recorder?.apply(),
      watchEnds: () => this.#watchEnds(),
    });
  }

  /**
   * Sets a hook.
   *
   * @throws HookError for what makes no hook, and for a function that no module of that name has
   */
  add(module: string, name: string | bigint, handlers: FunctionHandlers, options: FunctionHookOptions): FunctionHook {
    checkHook(module, name, handlers, options);
    this.#callbacks ??= this.#access.createCallbacks();
    this.#recorder ??= new CallRecorder(this.#access, this.#callbacks, this.#watcher.threads);
    const { onEnter, onLeave, onCalls } = handlers;
    const body: HookBody = {
      handlers: { ...(onEnter && { onEnter }), ...(onLeave && { onLeave }), ...(onCalls && { onCalls }) },
      fromOutside: options.fromOutside === true,
      maxTextBytes: options.maxTextBytes ?? MAX_TEXT_BYTES,
      maxBytes: options.maxBytes ?? MAX_BYTES,
      isRemoved: false,
      calls: 0,
    };
    const wanted: WantedHook = { body, module, name, options, matches: matchModule(module), isLackReported: false };
    this.#wanted.add(wanted);
    const hook = new FunctionHook(
      module,
      name,
      body,
      () => this.#listPlaces(body),
      () => this.#count(body),
      () => this.#remove(wanted),
    );
    try {
      this.#checkSystem();
      if (onCalls !== undefined) this.#recorder.start();
      this.#watch(this.#callbacks);
      let lack: HookError | undefined;
      for (const space of [...this.#spaces.values()]) {
        for (const loaded of space.modules.values()) lack = this.#places.apply(space, loaded, wanted) ?? lack;
      }
      this.#recorder.apply();
      if (lack !== undefined && hook.isPending) throw lack;
    } catch (error) {
      this.#remove(wanted);
      throw error;
    }
    return hook;
  }

  /** Hands over the calls that were recorded until now. @throws what a hook's function has thrown */
  take(): void {
    this.#recorder?.take();
  }

  /** Rebox knows how functions of Linux are called. */
  #checkSystem(): void {
    const kind = this.#access.findSystemKind();
    if (kind !== undefined && kind !== "linux") {
      throw new HookError(
        `functions of a ${kind} guest cannot be hooked by name: set a breakpoint or a callback with addr`,
      );
    }
  }

  #watch(callbacks: HookCallbacks): void {
    if (this.#watches.length > 0) {
      this.#lookForKernel();
      return;
    }
    const onLoad = (pid: number, pgd: bigint, base: bigint, size: number, name: string, path: string): void => {
      // Another kernel may have begun, after a reset.
      if (pid === 1) this.#watcher.threads.forgetKernel();
      this.#lookForKernel();
      this.#load(pgd, { pid, base, size, name, path: path.replace(/ \(deleted\)$/, "") });
    };
    const onRemove = (_pid: number, pgd: bigint, base: bigint, size: number): void | Promise<void> =>
      this.#unload(pgd, base, size);
    this.#watches = [
      callbacks.addCallback("REMOVEMODULE_CB", onRemove),
      callbacks.addCallback("LOADMODULE_CB", onLoad, { replay: true }),
    ];
    this.#lookForKernel();
  }

  /** The kernel is no module that is loaded: it is there as soon as it is known. */
  #lookForKernel(): void {
    const space = this.#getSpace(0n, 0);
    if ([...this.#wanted].some(({ module }) => module === KERNEL) && !space.modules.has(0n)) {
      if (this.#access.findSystemKind() === undefined) return;
      this.#load(0n, { pid: 0, base: 0n, size: 0, name: KERNEL, path: "" });
    }
  }

  #load(pgd: bigint, loaded: LoadedModule): void {
    const space = this.#getSpace(pgd, loaded.pid);
    const before = space.modules.get(loaded.base);
    if (before?.path === loaded.path && before.name === loaded.name) return;
    if (before !== undefined) space.removeRange(before.base, before.base + BigInt(before.size));
    space.modules.set(loaded.base, loaded);
    let lack: HookError | undefined;
    for (const wanted of [...this.#wanted]) lack = this.#places.apply(space, loaded, wanted) ?? lack;
    this.#recorder?.apply();
    if (lack !== undefined) throw lack;
  }

  #unload(pgd: bigint, base: bigint, size: number): void | Promise<void> {
    const space = this.#spaces.get(pgd);
    if (space === undefined || !space.modules.delete(base)) return;
    space.removeRange(base, base + BigInt(size));
    this.#recorder?.apply();
    this.#recorder?.renewCallers(pgd);
    if (space.modules.size > 0 || pgd === 0n) return;
    space.clear();
    this.#spaces.delete(pgd);
    this.#recorder?.apply();
    this.#recorder?.endSpace(pgd);
    return this.#watcher.onSpaceEnd(pgd);
  }

  #getSpace(pgd: bigint, pid: number): HookedSpace {
    let space = this.#spaces.get(pgd);
    if (space === undefined) {
      space = new HookedSpace(pgd, pid, this.#callbacks!, this.#watcher, this.#recorder!);
      this.#spaces.set(pgd, space);
    }
    return space;
  }

  #listPlaces(body: HookBody): HookedPlace[] {
    return [...this.#spaces.values()].flatMap((space) =>
      [...space.functions()]
        .filter(({ hook }) => hook === body)
        .map(({ module, name, address }) => ({ pid: space.pid, pgd: space.pgd, module, name, address })),
    );
  }

  #count(body: HookBody): number {
    const isRecorded = body.handlers.onCalls !== undefined && !body.isRemoved;
    return isRecorded ? (this.#recorder?.count(body) ?? 0) : body.calls;
  }

  #remove(wanted: WantedHook): void {
    const { body } = wanted;
    if (body.isRemoved) return;
    try {
      // What was recorded until now is handed over.
      if (body.handlers.onCalls !== undefined) this.#recorder?.take();
    } finally {
      this.#removeNow(wanted);
    }
  }

  #removeNow(wanted: WantedHook): void {
    const { body } = wanted;
    body.calls = this.#count(body);
    body.isRemoved = true;
    this.#wanted.delete(wanted);
    const isGone = ({ hook }: HookedFunction): boolean => hook === body || hook.parent === body;
    for (const space of this.#spaces.values()) space.remove(isGone);
    this.#watcher.forget(isGone);
    this.#recorder?.apply(true);
    if (this.#wanted.size > 0) return;
    for (const space of this.#spaces.values()) space.clear();
    this.#spaces.clear();
    for (const name of this.#watches) this.#drop(name);
    this.#watches = [];
    this.#recorder?.stop();
    if (this.#ends !== undefined) this.#drop(this.#ends.callback);
    this.#ends = undefined;
  }

  #drop(callback: string): void {
    if (this.#callbacks?.callbackExists(callback)) this.#callbacks.rmCallback(callback);
  }

  /** Threads can end within functions whose end is waited for. */
  #watchEnds(): void {
    const address = this.#watcher.threads.places?.end;
    if (address === undefined || address === this.#ends?.address) return;
    if (this.#ends !== undefined) this.#drop(this.#ends.callback);
    const listener = (_cpuIndex: number, cpu: Cpu): void | Promise<void> => this.#watcher.onThreadEnd(cpu);
    this.#ends = { address, callback: this.#callbacks!.addCallback("INSN_BEGIN_CB", listener, { addr: address }) };
  }
}
