import { type EventFacts, EVENTS, listEventTypes } from "../engine/event-table";
import { ALL_PROCESSES } from "../state/processes";
import { compileFilter, type NativeFilter } from "./callback-filter";
import type { CallbackOptions, CallbackType, StreamOptions } from "./callback-types";
import { STREAM_TYPES, type StreamType } from "./event-batch";
import { checkFlag, checkMembers, showValue, toAddress } from "./option-checks";

/** What a callback or a stream listens to, checked and as the addon takes it. */
export interface Subscription {
  readonly type: CallbackType;
  readonly filter: NativeFilter | undefined;
  /** Only blocks or instructions that begin at this address, in this address space or in any. */
  readonly hook?: { readonly address: bigint; readonly pgd: bigint };
  /** Only these opcodes, both included. */
  readonly opcodes?: { readonly first: number; readonly last: number };
  /** Only modules of this process. */
  readonly pgd?: bigint | undefined;
  /** The callback is first called for what exists. */
  readonly replay: boolean;
}

const CALLBACK_OPTIONS = ["name", "addr", "address", "pgd", "startOpcode", "endOpcode", "filter", "replay"] as const;
const STREAM_OPTIONS = ["name", "startOpcode", "endOpcode", "filter", "capacity", "columns", "onFull"] as const;

function takes(type: CallbackType, option: EventFacts["options"][number]): boolean {
  return (EVENTS[type] as EventFacts).options.includes(option);
}

function isOpcode(value: unknown): value is number {
  const opcode = Number.isInteger(value) ? (value as number) : -1;
  return (opcode >= 0 && opcode <= 0xff) || (opcode >= 0x0f00 && opcode <= 0x0fff);
}

function compilePlace(type: CallbackType, options: CallbackOptions): Pick<Subscription, "hook" | "pgd"> {
  const { addr: short, address: long } = options;
  if (short !== undefined && long !== undefined) {
    throw new TypeError("addr and address are two names of one option: give one of them");
  }
  const addr = short === undefined ? long : short;
  const given = addr === undefined ? undefined : toAddress(short === undefined ? "address" : "addr", addr);
  const pgd = options.pgd === undefined ? undefined : toAddress("pgd", options.pgd);
  if (takes(type, "addr")) {
    if (given !== undefined) return { hook: { address: given, pgd: pgd ?? ALL_PROCESSES } };
    if (pgd === undefined) return {};
    throw new TypeError("pgd narrows an addr down: give both, or monitor the process with startMonitoringProcess()");
  }
  if (takes(type, "pgd")) {
    if (given !== undefined) throw new TypeError(`${type} takes no addr`);
    return { pgd: pgd === ALL_PROCESSES ? undefined : pgd };
  }
  if (given !== undefined || pgd !== undefined) throw new TypeError(`${type} takes no addr and no pgd`);
  return {};
}

function compileOpcodes(
  type: CallbackType,
  { startOpcode, endOpcode }: CallbackOptions,
): Pick<Subscription, "opcodes"> {
  if (!takes(type, "opcodes")) {
    if (startOpcode === undefined && endOpcode === undefined) return {};
    throw new TypeError(`${type} takes no startOpcode and no endOpcode`);
  }
  for (const [name, value] of Object.entries({ startOpcode, endOpcode })) {
    if (value !== undefined && typeof value !== "number") {
      throw new TypeError(`${name} is ${showValue(value)}: opcodes are numbers, such as 0xe8`);
    }
  }
  if (!isOpcode(startOpcode) || !isOpcode(endOpcode) || startOpcode > endOpcode) {
    throw new RangeError(
      `startOpcode ${startOpcode} and endOpcode ${endOpcode}: opcodes are 0 to 0xff or 0x0f00 to 0x0fff, in this order`,
    );
  }
  return { opcodes: { first: startOpcode, last: endOpcode } };
}

function checkName(name: unknown): void {
  if (name === undefined || (typeof name === "string" && name !== "")) return;
  throw new TypeError(`name is ${showValue(name)}: the name of a callback is text`);
}

function checkReplay(type: CallbackType, replay: unknown): void {
  checkFlag("replay", replay);
  if (replay === undefined || takes(type, "replay")) return;
  const those = listEventTypes(({ options: taken }) => taken.includes("replay"));
  throw new TypeError(`${type} takes no replay: only ${those.join(" and ")} tell what exists`);
}

/**
 * Checks that a type of callback exists and takes these options, and makes what the addon is given.
 *
 * @param options as a script gave them: anything
 * @throws TypeError or RangeError that says what the type takes, and names the known name that is nearest to an unknown one
 */
export function compileOptions(type: CallbackType, options: CallbackOptions): Subscription {
  return compile(type, options, CALLBACK_OPTIONS);
}

/**
 * Checks the options of a stream of events, as compileOptions() does those of a callback. Its batch is checked where it is made.
 *
 * @throws TypeError or RangeError
 */
export function compileStreamOptions(type: StreamType, options: StreamOptions): Subscription {
  if (!STREAM_TYPES.includes(type)) {
    throw new TypeError(`${showValue(type)} cannot be streamed: it is one of ${STREAM_TYPES.join(", ")}`);
  }
  const subscription = compile(type, options, STREAM_OPTIONS);
  if (options.onFull !== undefined && options.onFull !== "wait" && options.onFull !== "drop") {
    throw new TypeError(`onFull is ${showValue(options.onFull)}: "wait" or "drop"`);
  }
  return subscription;
}

function compile(type: CallbackType, options: CallbackOptions, known: readonly string[]): Subscription {
  if (typeof type !== "string" || !Object.hasOwn(EVENTS, type)) {
    throw new TypeError(`there is no callback type ${showValue(type)}: it is one of ${Object.keys(EVENTS).join(", ")}`);
  }
  checkMembers(`the options of ${type}`, options, known);
  checkName(options.name);
  const place = compilePlace(type, options);
  const filter = options.filter === undefined ? undefined : compileFilter(type, options.filter);
  const opcodes = compileOpcodes(type, options);
  checkReplay(type, options.replay);
  return { type, filter, ...place, ...opcodes, replay: options.replay === true };
}
