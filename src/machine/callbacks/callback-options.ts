import { type EventFacts, EVENTS, FILTER_KEYS, listEventTypes } from "../engine/event-table";
import { ALL_PROCESSES } from "../state/processes";
import { type CallbackFilter, compileFilter, type NativeFilter } from "./callback-filter";
import type { CallbackOptions, CallbackType } from "./callback-types";

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

function takes(type: CallbackType, option: EventFacts["options"][number]): boolean {
  return (EVENTS[type] as EventFacts).options.includes(option);
}

function isOpcode(value: number | undefined): value is number {
  return Number.isInteger(value) && ((value! >= 0 && value! <= 0xff) || (value! >= 0x0f00 && value! <= 0x0fff));
}

function compilePlace(type: CallbackType, { addr, pgd }: CallbackOptions): Pick<Subscription, "hook" | "pgd"> {
  for (const [name, value] of Object.entries({ addr, pgd })) {
    if (value !== undefined && typeof value !== "bigint") {
      throw new TypeError(`${name} is a ${typeof value}: addresses are bigint, such as 0xffffffff81000000n`);
    }
  }
  if (takes(type, "addr")) {
    if (addr !== undefined) return { hook: { address: BigInt.asUintN(64, addr), pgd: pgd ?? ALL_PROCESSES } };
    if (pgd === undefined) return {};
    throw new TypeError("pgd narrows an addr down: give both, or monitor the process with startMonitoringProcess()");
  }
  if (takes(type, "pgd")) {
    if (addr !== undefined) throw new TypeError(`${type} takes no addr`);
    return { pgd };
  }
  if (addr !== undefined || pgd !== undefined) throw new TypeError(`${type} takes no addr and no pgd`);
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
  if (!isOpcode(startOpcode) || !isOpcode(endOpcode) || startOpcode > endOpcode) {
    throw new RangeError(
      `startOpcode ${startOpcode} and endOpcode ${endOpcode}: opcodes are 0 to 0xff or 0x0f00 to 0x0fff, in this order`,
    );
  }
  return { opcodes: { first: startOpcode, last: endOpcode } };
}

function compileFilterOf(type: CallbackType, filter: CallbackFilter): NativeFilter {
  const fitting = (EVENTS[type] as EventFacts).filter;
  if (fitting.length === 0) throw new TypeError(`${type} takes no filter`);
  const unfit = Object.keys(filter).find((key) => !fitting.includes(key));
  if (unfit !== undefined && fitting.length < FILTER_KEYS.length) {
    throw new TypeError(`${type} takes no filter.${unfit}: it takes ${fitting.join(", ")}`);
  }
  return compileFilter(filter);
}

/**
 * Checks that a type of callback exists and takes these options, and makes what the addon is given.
 *
 * @throws TypeError or RangeError that says what the type takes
 */
export function compileOptions(type: CallbackType, options: CallbackOptions): Subscription {
  if (!Object.hasOwn(EVENTS, type)) {
    throw new TypeError(`there is no callback type ${String(type)}: it is one of ${Object.keys(EVENTS).join(", ")}`);
  }
  const place = compilePlace(type, options);
  const filter = options.filter && compileFilterOf(type, options.filter);
  const opcodes = compileOpcodes(type, options);
  if (options.replay !== undefined && !takes(type, "replay")) {
    const those = listEventTypes(({ options: taken }) => taken.includes("replay"));
    throw new TypeError(`${type} takes no replay: only ${those.join(" and ")} tell what exists`);
  }
  return { type, filter, ...place, ...opcodes, replay: options.replay === true };
}
