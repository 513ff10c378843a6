import { Engine } from "../engine/engine";
import type { JournalPlace, NativeJournalLayout } from "../engine/native";
import type { NativeCallEntry } from "../engine/native-calls";
import { type ModuleOwner, type Owned } from "../ownership/module-owner";
import { getModuleOwner } from "../ownership/module-owners";
import { compileOptions, compileStreamOptions } from "./callback-options";
import { callbackRegistry, type RegisteredCallback } from "./callback-registry";
import type { CallbackFunctions, CallbackOptions, CallbackType, StreamOptions } from "./callback-types";
import { EventBatch, type StreamType } from "./event-batch";
import { compileCondition, type GuestCondition } from "./guest-condition";
import { guestEvents, isGuestEventType } from "./guest-event-source";
import type { GuestSet } from "./guest-set";
import {
  addTrigger,
  callTriggerFunction,
  getTriggerVariable,
  removeTrigger,
  setTriggerVariable,
  type TriggerValue,
} from "./triggers";

/** A script's callbacks: it adds and removes them, and clean() removes them all. */
export class CallbackManager {
  static readonly BLOCK_BEGIN_CB = "BLOCK_BEGIN_CB";
  static readonly BLOCK_END_CB = "BLOCK_END_CB";
  static readonly INSN_BEGIN_CB = "INSN_BEGIN_CB";
  static readonly INSN_END_CB = "INSN_END_CB";
  static readonly MEM_READ_CB = "MEM_READ_CB";
  static readonly MEM_WRITE_CB = "MEM_WRITE_CB";
  static readonly KEYSTROKE_CB = "KEYSTROKE_CB";
  static readonly NIC_SEND_CB = "NIC_SEND_CB";
  static readonly NIC_REC_CB = "NIC_REC_CB";
  static readonly OPCODE_RANGE_CB = "OPCODE_RANGE_CB";
  static readonly TLB_EXEC_CB = "TLB_EXEC_CB";
  static readonly CONTEXTCHANGE_CB = "CONTEXTCHANGE_CB";
  static readonly CPUID_CB = "CPUID_CB";
  static readonly CREATEPROC_CB = "CREATEPROC_CB";
  static readonly REMOVEPROC_CB = "REMOVEPROC_CB";
  static readonly LOADMODULE_CB = "LOADMODULE_CB";
  static readonly REMOVEMODULE_CB = "REMOVEMODULE_CB";
  static readonly EXEC_CB = "EXEC_CB";

  readonly #moduleHandle: number;
  readonly #owner: ModuleOwner;
  readonly #callbacks = new Map<string, RegisteredCallback>();
  readonly #owned = new Map<string, Owned>();

  /**
   * @param moduleHandle the handle that initialize_callbacks() was given
   * @param owner what its callbacks go with; the script of that handle
   */
  constructor(moduleHandle: number, owner: ModuleOwner = getModuleOwner(moduleHandle)) {
    this.#moduleHandle = moduleHandle;
    this.#owner = owner;
  }

  getModuleHandle(): number {
    return this.#moduleHandle;
  }

  /**
   * Makes a name that no callback has.
   *
   * @param name what the name shall begin with
   */
  generateCallbackName(name: string): string {
    return callbackRegistry.createName(name);
  }

  /**
   * Calls a function at every event of a type, synchronously, before the guest continues.
   *
   * Events of blocks, instructions, opcodes and memory are those of the monitored processes; with addr, those at this
   * address, in the process of pgd or in any. The others are the machine's. Key codes and network frames are reported by
   * the event loop, just after the device had them; all others while the guest is paused.
   *
   * Takes effect with the next block, also when called from a callback. With replay, the function is called for what
   * exists before this returns.
   *
   * @returns the callback's name
   * @throws TypeError for options that the type does not take, and for names that no option has; EngineUsageError when
   *   there is no machine
   */
  addCallback<Type extends CallbackType>(
    type: Type,
    callback: CallbackFunctions[Type],
    options: CallbackOptions = {},
  ): string {
    this.#owner.check();
    const to = compileOptions(type, options);
    const registered = callbackRegistry.register(this.#moduleHandle, callback, to, options.name);
    const name = this.#keep(registered);
    if (!to.replay || !isGuestEventType(type)) return name;
    try {
      guestEvents.requestReplay({ listenerId: registered.listenerId, type, pgd: to.pgd });
    } catch (error) {
      if (this.callbackExists(name)) this.rmCallback(name);
      throw error;
    }
    return name;
  }

  /**
   * Collects events natively and hands them to a function a batch at a time: when the batch is full, and every few
   * milliseconds while it is not. Much cheaper than a call for each.
   *
   * @param handler reads batch[0] to batch[length - 1] of each column before it returns; the memory is used again
   * @returns the stream's name; rmCallback() ends it
   * @throws TypeError or RangeError for options that the type does not take; EngineUsageError without a machine
   */
  addStream(type: StreamType, handler: (batch: EventBatch) => void, options: StreamOptions = {}): string {
    const to = compileStreamOptions(type, options);
    const batch = new EventBatch(type, options.capacity, options.columns);
    const stream = { batch, drop: options.onFull === "drop" };
    this.#owner.check();
    return this.#keep(callbackRegistry.register(this.#moduleHandle, () => handler(batch), to, options.name, stream));
  }

  /**
   * Removes a callback. It is not called again.
   *
   * @throws RangeError when this manager has none of that name
   */
  rmCallback(name: string): void {
    const callback = this.#get(name);
    this.#callbacks.delete(name);
    this.#owned.get(name)?.release();
    this.#owned.delete(name);
    // One that was cut off is gone already.
    if (callbackRegistry.has(callback)) {
      callbackRegistry.unregister(callback);
    }
  }

  /** Has a callback told also of what a replay executes once more on its way to a place. @throws RangeError as rmCallback() */
  hearTravel(name: string): void {
    Engine.get().native.hearTravel(this.#get(name).listenerId);
  }

  /** Tells whether this manager has a callback of that name. */
  callbackExists(name: string): boolean {
    const callback = this.#callbacks.get(name);
    return callback !== undefined && callbackRegistry.has(callback);
  }

  /**
   * Puts a trigger in front of a callback: a shared object, compiled from C or C++, that sees the events of this type of
   * every process, monitored or not, and decides which of them the callback is called for. See docs/reference/triggers.md.
   *
   * A source is compiled when it is newer than its library, and the guest stands still meanwhile.
   *
   * @param callbackName what addCallback() returned
   * @param path a .so, a .c, .cc or .cpp, or their name without a suffix ("triggers/trigger_bp_memrange"); absolute, or
   *   looked for beside the script, then in the current folder, then in rebox's own
   * @throws RangeError for an unknown callback; TriggerError with the reason why the trigger is refused
   */
  addTrigger(callbackName: string, path: string): void {
    addTrigger(this.#getAlive(callbackName), path, this.#owner);
  }

  /**
   * Removes a callback's trigger, whose clean() is called; the callback stays, for monitored processes as without one.
   *
   * @throws RangeError for an unknown callback; TriggerError when it has no trigger
   */
  rmTrigger(callbackName: string): void {
    removeTrigger(this.#getAlive(callbackName));
  }

  /**
   * Sets a variable of a callback's trigger.
   *
   * @param value numbers and bigints become a uint64_t, modulo 2 to the 64, so that -1 is all bits set; a string becomes
   *   UTF-8 with a zero behind it; bytes are copied
   * @throws RangeError for an unknown callback; TriggerError when it has no trigger, or the trigger has no variable of this
   *   name, with the nearest name that it has; TypeError for any other value
   */
  setTriggerVar(callbackName: string, varName: string, value: TriggerValue): void {
    setTriggerVariable(this.#getAlive(callbackName), varName, value);
  }

  /**
   * Gets a variable of a callback's trigger, whether the trigger or the script has set it.
   *
   * @returns by what was stored: a bigint, a string, or a copy of bytes; the address of what the trigger stored with
   *   set_var(); undefined when there is no such variable
   * @throws RangeError for an unknown callback; TriggerError when it has no trigger
   */
  getTriggerVar(callbackName: string, varName: string): bigint | string | Uint8Array | undefined {
    return getTriggerVariable(this.#getAlive(callbackName), varName);
  }

  /**
   * Calls a function that a callback's trigger has declared with declare_function().
   *
   * @throws RangeError for an unknown callback; TriggerError when it has no trigger, or no such function
   */
  callTriggerFunction(callbackName: string, functionName: string): void {
    callTriggerFunction(this.#getAlive(callbackName), functionName);
  }

  /**
   * Has a callback with an addr called only while a condition holds, which the addon decides before any call. What it keeps away
   * counts as filtered.
   *
   * @param callbackName what addCallback() returned
   * @param pointerSize of the guest's kernel, in bytes
   * @throws RangeError for an unknown callback, and for one without an addr
   */
  setCondition(callbackName: string, condition: GuestCondition, pointerSize: 4 | 8 = 8): void {
    const { listenerId } = this.#getAlive(callbackName);
    if (!Engine.get().native.setCondition(listenerId, compileCondition(condition, pointerSize))) {
      throw new RangeError(`the callback ${callbackName} has no addr: conditions are for hooks at an address`);
    }
  }

  /**
   * Has a callback with an addr take notes of processes natively, and call nothing; see native/addon/process_journal.h.
   *
   * @param callbackName what addCallback() returned
   * @param told sets of tasks that are left out
   * @throws RangeError for an unknown callback, and for one without an addr
   */
  setJournal(
    callbackName: string,
    place: JournalPlace,
    layout: NativeJournalLayout,
    told: readonly [GuestSet, GuestSet],
  ): void {
    const { listenerId } = this.#getAlive(callbackName);
    if (!Engine.get().native.journalProcessesAt(listenerId, place, layout, told[0].id, told[1].id)) {
      throw new RangeError(`the callback ${callbackName} has no addr: notes are taken at an address`);
    }
  }

  /**
   * Has a callback with an addr, at a function of the kernel, take the function's first argument out of a set natively, and call
   * nothing.
   *
   * @param callbackName what addCallback() returned
   * @param pointerSize of the guest's kernel, in bytes
   * @throws RangeError for an unknown callback, and for one without an addr
   */
  setRemoval(callbackName: string, set: GuestSet, pointerSize: 4 | 8): void {
    const { listenerId } = this.#getAlive(callbackName);
    if (!Engine.get().native.removeFromSetAt(listenerId, set.id, pointerSize)) {
      throw new RangeError(`the callback ${callbackName} has no addr: arguments are those of a function at an address`);
    }
  }

  /**
   * Has a callback with an addr, where programs enter the kernel, write system calls into a journal, and be called for those
   * alone that are to be looked at; see native/addon/call_journal.h.
   *
   * @param callbackName what addCallback() returned
   * @throws RangeError for an unknown callback, and for one without an addr
   */
  setCallEntry(callbackName: string, journal: number, entry: NativeCallEntry): void {
    const { listenerId } = this.#getAlive(callbackName);
    if (!Engine.get().native.journalCallsAt(listenerId, journal, entry)) {
      throw new RangeError(`the callback ${callbackName} has no addr: calls are journaled at an address`);
    }
  }

  /** Removes every callback of this manager. */
  clean(): void {
    for (const name of [...this.#callbacks.keys()]) {
      this.rmCallback(name);
    }
  }

  /** It goes with the script, also when the script's clean() forgets it. */
  #keep(registered: RegisteredCallback): string {
    const { name } = registered;
    this.#callbacks.set(name, registered);
    this.#owned.set(
      name,
      this.#owner.own(() => this.rmCallback(name)),
    );
    return name;
  }

  #get(name: string): RegisteredCallback {
    const callback = this.#callbacks.get(name);
    if (!callback) {
      throw new RangeError(
        `there is no callback ${name} here: ${[...this.#callbacks.keys()].join(", ") || "none at all"}`,
      );
    }
    return callback;
  }

  #getAlive(name: string): RegisteredCallback {
    const callback = this.#get(name);
    if (!callbackRegistry.has(callback)) {
      throw new RangeError(`the callback ${name} was cut off and removed: it took too long`);
    }
    return callback;
  }
}
