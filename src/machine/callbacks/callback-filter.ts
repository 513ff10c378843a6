import { FILTER_KEYS } from "../engine/event-table";

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
  /** The address space is one of these. */
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

function toRanges(name: string, value: AddressRange | readonly AddressRange[]): BigUint64Array {
  const ranges = Array.isArray(value) ? (value as readonly AddressRange[]) : [value as AddressRange];
  for (const range of ranges) {
    if (typeof range.from !== "bigint" || typeof range.to !== "bigint" || range.from >= range.to || range.from < 0n) {
      throw new RangeError(`filter.${name}: {from: ${range.from}, to: ${range.to}} must be bigint, from below to`);
    }
  }
  return BigUint64Array.from(ranges.flatMap(({ from, to }) => [from, to]));
}

function toCount(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`filter.${name} is ${value}: a whole number from 1`);
  }
  return value;
}

function toComparison(value: ValueFilter): Pick<NativeFilter, "comparison" | "value" | "mask"> {
  const given = COMPARISONS.filter((name) => value[name] !== undefined);
  const [name] = given;
  if (given.length !== 1 || name === undefined) {
    throw new TypeError(`filter.value needs exactly one of ${COMPARISONS.join(", ")}`);
  }
  const compared = value[name];
  if (typeof compared !== "bigint" || (value.mask !== undefined && typeof value.mask !== "bigint")) {
    throw new TypeError("filter.value compares bigint");
  }
  return {
    comparison: COMPARISONS.indexOf(name) + 1,
    value: BigInt.asUintN(64, compared),
    ...(value.mask === undefined ? {} : { mask: BigInt.asUintN(64, value.mask) }),
  };
}

/**
 * Checks a filter and makes what the addon reads.
 *
 * @throws TypeError or RangeError that names the member
 */
export function compileFilter(filter: CallbackFilter): NativeFilter {
  for (const key of Object.keys(filter)) {
    if (!(FILTER_KEYS as readonly string[]).includes(key)) {
      throw new TypeError(`filter.${key} is unknown: a filter has ${FILTER_KEYS.join(", ")}`);
    }
  }
  if (filter.mode !== undefined && filter.mode !== "user" && filter.mode !== "kernel") {
    throw new TypeError(`filter.mode is ${String(filter.mode)}: "user" or "kernel"`);
  }
  const compiled: NativeFilter = filter.value === undefined ? {} : toComparison(filter.value);
  for (const name of ["pc", "address", "physical"] as const) {
    const ranges = filter[name];
    if (ranges !== undefined) compiled[name] = toRanges(name, ranges);
  }
  if (filter.size !== undefined) {
    compiled.size = BigUint64Array.from([filter.size].flat().map((size) => BigInt(toCount("size", size))));
  }
  if (filter.pgd !== undefined) compiled.pgd = BigUint64Array.from([filter.pgd].flat());
  if (filter.mode !== undefined) compiled.mode = filter.mode === "kernel" ? 2 : 1;
  if (filter.firstPerPage) compiled.firstPerPage = 1;
  if (filter.every !== undefined) compiled.every = toCount("every", filter.every);
  if (filter.hits !== undefined) compiled.hits = toCount("hits", filter.hits);
  return compiled;
}
