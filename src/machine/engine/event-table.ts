/**
 * The one table of events. The numbers, the columns of streams and the checks of options follow from it by type; a test
 * compares the C side, the callbacks' functions and the documents with it, and names what is missing.
 */

/** The columns of a batch of a stream. */
export const STREAM_COLUMNS = ["cpu", "pc", "pgd", "address", "physical", "data", "number", "size"] as const;

/** All columns that a stream can have. */
export type StreamColumn = (typeof STREAM_COLUMNS)[number];

/** The members of a filter, which narrows an event down before any script runs. */
// prettier-ignore
export const FILTER_KEYS = [
  "pc", "address", "physical", "size", "value", "mode", "pgd", "firstPerPage", "every", "hits",
] as const;

/** The members of a filter for an event that no instruction causes. */
const GUEST_FILTER = ["pgd", "every", "hits"] as const;

/** One type of event, as the table has it. */
export interface EventFacts {
  /** Its number: in the order of rebox_event in native/qemu/qemu_glue.h, then of GuestEvent in native/addon/event_kind.h. */
  readonly kind: number;
  /** Its name in that enumeration. */
  readonly native: string;
  /** Its page in docs/reference/callbacks. */
  readonly page: string;
  /** The names of the arguments of its callback, in order. */
  readonly arguments: readonly string[];
  /** The options that it takes beside name and filter. */
  readonly options: readonly ("addr" | "pgd" | "opcodes" | "replay")[];
  /** The members that its filter may have; empty: it takes no filter. */
  readonly filter: readonly string[];
  /** The columns that a stream of it fills unless others are asked for; undefined when it cannot be streamed. */
  readonly columns?: readonly StreamColumn[];
  /** It is about the guest's system, and raised by who knows that. */
  readonly ofGuest?: true;
}

/** Every type of event by its name, in the order of the numbers. */
export const EVENTS = {
  BLOCK_BEGIN_CB: {
    kind: 0,
    native: "REBOX_BLOCK_BEGIN",
    page: "block-begin",
    arguments: ["cpuIndex", "cpu", "tb"],
    options: ["addr", "pgd"],
    filter: FILTER_KEYS,
    columns: ["cpu", "pc", "pgd", "number", "size"],
  },
  BLOCK_END_CB: {
    kind: 1,
    native: "REBOX_BLOCK_END",
    page: "block-end",
    arguments: ["cpuIndex", "cpu", "tb", "curPc", "nextPc"],
    options: [],
    filter: FILTER_KEYS,
  },
  INSN_BEGIN_CB: {
    kind: 2,
    native: "REBOX_INSN_BEGIN",
    page: "insn-begin",
    arguments: ["cpuIndex", "cpu"],
    options: ["addr", "pgd"],
    filter: FILTER_KEYS,
    columns: ["cpu", "pc", "pgd", "number", "size"],
  },
  INSN_END_CB: {
    kind: 3,
    native: "REBOX_INSN_END",
    page: "insn-end",
    arguments: ["cpuIndex", "cpu"],
    options: [],
    filter: FILTER_KEYS,
  },
  MEM_READ_CB: {
    kind: 4,
    native: "REBOX_MEM_READ",
    page: "mem-read",
    arguments: ["cpuIndex", "vaddr", "size", "paddr"],
    options: [],
    filter: FILTER_KEYS,
    columns: ["cpu", "pc", "pgd", "address", "data", "number", "size"],
  },
  MEM_WRITE_CB: {
    kind: 5,
    native: "REBOX_MEM_WRITE",
    page: "mem-write",
    arguments: ["cpuIndex", "vaddr", "size", "paddr", "data"],
    options: [],
    filter: FILTER_KEYS,
    columns: ["cpu", "pc", "pgd", "address", "data", "number", "size"],
  },
  OPCODE_RANGE_CB: {
    kind: 6,
    native: "REBOX_OPCODE_RANGE",
    page: "opcode-range",
    arguments: ["cpuIndex", "cpu", "pc", "nextPc", "insnSize"],
    options: ["opcodes"],
    filter: FILTER_KEYS,
    columns: ["cpu", "pc", "pgd", "data", "number"],
  },
  TLB_EXEC_CB: {
    kind: 7,
    native: "REBOX_TLB_EXEC",
    page: "tlb-exec",
    arguments: ["cpu", "vaddr"],
    options: [],
    filter: FILTER_KEYS,
    columns: ["cpu", "pc", "pgd", "address", "number"],
  },
  CONTEXTCHANGE_CB: {
    kind: 8,
    native: "REBOX_CONTEXT_CHANGE",
    page: "context-change",
    arguments: ["oldPgd", "newPgd", "cpuIndex"],
    options: [],
    filter: FILTER_KEYS,
    columns: ["cpu", "pc", "pgd", "data", "number"],
  },
  KEYSTROKE_CB: {
    kind: 9,
    native: "REBOX_KEYSTROKE",
    page: "keystroke",
    arguments: ["keycode"],
    options: [],
    filter: [],
  },
  NIC_REC_CB: {
    kind: 10,
    native: "REBOX_NIC_REC",
    page: "nic-receive",
    arguments: ["buf", "size", "curPos", "start", "stop"],
    options: [],
    filter: [],
  },
  NIC_SEND_CB: {
    kind: 11,
    native: "REBOX_NIC_SEND",
    page: "nic-send",
    arguments: ["addr", "size", "buf"],
    options: [],
    filter: [],
  },
  CPUID_CB: {
    kind: 12,
    native: "REBOX_CPUID",
    page: "cpuid",
    arguments: ["cpuIndex", "cpu", "leaf", "subleaf"],
    options: [],
    filter: FILTER_KEYS,
    columns: ["cpu", "pc", "pgd", "data", "number"],
  },
  CREATEPROC_CB: {
    kind: 13,
    native: "kCreateProcess",
    page: "create-process",
    arguments: ["pid", "pgd", "name"],
    options: ["replay"],
    filter: GUEST_FILTER,
    ofGuest: true,
  },
  REMOVEPROC_CB: {
    kind: 14,
    native: "kRemoveProcess",
    page: "remove-process",
    arguments: ["pid", "pgd", "name"],
    options: [],
    filter: GUEST_FILTER,
    ofGuest: true,
  },
  LOADMODULE_CB: {
    kind: 15,
    native: "kLoadModule",
    page: "load-module",
    arguments: ["pid", "pgd", "base", "size", "name", "fullname"],
    options: ["pgd", "replay"],
    filter: GUEST_FILTER,
    ofGuest: true,
  },
  REMOVEMODULE_CB: {
    kind: 16,
    native: "kRemoveModule",
    page: "remove-module",
    arguments: ["pid", "pgd", "base", "size", "name", "fullname"],
    options: ["pgd"],
    filter: GUEST_FILTER,
    ofGuest: true,
  },
  EXEC_CB: {
    kind: 17,
    native: "kExecute",
    page: "exec",
    arguments: ["pid", "pgd", "name", "path", "argv", "envp"],
    options: [],
    filter: GUEST_FILTER,
    ofGuest: true,
  },
} as const satisfies Record<string, EventFacts>;

/** The types of events, by their names. */
export type EventType = keyof typeof EVENTS;

/** The addon's number of a type of event. */
export type EventKind = (typeof EVENTS)[EventType]["kind"];

/** The type of a callback whose events can be streamed. */
export type StreamType = {
  [Type in EventType]: (typeof EVENTS)[Type] extends { readonly columns: unknown } ? Type : never;
}[EventType];

/** The types about the guest's system. */
export type GuestEventType = {
  [Type in EventType]: (typeof EVENTS)[Type] extends { readonly ofGuest: true } ? Type : never;
}[EventType];

/** Lists the types of events that a condition holds for, in the order of their numbers. */
export function listEventTypes(condition: (event: EventFacts) => boolean): EventType[] {
  return (Object.keys(EVENTS) as EventType[]).filter((type) => condition(EVENTS[type]));
}
