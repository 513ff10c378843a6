import { Engine } from "../engine/engine";
import { EVENT_KINDS } from "./event-kinds";

/** The types of callback about what the guest's system does. Whoever knows the guest raises them. */
export const GUEST_EVENT_TYPES = ["CREATEPROC_CB", "REMOVEPROC_CB", "LOADMODULE_CB", "REMOVEMODULE_CB"] as const;

export type GuestEventType = (typeof GUEST_EVENT_TYPES)[number];

/** A process, as CREATEPROC_CB and REMOVEPROC_CB tell it. */
export interface ProcessFacts {
  readonly pid: number;
  readonly pgd: bigint;
  readonly name: string;
}

/** A module, as LOADMODULE_CB and REMOVEMODULE_CB tell it. */
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

/** Who knows the guest's system. */
export interface GuestEventSource {
  /**
   * Tells that a type has its first callback now (on), or has lost its last. Nothing needs to be raised for a type that
   * nobody listens to. Also called from callbacks.
   */
  watch(type: GuestEventType, on: boolean): void;
  listProcesses(): Iterable<ProcessFacts>;
  /** Lists the modules of all processes and of the kernel; with pgd those of one. */
  listModules(pgd?: bigint): Iterable<ModuleFacts>;
}

/** A callback that wants to be told what exists. */
export interface ReplayRequest {
  readonly listenerId: number;
  readonly type: GuestEventType;
  readonly pgd?: bigint | undefined;
}

let source: GuestEventSource | undefined;
const watched = new Set<GuestEventType>();
/** Asked for while nobody knew the guest. By listener. */
const waiting = new Map<number, ReplayRequest>();
let onFirstWatch: (() => void) | undefined;

/**
 * Sets who is told when a type gets its first callback and nobody knows the guest: it may look for somebody, and say so
 * before it returns.
 */
export function setFirstWatchListener(listener: (() => void) | undefined): void {
  onFirstWatch = listener;
}

/** Tells whether there is a callback of any of these types. */
export function isAnyGuestEventWatched(): boolean {
  return watched.size > 0;
}

export function isGuestEventType(type: string): type is GuestEventType {
  return (GUEST_EVENT_TYPES as readonly string[]).includes(type);
}

/** Tells whether a callback of this type may be called, so that what it tells has to be found out. */
export function isGuestEventWatched(type: GuestEventType): boolean {
  return watched.has(type);
}

function replayTo(from: GuestEventSource, { listenerId, type, pgd }: ReplayRequest): void {
  // Listed in full before the first call: a callback may change what is listed.
  if (type === "CREATEPROC_CB") {
    for (const facts of [...from.listProcesses()]) raiseProcessEvent(type, facts, listenerId);
  } else if (type === "LOADMODULE_CB") {
    for (const facts of [...from.listModules(pgd)]) raiseModuleEvent(type, facts, listenerId);
  }
}

/**
 * Says who knows the guest's system, undefined for nobody. The source is told at once what is watched, and callbacks
 * that want to be told what exists, and have not been, are told.
 */
export function setGuestEventSource(next: GuestEventSource | undefined): void {
  source = next;
  if (!next) {
    return;
  }
  for (const type of watched) next.watch(type, true);
  for (const request of waiting.values()) {
    waiting.delete(request.listenerId);
    replayTo(next, request);
  }
}

/** Compares what is watched with what is listened to, and tells the source. Call whenever a listener came or went. */
export function updateWatched(type: GuestEventType): void {
  setWatched(type, Engine.get().native.isListenedTo(EVENT_KINDS[type]));
}

function setWatched(type: GuestEventType, on: boolean): void {
  if (on === watched.has(type)) {
    return;
  }
  if (on) watched.add(type);
  else watched.delete(type);
  if (source) source.watch(type, on);
  else if (on) onFirstWatch?.();
}

/** Tells a new callback what exists: now, or as soon as somebody knows. */
export function requestReplay(request: ReplayRequest): void {
  if (source) {
    replayTo(source, request);
  } else {
    waiting.set(request.listenerId, request);
  }
}

/** Forgets the request of a callback that is no more. */
export function withdrawReplay(listenerId: number): void {
  waiting.delete(listenerId);
}

/**
 * Calls the callbacks of a process that begins or ends, one after the other, before it returns. Call it from a callback
 * where the guest does it: a promise that one of them returns then holds the guest there.
 *
 * @param listenerId only this listener
 */
export function raiseProcessEvent(
  type: "CREATEPROC_CB" | "REMOVEPROC_CB",
  { pid, pgd, name }: ProcessFacts,
  listenerId?: number,
): void {
  // A listener whose hits are used up is gone without a word.
  setWatched(type, Engine.get().native.raiseProcessEvent(EVENT_KINDS[type], pid, pgd, name, listenerId));
}

/**
 * Calls the callbacks of a module that comes or goes, as raiseProcessEvent() does.
 *
 * @param listenerId only this listener
 */
export function raiseModuleEvent(
  type: "LOADMODULE_CB" | "REMOVEMODULE_CB",
  { pid, pgd, base, size, name, fullname }: ModuleFacts,
  listenerId?: number,
): void {
  const { native } = Engine.get();
  setWatched(type, native.raiseModuleEvent(EVENT_KINDS[type], pid, pgd, base, size, name, fullname, listenerId));
}
