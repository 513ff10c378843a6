import { CommandError } from "./command-error";
import { evaluate, type NameSource } from "./expression";

/** An address with the memory that it is of. */
export interface MemoryPlace {
  readonly isPhysical: boolean;
  readonly address: bigint;
}

/** A range of memory. */
export interface MemoryRange extends MemoryPlace {
  /** As given behind ":"; undefined when nothing was. */
  readonly size: bigint | undefined;
}

/** "p" in front of what can only be a number, a variable or a register. */
const PHYSICAL = /^p(?=(?:0x)?[0-9a-f]+(?![\w!.])|\\d\d|[$@])/i;

/** Reads an address: "p" in front of it makes it guest-physical. @throws CommandError */
export function parsePlace(text: string, names: NameSource): MemoryPlace {
  const isPhysical = PHYSICAL.test(text);
  return { isPhysical, address: evaluate(isPhysical ? text.slice(1) : text, names) };
}

/** Reads "ADDRESS" or "ADDRESS:SIZE". @throws CommandError */
export function parseRange(text: string, names: NameSource): MemoryRange {
  const [place, size, ...more] = text.split(":") as [string, string?, ...string[]];
  if (more.length > 0) throw new CommandError(`"${text}" has too many colons: it is ADDRESS or ADDRESS:SIZE`);
  return { ...parsePlace(place, names), size: size === undefined ? undefined : evaluate(size, names) };
}

/**
 * Gets the size of a range as a number.
 *
 * @param fallback when none was given
 * @param most the largest that makes sense
 * @throws CommandError when it is 0 or larger
 */
export function getSize(range: MemoryRange, fallback: number, most: number): number {
  if (range.size === undefined) return fallback;
  if (range.size === 0n || range.size > BigInt(most)) {
    throw new CommandError(`the size 0x${range.size.toString(16)} is out of range: from 1 to 0x${most.toString(16)}`);
  }
  return Number(range.size);
}
