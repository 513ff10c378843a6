import { Engine } from "../engine/engine";
import { type EventFacts, EVENTS, type GuestEventType } from "../engine/event-table";

export type { GuestEventType };

/** A process, as CREATEPROC_CB and REMOVEPROC_CB report it. */
export interface ProcessFacts {
  readonly pid: number;
  readonly pgd: bigint;
  readonly name: string;
}

/** A module, as LOADMODULE_CB and REMOVEMODULE_CB report it. */
export interface ModuleFacts {
  readonly pid: number;
  /** Of the process that has it; 0n for the kernel's. */
  readonly pgd: bigint;
  readonly base: bigint;
  /** In bytes. */
  readonly size: number;
  readonly name: string;
  readonly fullname: string;
}

/** A program that a process begins, as EXEC_CB reports it. */
export interface ExecutionFacts {
  readonly pid: number;
  readonly pgd: bigint;
  readonly name: string;
  /** Of the program that runs, which for a script is its interpreter. */
  readonly path: string;
  readonly argv: readonly string[];
  readonly envp: readonly string[];
}

/** Code that knows the guest's system, and raises its events. */
export interface GuestEventSource {
  /**
   * Called when a type has its first callback now (on), or has lost its last. Nothing needs to be raised for a type that
   * nobody listens to. Also called from callbacks.
   */
  watch(type: GuestEventType, on: boolean): void;
  listProcesses(): Iterable<ProcessFacts>;
  /** Lists the modules of all processes and of the kernel; with pgd those of one. */
  listModules(pgd?: bigint): Iterable<ModuleFacts>;
}

/** A new callback that is to be called for what exists. */
export interface ReplayRequest {
  readonly listenerId: number;
  readonly type: GuestEventType;
  readonly pgd?: bigint | undefined;
}

/** Returns whether a type of callback is about the guest's system. */
export function isGuestEventType(type: string): type is GuestEventType {
  return Object.hasOwn(EVENTS, type) && (EVENTS as Record<string, EventFacts>)[type]!.ofGuest === true;
}

/**
 * The events of the guest's system, between the callbacks and the code that knows the guest. There is one: guestEvents.
 *
 * A first callback wants a type; the source, if there is one, is asked to watch it, and otherwise the first-watch
 * listener may look for a source. The source raises the events, as long as somebody listens.
 */
class GuestEvents {
  #source: GuestEventSource | undefined;
  #onFirstWatch: (() => void) | undefined;
  readonly #watched = new Set<GuestEventType>();
  /** Asked for while there was no source. By listener. */
  readonly #waiting = new Map<number, ReplayRequest>();

  /** Sets the function that is called when a type gets its first callback and there is no source: it may set one. */
  setFirstWatchListener(listener: (() => void) | undefined): void {
    this.#onFirstWatch = listener;
  }

  /**
   * Sets the source, undefined for none. It is asked at once to watch what has callbacks, and callbacks that wait for
   * what exists are called.
   */
  setSource(source: GuestEventSource | undefined): void {
    this.#source = source;
    if (!source) return;
    for (const type of this.#watched) source.watch(type, true);
    // One callback may remove another one, which withdraws its request.
    for (const { listenerId } of [...this.#waiting.values()]) {
      const request = this.#waiting.get(listenerId);
      this.#waiting.delete(listenerId);
      if (request) this.#replay(source, request);
    }
  }

  /** Returns whether there is a callback of any type. */
  isAnyWatched(): boolean {
    return this.#watched.size > 0;
  }

  /** Returns whether a callback of this type may be called, so that its arguments have to be found out. */
  isWatched(type: GuestEventType): boolean {
    return this.#watched.has(type);
  }

  /** Asks the addon whether a type is listened to, and the source to watch it or not. Call when a listener came or went. */
  update(type: GuestEventType): void {
    this.#setWatched(type, Engine.get().native.isListenedTo(EVENTS[type].kind));
  }

  /** Calls a new callback for what exists: now, or as soon as there is a source. */
  requestReplay(request: ReplayRequest): void {
    if (this.#source) this.#replay(this.#source, request);
    else this.#waiting.set(request.listenerId, request);
  }

  /** Forgets the request of a callback that is no more. */
  withdrawReplay(listenerId: number): void {
    this.#waiting.delete(listenerId);
  }

  /**
   * Calls the callbacks of a process that begins or ends, one after the other, before it returns. Call it from a callback
   * where the guest does it: a promise that one of them returns then holds the guest there.
   *
   * @param listenerId only this listener
   */
  raiseProcess(type: "CREATEPROC_CB" | "REMOVEPROC_CB", { pid, pgd, name }: ProcessFacts, listenerId?: number): void {
    // A listener whose hits are used up is gone without a word.
    this.#setWatched(type, Engine.get().native.raiseProcessEvent(EVENTS[type].kind, pid, pgd, name, listenerId));
  }

  /**
   * Calls the callbacks of a module that comes or goes, as raiseProcess() does.
   *
   * @param listenerId only this listener
   */
  raiseModule(
    type: "LOADMODULE_CB" | "REMOVEMODULE_CB",
    { pid, pgd, base, size, name, fullname }: ModuleFacts,
    listenerId?: number,
  ): void {
    const { native } = Engine.get();
    const { kind } = EVENTS[type];
    this.#setWatched(type, native.raiseModuleEvent(kind, pid, pgd, base, size, name, fullname, listenerId));
  }

  /** Calls the callbacks of a program that a process begins, as raiseProcess() does. */
  raiseExecution({ pid, pgd, name, path, argv, envp }: ExecutionFacts): void {
    const { native } = Engine.get();
    const { kind } = EVENTS.EXEC_CB;
    const words = [Object.freeze([...argv]), Object.freeze([...envp])] as const;
    this.#setWatched("EXEC_CB", native.raiseExecEvent(kind, pid, pgd, name, path, ...words));
  }

  #setWatched(type: GuestEventType, on: boolean): void {
    if (on === this.#watched.has(type)) return;
    if (on) this.#watched.add(type);
    else this.#watched.delete(type);
    if (this.#source) this.#source.watch(type, on);
    else if (on) this.#onFirstWatch?.();
  }

  #replay(source: GuestEventSource, { listenerId, type, pgd }: ReplayRequest): void {
    // Listed in full before the first call: a callback may change what is listed.
    if (type === "CREATEPROC_CB") {
      for (const facts of [...source.listProcesses()]) this.raiseProcess(type, facts, listenerId);
    } else if (type === "LOADMODULE_CB") {
      const space = pgd === undefined ? undefined : Engine.get().native.normalPgd(pgd);
      for (const facts of [...source.listModules(space)]) this.raiseModule(type, facts, listenerId);
    }
  }
}

/** The guest events of this process, which has one machine. */
export const guestEvents = new GuestEvents();
