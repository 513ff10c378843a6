/** Reads the words behind a script's command, with numbers as the shell has them: one rule for all scripts. */

/** Cuts a line into its words. */
export function splitWords(line: string): string[] {
  return line.split(/\s+/).filter((word) => word !== "");
}

/**
 * Reads a number as the shell does: hexadecimal with or without 0x, or decimal behind \d, such as "1f", "0x1f" and "\d31".
 *
 * @param word undefined when the line ended before it
 * @param what the name of the number in errors: "the first address"
 * @returns 0 to 2^64 - 1
 * @throws Error that says what is missing or wrong
 */
export function readNumber(word: string | undefined, what: string): bigint {
  if (word === undefined) throw new Error(`${what} is missing`);
  const [, decimal, hex] = /^(?:\\d(\d+)|(?:0x)?([\da-f]+))$/i.exec(word) ?? [];
  const value = decimal !== undefined ? BigInt(decimal) : hex !== undefined ? BigInt(`0x${hex}`) : undefined;
  if (value === undefined) throw new Error(`${what} is a number, in hexadecimal or as \\d31 in decimal, not "${word}"`);
  if (value > 0xffff_ffff_ffff_ffffn) throw new Error(`${what} has more than 64 bits: ${word}`);
  return value;
}

/**
 * Reads a range of addresses: two words.
 *
 * @returns the first address, and the one behind the last
 * @throws Error for a range that holds nothing, and as readNumber() does
 */
export function readRange(words: readonly string[]): [from: bigint, to: bigint] {
  const from = readNumber(words[0], "the first address");
  const to = readNumber(words[1], "the address behind the last");
  if (to <= from) throw new Error(`the range from ${words[0]} to ${words[1]} is empty`);
  return [from, to];
}
