/** Reads what arguments of system calls point to, while the call is made. */
import { readVa } from "rebox";
import { ArgumentKind, escape, hex, type Piece } from "../../../../scripts/parts/system_call_arguments";

const LONGEST_TEXT = 200;
const MOST_BYTES = 32;
const MOST_TEXTS = 16;
const PAGE = 4096;

/**
 * Reads what an argument points to.
 *
 * @param count what the next argument says, for bytes
 * @param bits of the program
 * @returns undefined for what points to nothing, and for what is not in memory
 */
export function readPieces(
  kind: ArgumentKind,
  address: bigint,
  count: bigint,
  pgd: bigint,
  bits: 32 | 64,
): readonly Piece[] | undefined {
  if (kind === ArgumentKind.Value || address === 0n) return undefined;
  if (kind === ArgumentKind.Texts) return readTexts(pgd, address, bits);
  const piece = kind === ArgumentKind.Text ? readText(pgd, address) : readBytes(pgd, address, count);
  return piece === undefined ? undefined : [piece];
}

function readText(pgd: bigint, address: bigint): Piece | undefined {
  const bytes = read(pgd, address, LONGEST_TEXT, (part) => part.includes(0));
  if (bytes === undefined) return undefined;
  const end = bytes.indexOf(0);
  return quote(bytes.subarray(0, end < 0 ? bytes.length : end), end < 0);
}

function readBytes(pgd: bigint, address: bigint, count: bigint): Piece | undefined {
  const bytes = read(pgd, address, Number(count < MOST_BYTES ? count : MOST_BYTES), () => false);
  return bytes && quote(bytes, count > bytes.length);
}

/** Reads a list of addresses of text that ends with 0, such as argv. */
function readTexts(pgd: bigint, address: bigint, bits: 32 | 64): readonly Piece[] | undefined {
  const pieces: Piece[] = [];
  for (let index = 0; index < MOST_TEXTS; index++) {
    const bytes = read(pgd, address + BigInt((index * bits) / 8), bits / 8, () => false);
    if (bytes?.length !== bits / 8) return index === 0 ? undefined : [...pieces, "..."];
    const text = bits === 64 ? bytes.readBigUInt64LE() : BigInt(bytes.readUInt32LE());
    if (text === 0n) return pieces;
    pieces.push(readText(pgd, text) ?? hex(text));
  }
  return [...pieces, "..."];
}

/** Reads what is mapped, a page at a time; undefined when there is nothing at all. */
function read(pgd: bigint, address: bigint, size: number, isEnough: (part: Buffer) => boolean): Buffer | undefined {
  const parts: Buffer[] = [];
  let at = address;
  for (let left = size; left > 0;) {
    let part: Buffer;
    try {
      part = readVa(pgd, at, Math.min(left, PAGE - Number(at & 0xfffn)));
    } catch {
      // Not in memory at the moment: the kernel will see to it.
      break;
    }
    parts.push(part);
    if (isEnough(part)) break;
    left -= part.length;
    at += BigInt(part.length);
  }
  return parts.length === 0 && size > 0 ? undefined : Buffer.concat(parts);
}

function quote(bytes: Buffer, isCut: boolean): Piece {
  return `"${escape(bytes.toString("latin1"))}"${isCut ? "..." : ""}`;
}

/** The sixth argument of a program of 32 bits lies on its stack. */
export function readSixth(pgd: bigint, address: bigint): bigint {
  const bytes = read(pgd, address, 4, () => false);
  return bytes?.length === 4 ? BigInt(bytes.readUInt32LE()) : 0n;
}
