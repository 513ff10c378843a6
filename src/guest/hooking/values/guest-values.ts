import type { HookAccess } from "../hook-access";

const PAGE = 4096;
const LONGEST_TEXT = 1 << 20;
const LARGEST_READ = 1 << 26;
const LONGEST_ASCII = 128;

/** Reads a word of the guest; undefined when it is not in memory. */
export class WordReader {
  readonly #access: HookAccess;
  readonly #bytes = new Uint8Array(8);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #half = this.#bytes.subarray(0, 4);

  constructor(access: HookAccess) {
    this.#access = access;
  }

  read(pgd: bigint, address: bigint, size: number): bigint | undefined {
    if (size === 8) {
      return this.#access.read(pgd, address, this.#bytes) ? this.#view.getBigUint64(0, true) : undefined;
    }
    return this.#access.read(pgd, address, this.#half) ? BigInt(this.#view.getUint32(0, true)) : undefined;
  }
}

/**
 * Reads bytes.
 *
 * @param size in bytes, at most 64 MiB
 * @returns undefined when one of them is not in memory
 */
export function findBytes(access: HookAccess, pgd: bigint, address: bigint, size: number): Uint8Array | undefined {
  if (!Number.isInteger(size) || size < 0 || size > LARGEST_READ) {
    throw new RangeError(`size is ${size}: a whole number of bytes from 0 to ${LARGEST_READ}`);
  }
  const bytes = new Uint8Array(size);
  return access.read(pgd, address, bytes) ? bytes : undefined;
}

/**
 * Reads text as C has it, which ends with a zero byte.
 *
 * @param maxBytes at most so many bytes are read, up to 1 MiB; text that is longer is cut off
 * @returns the text, as UTF-8; undefined when it is not in memory up to its end
 */
export function findText(access: HookAccess, pgd: bigint, address: bigint, maxBytes: number): string | undefined {
  if (!Number.isInteger(maxBytes) || maxBytes < 0 || maxBytes > LONGEST_TEXT) {
    throw new RangeError(`maxBytes is ${maxBytes}: a whole number of bytes from 0 to ${LONGEST_TEXT}`);
  }
  let bytes = new Uint8Array(Math.min(maxBytes, 64));
  for (let size = 0; size < maxBytes;) {
    const at = BigInt.asUintN(64, address + BigInt(size));
    // Little at first, since most texts are short, and never beyond a page, since the next one need not be there.
    const room = Math.min(maxBytes - size, PAGE - Number(at & 0xfffn), size === 0 ? 64 : PAGE);
    if (bytes.length < size + room) {
      const larger = new Uint8Array(Math.max(2 * bytes.length, size + room));
      larger.set(bytes);
      bytes = larger;
    }
    if (!access.read(pgd, at, bytes.subarray(size, size + room))) return undefined;
    const end = bytes.subarray(0, size + room).indexOf(0, size);
    if (end >= 0) return access.decodeText(bytes.subarray(0, end));
    size += room;
  }
  return access.decodeText(bytes.subarray(0, maxBytes));
}

/** Makes a short text of ASCII, which most are: in the sandbox, a decoder takes many times as long. @returns undefined for another text */
export function decodeAscii(bytes: Uint8Array): string | undefined {
  if (bytes.length > LONGEST_ASCII) return undefined;
  let text = "";
  for (let at = 0; at < bytes.length; at++) {
    const code = bytes[at]!;
    if (code > 0x7f) return undefined;
    text += String.fromCharCode(code);
  }
  return text;
}
