import { Engine } from "../engine/engine";

/** Longer text stands for its beginning, in bytes; the addon reads no more. */
const LONGEST_TEXT = 256;

/**
 * A set of numbers, or of pairs of them, that the addon asks before it calls a hook: the tasks of an analysis, the inodes of
 * files. Texts stand in it for their hashes, so two texts may very seldom be one.
 */
export class GuestSet {
  /** The addon's number of it. */
  readonly id = Engine.get().native.createGuestSet();

  /** Adds a number, or a pair. */
  add(first: bigint, second = 0n): void {
    Engine.get().native.addToGuestSet(this.id, first, second);
  }

  /** Adds a text. */
  addText(text: string): void {
    this.add(hashText(text));
  }

  /** Removes a number, or a pair. @returns whether it was there */
  delete(first: bigint, second = 0n): boolean {
    return Engine.get().native.removeFromGuestSet(this.id, first, second);
  }

  /** Whether it has a number, or a pair. */
  has(first: bigint, second = 0n): boolean {
    return Engine.get().native.hasInGuestSet(this.id, first, second);
  }

  /** How much is in it. */
  get size(): number {
    return Engine.get().native.countGuestSet(this.id);
  }

  /** Removes all. */
  clear(): void {
    Engine.get().native.clearGuestSet(this.id);
  }

  /** Gives it up: conditions that ask it find it empty. */
  dispose(): void {
    Engine.get().native.removeGuestSet(this.id);
  }
}

/** FNV-1a of 64 bits, as native/addon/guest_test.cc has it. */
function hashText(text: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text).subarray(0, LONGEST_TEXT)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash;
}
