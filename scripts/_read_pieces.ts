/** Reads at once what the arguments of a system call point to, where nothing has written it down. */
import { readVa } from "rebox";
import { ArgumentKind, escape, hex, type Piece } from "./_system_call_arguments";

const LONGEST_TEXT = 200;
const MOST_BYTES = 32;
const MOST_TEXTS = 16;
const PAGE = 4096;

/**
 * Reads what an argument points to.
 *
 * @param next the argument behind it, which counts its bytes
 * @returns undefined when it is not in memory at the moment
 */
export function readPieces(
  kind: ArgumentKind,
  value: bigint,
  next: bigint,
  pgd: bigint,
  bits: 32 | 64,
): readonly Piece[] | undefined {
  if (kind === ArgumentKind.Texts) return readTexts(value, pgd, bits);
  const text = kind === ArgumentKind.Text ? readText(value, pgd) : readBytes(value, next, pgd);
  return text === undefined ? undefined : [text];
}

/** The sixth argument of a program of 32 bits lies on its stack. */
export function readSixth(pgd: bigint, address: bigint): bigint {
  return BigInt(read(pgd, address, 4)?.readUInt32LE() ?? 0);
}

function readTexts(list: bigint, pgd: bigint, bits: 32 | 64): Piece[] | undefined {
  const texts: Piece[] = [];
  for (let index = 0; index < MOST_TEXTS; index++) {
    const bytes = read(pgd, list + BigInt((index * bits) / 8), bits / 8);
    if (bytes === undefined) return index === 0 ? undefined : [...texts, "..."];
    const address = bits === 64 ? bytes.readBigUInt64LE() : BigInt(bytes.readUInt32LE());
    if (address === 0n) return texts;
    texts.push(readText(address, pgd) ?? hex(address));
  }
  return [...texts, "..."];
}

function readText(address: bigint, pgd: bigint): Piece | undefined {
  const parts: Buffer[] = [];
  for (let size = 0; size < LONGEST_TEXT;) {
    const here = address + BigInt(size);
    const part = read(pgd, here, Math.min(LONGEST_TEXT - size, PAGE - Number(here & 0xfffn)));
    if (part === undefined) break;
    parts.push(part);
    size += part.length;
    if (part.includes(0)) break;
  }
  if (parts.length === 0) return undefined;
  const bytes = Buffer.concat(parts);
  const end = bytes.indexOf(0);
  return `"${escape(bytes.toString("latin1", 0, end < 0 ? bytes.length : end))}"${end < 0 ? "..." : ""}`;
}

function readBytes(address: bigint, size: bigint, pgd: bigint): Piece | undefined {
  const bytes = read(pgd, address, size < MOST_BYTES ? Number(size) : MOST_BYTES);
  return bytes && `"${escape(bytes.toString("latin1"))}"${size > MOST_BYTES ? "..." : ""}`;
}

function read(pgd: bigint, address: bigint, size: number): Buffer | undefined {
  try {
    return readVa(pgd, address, size);
  } catch {
    // Not mapped, or not in memory at the moment: the kernel will see to it.
    return undefined;
  }
}
