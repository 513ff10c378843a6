import { type EventFacts, EVENTS, type EventType, FILTER_KEYS } from "../engine/event-table";
import { ALL_PROCESSES } from "../state/processes";
import { checkFlag, checkMembers, showValue, toAddress, toList } from "./option-checks";

/** From an address up to, and without, another one. */
export interface AddressRange {
  readonly from: bigint;
  readonly to: bigint;
}

/** A comparison of the value of a memory event: exactly one of the four. */
export interface ValueFilter {
  readonly equals?: bigint;
  readonly notEquals?: bigint;
  readonly below?: bigint;
  readonly above?: bigint;
  /** Taken off the value before the comparison; all 64 bits by default. */
  readonly mask?: bigint;
}

/**
 * Selects the events that reach the script. Decided natively, before any call; everything that is given must hold.
 *
 * It narrows down what the callback would get anyway: of monitored processes only, unless it has an addr.
 */
export interface CallbackFilter {
  /** The program counter is in one of these. */
  readonly pc?: AddressRange | readonly AddressRange[];
  /** The virtual address of the access, or of the TLB fill, is in one of these; for code the same as pc. */
  readonly address?: AddressRange | readonly AddressRange[];
  /** The guest-physical address of the access is in one of these. */
  readonly physical?: AddressRange | readonly AddressRange[];
  /** The size of the access, or of the block, in bytes, is one of these. */
  readonly size?: number | readonly number[];
  /** The value that was written or read, at most its low 64 bits. */
  readonly value?: ValueFilter;
  /** The vCPU executes at privilege level 0 ("kernel") or not. */
  readonly mode?: "user" | "kernel";
  /** The address space is one of these; ALL_PROCESSES among them: it may be any. */
  readonly pgd?: bigint | readonly bigint[];
  /** Only the first event in each page of 4 KiB, by its address. */
  readonly firstPerPage?: boolean;
  /** Only each n-th of the events that pass all of the above. */
  readonly every?: number;
  /** Only the first n events, then none. */
  readonly hits?: number;
}

const COMPARISONS = ["equals", "notEquals", "below", "above"] as const;

/** A filter as the addon reads it. */
export interface NativeFilter {
  pc?: BigUint64Array;
  address?: BigUint64Array;
  physical?: BigUint64Array;
  size?: BigUint64Array;
  pgd?: BigUint64Array;
  comparison?: number;
  value?: bigint;
  mask?: bigint;
  mode?: number;
  firstPerPage?: number;
  every?: number;
  hits?: number;
}

/** One past the last address that a range may have: the addon keeps both ends in 64 bits. */
const LARGEST_END = (1n << 64n) - 1n;

function toRange(what: string, value: unknown): [from: bigint, to: bigint] {
  checkMembers(what, value, ["from", "to"]);
  const { from, to } = value as AddressRange;
  if (typeof from !== "bigint" || typeof to !== "bigint") {
    throw new TypeError(`${what} is ${showValue(value)}: from and to are bigint`);
  }
  if (from < 0n || from >= to || to > LARGEST_END) {
    throw new RangeError(`${what} is ${showValue(value)}: from lies below to, and to is at most 0xffffffffffffffffn`);
  }
  return [from, to];
}

function toCount(what: string, value: unknown): number {
  if (typeof value !== "number") throw new TypeError(`${what} is ${showValue(value)}: a whole number from 1`);
  if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`${what} is ${value}: a whole number from 1`);
  return value;
}

function toComparison(value: unknown): Pick<NativeFilter, "comparison" | "value" | "mask"> {
  checkMembers("filter.value", value, [...COMPARISONS, "mask"]);
  const { mask, ...compared } = value as ValueFilter;
  const [name, ...others] = COMPARISONS.filter((candidate) => compared[candidate] !== undefined);
  if (name === undefined || others.length > 0) {
    throw new TypeError(`filter.value needs exactly one of ${COMPARISONS.join(", ")}`);
  }
  return {
    comparison: COMPARISONS.indexOf(name) + 1,
    value: toAddress(`filter.value.${name}`, compared[name]),
    ...(mask === undefined ? {} : { mask: toAddress("filter.value.mask", mask) }),
  };
}

/** Every process is no restriction. */
function toPgds(value: unknown): Pick<NativeFilter, "pgd"> {
  const pgds = toList("filter.pgd", value, toAddress);
  return pgds.includes(ALL_PROCESSES) ? {} : { pgd: BigUint64Array.from(pgds) };
}

function checkNames(type: EventType, filter: unknown): void {
  const fitting = (EVENTS[type] as EventFacts).filter;
  if (fitting.length === 0) throw new TypeError(`${type} takes no filter`);
  checkMembers("filter", filter, FILTER_KEYS);
  const unfit = Object.keys(filter as object).find((key) => !fitting.includes(key));
  if (unfit !== undefined) throw new TypeError(`${type} takes no filter.${unfit}: it takes ${fitting.join(", ")}`);
}

/**
 * Checks a filter and makes what the addon reads.
 *
 * @param filter as a script gave it: anything
 * @throws TypeError or RangeError that names the member
 */
export function compileFilter(type: EventType, filter: CallbackFilter): NativeFilter {
  checkNames(type, filter);
  if (filter.mode !== undefined && filter.mode !== "user" && filter.mode !== "kernel") {
    throw new TypeError(`filter.mode is ${showValue(filter.mode)}: "user" or "kernel"`);
  }
  checkFlag("filter.firstPerPage", filter.firstPerPage);
  const compiled: NativeFilter = filter.value === undefined ? {} : toComparison(filter.value);
  for (const name of ["pc", "address", "physical"] as const) {
    const ranges = filter[name];
    if (ranges !== undefined) compiled[name] = BigUint64Array.from(toList(`filter.${name}`, ranges, toRange).flat());
  }
  if (filter.size !== undefined) {
    compiled.size = BigUint64Array.from(toList("filter.size", filter.size, toCount).map((size) => BigInt(size)));
  }
  if (filter.pgd !== undefined) Object.assign(compiled, toPgds(filter.pgd));
  if (filter.mode !== undefined) compiled.mode = filter.mode === "kernel" ? 2 : 1;
  if (filter.firstPerPage) compiled.firstPerPage = 1;
  if (filter.every !== undefined) compiled.every = toCount("filter.every", filter.every);
  if (filter.hits !== undefined) compiled.hits = toCount("filter.hits", filter.hits);
  return compiled;
}
