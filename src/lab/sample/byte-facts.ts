/** Bits of a byte that is as likely as any other. */
const MOST_BITS = 8;

/**
 * Computes the entropy of bytes (Shannon): 0 when all are the same, 8 when each is as frequent as any other, as in what is
 * compressed or encrypted.
 */
export function computeEntropy(bytes: Uint8Array): number {
  const counts = new Uint32Array(1 << MOST_BITS);
  for (const byte of bytes) counts[byte]!++;
  const sum = counts.reduce((total, count) => {
    return count === 0 ? total : total - (count / bytes.length) * Math.log2(count / bytes.length);
  }, 0);
  return Math.round(sum * 1000) / 1000;
}

/** Text in a file. */
export interface FoundStrings {
  /** The number of all. */
  readonly count: number;
  /** The first ones; a longer one is cut off. */
  readonly first: readonly string[];
}

/** Which strings are listed. */
export interface StringLimits {
  readonly shortest: number;
  readonly longest: number;
  readonly most: number;
}

/** Lists the runs of printable ASCII characters, as strings(1) does. */
export function listStrings(bytes: Uint8Array, { shortest, longest, most }: StringLimits): FoundStrings {
  const first: string[] = [];
  let count = 0;
  let start = 0;
  for (let at = 0; at <= bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if ((byte >= 0x20 && byte < 0x7f) || byte === 9) continue;
    if (at - start >= shortest) {
      count++;
      const text = () => Buffer.from(bytes.buffer, bytes.byteOffset + start, Math.min(at - start, longest));
      if (first.length < most) first.push(text().toString("latin1"));
    }
    start = at + 1;
  }
  return { count, first };
}
