/**
 * The typed contract with the addon (native/addon). Nothing else in src/ knows what the addon looks like.
 *
 * Results that are numbers have the order of the C enumerations in native/qemu/qemu_glue.h.
 */

import type { EventKind } from "./event-table";
import type { NativeCallJournals } from "./native-calls";

export const enum StartResult {
  Ok = 0,
  Exited = 1,
  Twice = 2,
}

export const enum SliceResult {
  Idle = 0,
  Interrupted = 1,
  Ended = 2,
}

export const enum MemoryResult {
  Ok = 0,
  Unmapped = 1,
  NotRam = 2,
  ReadOnly = 3,
  Recorded = 4,
}

/** The work of QEMU's recorder: rebox_recording_mode. */
export const enum RecordingMode {
  None = 0,
  Recording = 1,
  Replaying = 2,
}

/** The facts of a recording's log. */
export interface NativeRecordingFacts {
  /** The instructions of the whole execution. */
  readonly instructions: number;
  readonly events: number;
  /** How many bytes of the log can be replayed. */
  readonly wholeSize: number;
  /** It was not cut off. */
  readonly hasEnded: boolean;
}

/** Where a hook in the guest's kernel is that ProcessHook of the addon decides. */
export const enum ProcessPlace {
  /** The first argument is a new task. */
  NewTask = 0,
  /** The first argument is a task that leaves its memory, which is the second. */
  Leave = 1,
  /** The current task has just been given new memory and a new name. */
  NewProgram = 2,
}

/** Where a hook in the guest's kernel is at which ProcessJournal of the addon takes a note. */
export const enum JournalPlace {
  /** The first argument is a new task. */
  Begin = 0,
  /** The program of the current task is complete. */
  Program = 1,
  /** The current task begins to end. */
  End = 2,
}

/** Where the guest's kernel keeps what is noted of a process: offsets in bytes. */
export interface NativeJournalLayout {
  readonly flags: number;
  readonly mm: number;
  readonly tid: number;
  readonly tgid: number;
  readonly name: number;
  readonly parent: number;
  readonly leader: number;
  readonly signal: number;
  /** In signal_struct. */
  readonly live: number;
  /** In mm_struct. */
  readonly words: number;
  readonly wordsEnd: number;
  /** In linux_binprm, the first argument; 0 when it is none. */
  readonly path: number;
  readonly pointerSize: number;
  readonly current: bigint;
}

/** A note of a process: words end with a zero each, the time is that of CLOCK_MONOTONIC. */
export type NativeProcessNote = [
  place: JournalPlace,
  pid: number,
  ppid: number,
  name: string,
  path: string,
  words: string,
  timeMs: number,
];

/** Where the guest's kernel keeps what is asked of a task: offsets in bytes. */
export interface NativeTaskLayout {
  readonly flags: number;
  readonly mm: number;
  readonly tid: number;
  readonly tgid: number;
  readonly name: number;
  /** In mm_struct. */
  readonly users: number;
  readonly pgd: number;
  readonly pointerSize: number;
  /** Of the pointer to the current task, from the base of a vCPU's own data; 0n when it is not known. */
  readonly current: bigint;
}

/** An address space of a Linux guest: the address of its mm_struct, for which process it was made, its page table, name. */
export type NativeProcess = [mm: bigint, pid: number, pgd: bigint, name: string];

/** What is asked of a value in the guest's memory, as GuestTest of the addon reads it. */
export interface NativeGuestTest {
  /** The name of a plain register of 64 bits. */
  readonly register: string;
  /** Where the register is a table of segment descriptors: the segment that has the base; 0 elsewhere. */
  readonly segment: number;
  readonly pointerSize: number;
  /** From the register: each leads to a pointer, the last to the first node. */
  readonly offsets: BigUint64Array;
  /** Of the pointer to the next node. */
  readonly next: bigint;
  /** Of nodes that are looked at. */
  readonly most: number;
  /** One or two; without offsets a value is the node itself, with size 0 the hash of a text. */
  readonly values: readonly { readonly offsets: BigUint64Array; readonly size: number }[];
  /** The number of the set that has the values; without it the value has one of these bits. */
  readonly set?: number;
  readonly bits: bigint;
}

/** One register of a vCPU. Its place in the list is its id. */
export interface NativeRegister {
  readonly name: string;
  /** In bytes from the start of the vCPU's state; meaningless when computed. */
  readonly offset: number;
  /** In bytes: 1, 2, 4, 8 or 16. */
  readonly size: number;
  readonly computed: boolean;
  readonly writable: boolean;
}

export interface NativeRamRegion {
  /** Guest-physical. */
  readonly address: bigint;
  /** Lies over the guest's memory itself. At most 1 GiB; larger memory is several regions. */
  readonly buffer: ArrayBuffer;
  /** Where it lies in this process, as in /proc/self/mem; 0 in an image. */
  readonly hostAddress: bigint;
  readonly readOnly: boolean;
  /** The machine's own memory, not that of a device or of firmware. */
  readonly isMain: boolean;
}

/** What came of a job on a file: error is 0, or the system's number of an error, and detail what is known beside it. */
export interface NativeFileOutcome {
  readonly error: number;
  readonly detail: string;
  /** Of the file that was written, in bytes. */
  readonly size: number;
}

/** QEMU's messages. Called from the event loop. */
export interface NativeHandlers {
  wake(): void;
  runState(running: boolean, state: string): void;
  reset(): void;
  ended(crashed: boolean, cause: string, message: string): void;
}

export interface NativeAddon extends NativeCallJournals {
  readonly qemuVersion: string;

  start(argv: string[], handlers: NativeHandlers): { result: StartResult; exitStatus: number; message: string };
  slice(): SliceResult;
  qmp(request: string, done: (response: string) => void): void;
  quit(): void;
  /** Whether somebody has stopped the machine before it was let go for the first time. */
  staysStopped(): boolean;
  endNow(timeoutMs: number): boolean;
  release(): void;
  /** Returns whether callbacks can be cut off at all in this version of Node. 0 is without limit. */
  setCallbackLimitMs(limitMs: number): boolean;
  removeOnFault(path: string): void;

  /**
   * Has the monitor's commands of rebox executed by execute, which is called from the event loop; arguments are JSON. Each
   * call is to be answered by answerCommand(), at most timeoutMs later.
   */
  serveCommands(
    execute: (id: number, isForPerson: boolean, command: string, args: string) => void,
    timeoutMs: number,
  ): void;
  /** Answers all that waits with an error, and whatever comes. */
  endCommands(): void;
  /** text is for a person, or JSON for a program; with isFailed what went wrong. */
  answerCommand(id: number, isFailed: boolean, text: string): void;
  /** What monitors complete with: handles and names of scripts, and names of commands, a line each. */
  setCommandWords(modules: string, names: string): void;

  cpuCount(): number;
  registers(): NativeRegister[];
  cpuState(cpuIndex: number): ArrayBuffer | undefined;
  readRegister(cpuIndex: number, id: number): bigint | undefined;
  writeRegister(cpuIndex: number, id: number, value: bigint): boolean;
  writeSegment(
    cpuIndex: number,
    segment: number,
    selector: number,
    base: bigint,
    limit: number,
    flags: number,
  ): boolean;

  readPhysical(address: bigint, into: Uint8Array): MemoryResult;
  writePhysical(address: bigint, from: Uint8Array): MemoryResult;
  readVirtual(cpuIndex: number, pgd: bigint, address: bigint, into: Uint8Array): MemoryResult;
  writeVirtual(cpuIndex: number, pgd: bigint, address: bigint, from: Uint8Array): MemoryResult;
  /** The address at which the last failed read or write failed. */
  lastFault(): bigint;
  translate(cpuIndex: number, pgd: bigint, address: bigint): bigint | undefined;
  ramRegions(): NativeRamRegion[];

  /**
   * Writes memory into an empty file, on another thread; what is zero becomes holes. control has two words: how many bytes
   * of the pieces are done, and whether to stop, which ends with ECANCELED.
   *
   * @param pieces in the order of their offsets in the file, which do not overlap
   * @param size of the file before it is compressed by zstd
   */
  writeImage(
    fd: number,
    pieces: readonly { readonly bytes: Uint8Array; readonly offset: number }[],
    size: number,
    isCompressed: boolean,
    control: BigUint64Array,
  ): Promise<NativeFileOutcome>;
  /**
   * Expands a file of zstd frames into an empty one, on another thread. The control's first word is how much was read. EILSEQ:
   * it is damaged or cut off; EFBIG: it has more than limit bytes.
   */
  expandImage(from: number, to: number, limit: number, control: BigUint64Array): Promise<NativeFileOutcome>;
  /** Maps parts of a file for as long as the process lives, each at most 1 GiB. Returns the number of an error. */
  mapImage(
    fd: number,
    size: number,
    parts: readonly { readonly offset: number; readonly size: number }[],
  ): ArrayBuffer[] | number;
  /** Finds the next part of a file that is no hole, from start to end. */
  findFileData(fd: number, from: number, end: number): [start: number, end: number] | undefined;

  /** Finds the first place from an index on at which a pattern stands; -1 when there is none, or the pattern is empty. */
  findBytes(bytes: Uint8Array, pattern: Uint8Array, from: number): number;

  readPort(port: number, size: number): number;
  writePort(port: number, size: number, value: number): void;

  /**
   * filter is a NativeFilter of src/machine/callbacks. With columns, an EventBatch, events are appended to it and listener is
   * called without arguments when it is to be read; drop drops what does not fit in place of calling.
   *
   * @returns the listener's id
   */
  addListener(
    kind: EventKind,
    listener: (...args: never[]) => unknown,
    filter?: object,
    columns?: object,
    drop?: boolean,
  ): number;
  /** Listens to blocks (BlockBegin) or instructions (InsnBegin) that begin at an address. Returns the listener's id. */
  addHook(
    kind: EventKind,
    listener: (...args: never[]) => unknown,
    address: bigint,
    pgd: bigint,
    filter?: object,
  ): number;
  /** Listens to opcodes from first to last, both included. Returns the listener's id. */
  addOpcodes(
    listener: (...args: never[]) => unknown,
    first: number,
    last: number,
    filter?: object,
    columns?: object,
    drop?: boolean,
  ): number;
  /** Listens to an event of the guest's system, with pgd only of this process. Returns the listener's id. */
  addGuestListener(kind: EventKind, listener: (...args: never[]) => unknown, filter?: object, pgd?: bigint): number;
  /**
   * Calls the listeners of CreateProcess or RemoveProcess, synchronously; with listenerId only that one. Returns what
   * isListenedTo() does then.
   */
  raiseProcessEvent(kind: EventKind, pid: number, pgd: bigint, name: string, listenerId?: number): boolean;
  /** The same for LoadModule or RemoveModule. */
  raiseModuleEvent(
    kind: EventKind,
    pid: number,
    pgd: bigint,
    base: bigint,
    size: number,
    name: string,
    fullname: string,
    listenerId?: number,
  ): boolean;
  /** The same for Execute. The words are handed on as they are: nobody may change them. */
  raiseExecEvent(
    kind: EventKind,
    pid: number,
    pgd: bigint,
    name: string,
    path: string,
    argv: readonly string[],
    envp: readonly string[],
    listenerId?: number,
  ): boolean;
  /** Whether an event has a listener that may still be called. */
  isListenedTo(kind: EventKind): boolean;
  /**
   * Lets the addon decide what a hook says about processes: it keeps the table of those that have been told, raises what is
   * to be raised, and calls the hook's function only where it cannot decide. Calls onUnwatched when an event that it raised
   * has used up the last listener.
   */
  decideProcessesAt(
    listenerId: number,
    place: ProcessPlace,
    layout: NativeTaskLayout,
    onUnwatched: (kind: EventKind) => void,
  ): void;
  /**
   * Has a hook take notes of processes in place of calling its function; tasks that one of the two sets has are left out. Returns
   * whether there is such a hook.
   */
  journalProcessesAt(
    listenerId: number,
    place: JournalPlace,
    layout: NativeJournalLayout,
    toldSet: number,
    alsoToldSet: number,
  ): boolean;
  /** Takes the notes, in their order; lost ones are those that there was no place for. */
  takeProcessJournal(): [notes: NativeProcessNote[], lost: number];
  /** Has the functions of all these hooks called, always, until it is undone. */
  suspendProcessHooks(on: boolean): void;
  setToldProcess(mm: bigint, pid: number, pgd: bigint, name: string): void;
  findToldProcess(mm: bigint): NativeProcess | undefined;
  /** In the order in which they were set. */
  listToldProcesses(): NativeProcess[];
  countToldProcesses(): number;
  removeToldProcess(mm: bigint): boolean;
  clearToldProcesses(): void;
  /**
   * What a listener has done: how often it was called, how many events its filter kept away and its full stream dropped,
   * and estimates of the milliseconds in filter and trigger, and in the script. Undefined for a listener that is no more.
   */
  statistics(
    id: number,
  ): [calls: number, filtered: number, dropped: number, nativeTimeMs: number, scriptTimeMs: number] | undefined;
  /**
   * Has a hook's function called only while one of these lists holds, of which each test has to. Returns whether there is such
   * a hook.
   */
  setCondition(listenerId: number, condition: readonly (readonly NativeGuestTest[])[]): boolean;
  /**
   * Has a hook on a function of the kernel take the function's first argument out of a set, in place of calling its own. Returns
   * whether there are such a hook and such a set.
   */
  removeFromSetAt(listenerId: number, set: number, pointerSize: number): boolean;
  /** Makes a set of numbers, or of pairs of them, that conditions ask. Returns its number. */
  createGuestSet(): number;
  addToGuestSet(id: number, first: bigint, second: bigint): void;
  /** Returns whether it was there. */
  removeFromGuestSet(id: number, first: bigint, second: bigint): boolean;
  hasInGuestSet(id: number, first: bigint, second: bigint): boolean;
  countGuestSet(id: number): number;
  clearGuestSet(id: number): void;
  /** Conditions that ask it find it empty from now on. */
  removeGuestSet(id: number): void;
  removeListener(id: number): void;
  /**
   * Sets what is called before watched code is executed that is new in its page; undefined: nothing. An exception that it throws is
   * lost.
   */
  setCodeWatcher(watcher: ((cpu: object, pc: bigint, writer: bigint) => void) | undefined): void;
  /** Watches the code of an address space between two addresses. Returns false when too much is watched. */
  watchCode(pgd: bigint, from: bigint, to: bigint): boolean;
  /** Says that the pages between two addresses that are in RAM are known as they are now. */
  settleCode(pgd: bigint, from: bigint, to: bigint): void;
  /** Ends the watches of an address space; of all with undefined. */
  unwatchCode(pgd?: bigint): void;
  /**
   * Loads a trigger for a listener that has none. Two triggers must not be loaded from one file.
   *
   * Returns the reason when it is refused.
   */
  attachTrigger(listenerId: number, path: string): string | undefined;
  detachTrigger(listenerId: number): void;
  /** Returns the reason when there is no trigger any more. */
  setTriggerVar(listenerId: number, name: string, value: bigint | string | Uint8Array): string | undefined;
  getTriggerVar(listenerId: number, name: string): bigint | string | Uint8Array | undefined;
  hasTrigger(listenerId: number): boolean;
  /** Sets what is called with all that triggers print; kinds are rebox_print_kind of triggers/rebox_trigger.h. */
  setTriggerPrinter(print: (kind: number, text: string) => void): void;
  /** Returns the reason when there is no trigger any more, or no such function, or it has thrown. */
  callTriggerFunction(listenerId: number, name: string): string | undefined;
  setScriptObjects(
    cpus: object[],
    createBlock: (pc: bigint, size: number, icount: number) => object,
    onFailure: (listenerId: number, error: unknown, cutOff: boolean) => void,
    onPromise: (listenerId: number, promise: Promise<unknown>) => void,
  ): void;
  /** Ends the hold of the guest that a returned promise began. */
  releaseGuest(): void;
  /** The vCPU of the event whose callback is being called, or that holds the guest; -1 when there is none. */
  eventCpu(): number;
  monitor(pgd: bigint): void;
  unmonitor(pgd: bigint, force: boolean): boolean;
  isMonitored(pgd: bigint): boolean;
  /**
   * Calls a function, which is cut off when it fills the memory that JavaScript may use.
   *
   * @returns its result in a list; undefined when it was cut off
   * @throws what it throws
   */
  callGuarded(call: () => unknown): [unknown] | undefined;
  /** Calls a function with up to 4 arguments, which may use more stack than scripts have. */
  callReserved<Args extends unknown[], Result>(call: (...args: Args) => Result, ...args: Args): Result;
  currentPgd(cpuIndex: number): bigint;
  /** The identity of the address space that a value of CR3 stands for. */
  normalPgd(pgd: bigint): bigint;
  /** Says which bits of CR3 differ between the page tables of one process; undefined: nobody knows. */
  tellIsolation(bits?: bigint): void;
  countBlocks(on: boolean): void;
  blockCount(): number;
  /** The instructions that all vCPUs have executed; undefined when the machine does not count them. */
  instructionCount(): number | undefined;
  recordingMode(): RecordingMode;
  /** How many events of the log were replayed. */
  recordingEvents(): number;
  /** Why the log could not be written to its end; "" when it could. */
  recordingFailure(): string;
  /** Whether a callback holds the guest. */
  isHeld(): boolean;
  /** The count of instructions at the last check of a replay, up to which it is as it was recorded. */
  lastRightCount(): number;
  /** Reads a log before the machine is started: a replay of it ends in good order then. Undefined when it cannot be read. */
  scanRecording(path: string): NativeRecordingFacts | undefined;
  /**
   * Keeps states of a replay from its beginning on, one for each intervalMs of execution, in at most limitBytes of memory. Returns
   * whether it can.
   */
  keepStates(limitBytes: number, intervalMs: number): boolean;
  /** Keeps one more state as soon as the replay is at or behind this count of instructions. */
  keepStateAt(count: number): void;
  /** The counts of instructions at which states are kept, in order. */
  listStates(): number[];
  /** The memory of all states, in bytes. */
  statesSize(): number;
  /** While it is on, only the listeners of hearTravel() are told of events. */
  setTravels(on: boolean): void;
  /** Whether it is on, or gdb has the replay go over what it went over before. */
  isTravelling(): boolean;
  /** Tells everybody again of what gdb has the replay go over once more; nothing while setTravels() is on. */
  endRepetition(): void;
  /** The furthest count from which gdb had the replay go back; 0: it has not. */
  wentBackFrom(): number;
  /** Has the replay paused at a count whenever a way of gdb's ends before it. */
  stopGdbAt(count: number): void;
  hearTravel(listenerId: number): void;
  /** How fast this host's processor counts its ticks, in thousands a second: measured, which takes some milliseconds. */
  hostTicksKhz(): number;
  /**
   * Has a machine that is recorded or replayed begin with a state of processor and devices, before it is started: rebox_start_from() of
   * native/qemu/qemu_glue.h.
   */
  startFrom(devices: string, ticksKhz: number): void;
}
