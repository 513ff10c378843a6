import type { GuestPlace } from "../guest-files";
import { compileExpression } from "../../../systems/memory/search/text-pattern";
import { formatMode } from "./go-text";

/** The property of a file that a check looks at. */
export type CheckKind = "content" | "name" | "size" | "mode" | "mtime" | "md5" | "sha1" | "sha2" | "sha3";

export const CHECK_KINDS: readonly CheckKind[] = [
  ...(["name", "size", "mode", "mtime", "content"] as const),
  ...(["md5", "sha1", "sha2", "sha3"] as const),
];

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
const TIME_UNITS: Readonly<Record<string, number>> = { d: 86_400, h: 3_600, m: 60 };
const NS = 1_000_000_000n;

/** Node's names of the hashes that a number of hexadecimal digits stands for. */
const HASHES: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  md5: { 32: "md5" },
  sha1: { 40: "sha1" },
  sha2: { 64: "sha256", 96: "sha384", 128: "sha512" },
  sha3: { 56: "sha3-224", 64: "sha3-256", 96: "sha3-384", 128: "sha3-512" },
};

/** One thing that is asked of a file. */
export interface FileCheck {
  readonly kind: CheckKind;
  /** As it was asked for. */
  readonly value: string;
  /** The value began with "!". */
  readonly isInverse: boolean;
  /** The search names this kind among its mismatches. */
  readonly isMismatch: boolean;
  /** For names, modes and contents. */
  readonly pattern?: RegExp;
  /** Node's name of the hash, for hashes. */
  readonly algorithm?: string;
  /** Checks the facts of a file without its content; undefined for checks of contents and hashes. */
  readonly fits?: (place: GuestPlace) => boolean;
}

/** Decides whether a file is wanted: an inverse check and a mismatch each turn the answer around. */
export function isWanted({ isInverse, isMismatch }: FileCheck, isMatch: boolean): boolean {
  return (isMatch !== isInverse) !== isMismatch;
}

/**
 * Makes a check of what was asked for.
 *
 * @param nowNs the guest's time, since 1970
 * @throws Error that says what is wrong with the value
 */
export function makeCheck(kind: CheckKind, value: string, isMismatch: boolean, nowNs: bigint): FileCheck {
  if (value.length === 0) throw new Error(`an empty ${kind} is not permitted`);
  const plain = { kind, value, isInverse: false, isMismatch };
  switch (kind) {
    case "size": {
      const [smallest, largest] = parseSize(value);
      return { ...plain, fits: ({ facts: { size } }) => size >= smallest && size <= largest };
    }
    case "mtime": {
      const [earliest, latest] = parseMtime(value, nowNs);
      return { ...plain, fits: ({ facts: { modifiedNs } }) => modifiedNs > earliest && modifiedNs < latest };
    }
    case "mode": {
      const pattern = compile(value);
      return { ...plain, pattern, fits: ({ facts: { mode } }) => pattern.test(formatMode(mode)) };
    }
    case "name": {
      const [pattern, isInverse] = parseInverse(value);
      return { ...plain, isInverse, pattern, fits: ({ path }) => pattern.test(path.slice(path.lastIndexOf("/") + 1)) };
    }
    case "content": {
      const [pattern, isInverse] = parseInverse(value);
      return { ...plain, isInverse, pattern };
    }
    default: {
      const algorithm = HASHES[kind]?.[value.length];
      if (algorithm === undefined || !/^[0-9a-f]+$/i.test(value)) {
        const lengths = Object.keys(HASHES[kind] ?? {}).join(", ");
        throw new Error(`${JSON.stringify(value)} is no ${kind}: one has ${lengths} hexadecimal digits`);
      }
      return { ...plain, algorithm };
    }
  }
}

function parseInverse(value: string): [RegExp, boolean] {
  const isInverse = value.length > 1 && value.startsWith("!");
  return [compile(isInverse ? value.slice(1) : value), isInverse];
}

function compile(text: string): RegExp {
  try {
    return compileExpression(text);
  } catch (error) {
    throw new Error(`${JSON.stringify(text)} is no regular expression: ${(error as Error).message}`, { cause: error });
  }
}

/** @returns the smallest and the largest size that are wanted, in bytes */
function parseSize(value: string): [number, number] {
  const [, sign, digits, unit = ""] = /^([<>]?)([0-9]+)([kmgt]?)$/.exec(value) ?? [];
  if (digits === undefined) {
    throw new Error(
      `${JSON.stringify(value)} is no size: write <10m, >1g or 1024, with k, m, g or t for units of 1024`,
    );
  }
  const size = Number(digits) * (UNITS[unit] as number);
  if (sign === "<") return [0, size];
  return sign === ">" ? [size, Infinity] : [size, size];
}

/** @returns between which times a file has to be changed, in nanoseconds since 1970 */
function parseMtime(value: string, nowNs: bigint): [bigint, bigint] {
  const [, sign, digits, unit = ""] = /^([<>])([0-9]+)([dhm])$/.exec(value) ?? [];
  if (digits === undefined) {
    throw new Error(`${JSON.stringify(value)} is no age: write <90d for what was changed within 90 days, >12h, >30m`);
  }
  const border = nowNs - BigInt(digits) * BigInt(TIME_UNITS[unit] as number) * NS;
  // Far beyond what a file system can say.
  const end = 1n << 80n;
  return sign === "<" ? [border, end] : [-end, border];
}
