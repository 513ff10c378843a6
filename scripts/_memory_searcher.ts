/** Has triggers/memory_search.h look at accesses, and reads what it has found; for memory_search and the module of the same name. */
import {
  ALL_PROCESSES,
  AttachError,
  backtrace,
  type BacktraceFrame,
  CallbackManager,
  findProcess,
  findSystem,
  getProcessList,
  startMonitoringProcess,
  stopMonitoringProcess,
  vaToSym,
} from "rebox";
import { showPlace } from "./_api_calls";
import type { Search } from "./_search_patterns";
import { readWantedProcesses } from "./_wanted_processes";

const AES_KEY = 0xffff;
const HEADER = 52;
const PLACE = 32;

const KINDS = { read: "triggers/trigger_memory_search_read", write: "triggers/trigger_memory_search_write" } as const;

/** Which way the bytes went. */
export type Direction = keyof typeof KINDS;

/** A match, as it passed. */
export interface FoundBytes {
  readonly direction: Direction;
  /** As it was looked for: text="secret" (utf-8); "AES-128 key" and the like. */
  readonly what: string;
  /** Whether it lies in memory; otherwise its bytes only passed one behind the other. */
  readonly isInMemory: boolean;
  /** In nanoseconds, of a clock that stands still while the machine is paused. */
  readonly timeNs: bigint;
  readonly pgd: bigint;
  readonly pid: number | undefined;
  readonly process: string;
  /** The instruction. */
  readonly code: bigint;
  /** The same as "module!function+offset", where it is known. */
  readonly place: string;
  /** Behind the last byte of the match. */
  readonly end: bigint;
  /** What lies in front of that, with the match at its end; of a key, the key. */
  readonly before: Uint8Array;
  readonly behind: Uint8Array;
  /** The functions that have led there, the nearest first; with `stack`. */
  readonly stack: readonly BacktraceFrame[];
}

/** How often something passed at a place of code. */
export interface FoundPlace {
  readonly direction: Direction;
  readonly what: string;
  readonly process: string;
  readonly place: string;
  readonly times: number;
}

/** A search that goes on until it is removed. */
export class MemorySearcher {
  readonly #names: readonly Direction[];
  readonly #monitored = new Set<bigint>();

  /**
   * @param callbacks its callbacks are the searcher's alone
   * @param most how often the same is told of a place
   * @param onFound is called within the access, in order
   * @throws TriggerError when a trigger does not compile
   */
  constructor(
    private readonly callbacks: CallbackManager,
    private readonly search: Search,
    most: number,
    private readonly onFound: (found: FoundBytes) => void,
  ) {
    const { hasReads, hasWrites, hasKeys, automaton } = search;
    const hasPatterns = automaton !== undefined;
    this.#names = [...(hasReads && hasPatterns ? ["read" as const] : []), ...(hasWrites ? ["write" as const] : [])];
    for (const name of this.#names) {
      const take = (cpuIndex: number): void => this.#take(name, cpuIndex);
      callbacks.addCallback(name === "read" ? CallbackManager.MEM_READ_CB : CallbackManager.MEM_WRITE_CB, take, {
        name,
      });
      callbacks.addTrigger(name, KINDS[name]);
      if (hasPatterns) callbacks.setTriggerVar(name, "automaton", automaton);
      callbacks.setTriggerVar(name, "keys", hasKeys && name === "write" ? 1 : 0);
      callbacks.setTriggerVar(name, "most", most);
      callbacks.callTriggerFunction(name, "choose");
    }
  }

  /** Counts what was found until now, by place. */
  count(): FoundPlace[] {
    return this.#names.flatMap((direction) => {
      const bytes = this.#read(direction, "count", "places");
      return Array.from({ length: bytes.byteLength / PLACE }, (_, index) => {
        const at = index * PLACE;
        const [pgd, code] = [bytes.getBigUint64(at, true), bytes.getBigUint64(at + 8, true)];
        const what = this.#describe(Number(bytes.getBigUint64(at + 16, true)), 0);
        const times = Number(bytes.getBigUint64(at + 24, true));
        return { direction, what, process: findName(pgd).process, place: findPlace(pgd, code), times };
      });
    });
  }

  /** Ends the search, with its callbacks. */
  remove(): void {
    this.callbacks.clean();
    for (const pgd of this.#monitored) stopMonitoringProcess(pgd);
    this.#monitored.clear();
  }

  /** Looks at the processes that the search names, also those that begin later; at the whole system when it names none. */
  followNamed(): void {
    const { processWords } = this.search;
    if (processWords.length === 0) {
      this.begin(ALL_PROCESSES);
      return;
    }
    const isWanted = readWantedProcesses(processWords);
    const begin = (pid: number, pgd: bigint): void => {
      if (pgd !== 0n && isWanted({ pid, pgd })) this.begin(pgd);
    };
    if (findSystem() !== undefined) for (const { pid, pgd } of getProcessList()) begin(pid, pgd);
    this.callbacks.addCallback(CallbackManager.CREATEPROC_CB, begin);
    this.callbacks.addCallback(CallbackManager.REMOVEPROC_CB, (_pid, pgd) => this.end(pgd));
  }

  /** Looks at an address space from now on; all others execute code without that. */
  begin(pgd: bigint): void {
    if (this.#monitored.has(pgd)) return;
    this.#monitored.add(pgd);
    startMonitoringProcess(pgd);
  }

  /** Looks at an address space no longer. */
  end(pgd: bigint): void {
    if (this.#monitored.delete(pgd)) stopMonitoringProcess(pgd);
  }

  #take(direction: Direction, cpuIndex: number): void {
    const bytes = this.#read(direction, "take", "records");
    for (let at = 0; at < bytes.byteLength; at += bytes.getUint32(at, true)) {
      this.onFound(this.#parse(direction, cpuIndex, bytes, at));
    }
  }

  #parse(direction: Direction, cpuIndex: number, bytes: DataView, at: number): FoundBytes {
    const [pgd, code] = [bytes.getBigUint64(at + 16, true), bytes.getBigUint64(at + 24, true)];
    const [before, behind] = [bytes.getUint16(at + 48, true), bytes.getUint16(at + 50, true)];
    const excerpt = new Uint8Array(bytes.buffer, bytes.byteOffset + at + HEADER, before + behind);
    return {
      direction,
      what: this.#describe(bytes.getUint16(at + 4, true), before),
      isInMemory: bytes.getUint8(at + 6) !== 0,
      timeNs: bytes.getBigUint64(at + 8, true),
      pgd,
      ...findName(pgd),
      code,
      place: findPlace(pgd, code),
      end: bytes.getBigUint64(at + 40, true),
      before: excerpt.slice(0, before),
      behind: excerpt.slice(before),
      stack: this.search.hasStacks ? findStack(cpuIndex) : [],
    };
  }

  #describe(pattern: number, keySize: number): string {
    if (pattern === AES_KEY) return keySize === 0 ? "AES key" : `AES-${keySize * 8} key`;
    return this.search.labels[pattern] ?? `pattern ${pattern}`;
  }

  #read(direction: Direction, call: string, variable: string): DataView {
    this.callbacks.callTriggerFunction(direction, call);
    const bytes = this.callbacks.getTriggerVar(direction, variable) as Uint8Array;
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

/** Writes a match as plain values of JSON: numbers of 64 bits and bytes in hexadecimal. */
export function describeFound(found: FoundBytes): Record<string, unknown> {
  const { before, behind, stack, timeNs, pgd, code, end, ...facts } = found;
  const hex = (value: bigint): string => `0x${value.toString(16)}`;
  const toText = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  const frames = stack.map(({ name, address }) => showPlace(name, address));
  return {
    ...{ timeNs: String(timeNs), ...facts, pgd: hex(pgd), code: hex(code), end: hex(end) },
    ...{ before: toText(before), behind: toText(behind), stack: frames },
  };
}

function findName(pgd: bigint): { readonly pid: number | undefined; readonly process: string } {
  const process = findSystem() === undefined ? undefined : findProcess(pgd);
  return { pid: process?.pid, process: process?.name ?? "" };
}

/** The kernel's own symbols and those of programs; a system that is not known has none. */
function findPlace(pgd: bigint, code: bigint): string {
  return showPlace(findSystem() === undefined ? undefined : vaToSym(pgd, code), code);
}

function findStack(cpuIndex: number): readonly BacktraceFrame[] {
  try {
    return backtrace(cpuIndex);
  } catch (error) {
    if (error instanceof AttachError) return [];
    throw error;
  }
}
