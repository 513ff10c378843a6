import { PdbError } from "../../errors";

/** Numbers that follow a leaf below this are the number itself (CodeView, LF_NUMERIC). */
const LF_NUMERIC = 0x8000;
const LF_CHAR = 0x8000;
const LF_SHORT = 0x8001;
const LF_USHORT = 0x8002;
const LF_LONG = 0x8003;
const LF_ULONG = 0x8004;
const LF_QUADWORD = 0x8009;
const LF_UQUADWORD = 0x800a;

/** A number of a record that may be short or long, and where what follows it begins. */
export interface LeafNumber {
  readonly value: bigint;
  readonly end: number;
}

/** A part of a PDB file, little-endian. Whatever lies outside of it is an error that names the part. */
export class PdbBytes {
  readonly size: number;
  readonly #view: DataView;

  /**
   * @param bytes kept, and must not change
   * @param what for messages: "the type stream"
   */
  constructor(
    readonly bytes: Uint8Array,
    readonly what: string,
  ) {
    this.size = bytes.length;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** @throws PdbError */
  u8(at: number): number {
    this.#check(at, 1);
    return this.#view.getUint8(at);
  }

  /** @throws PdbError */
  u16(at: number): number {
    this.#check(at, 2);
    return this.#view.getUint16(at, true);
  }

  /** @throws PdbError */
  u32(at: number): number {
    this.#check(at, 4);
    return this.#view.getUint32(at, true);
  }

  /** Reads a number of up to 8 bytes that is led by its kind, where it is larger than 0x7fff. @throws PdbError */
  leafNumber(at: number): LeafNumber {
    const kind = this.u16(at);
    const start = at + 2;
    if (kind < LF_NUMERIC) return { value: BigInt(kind), end: start };
    switch (kind) {
      case LF_CHAR:
        return { value: BigInt((this.u8(start) << 24) >> 24), end: start + 1 };
      case LF_SHORT:
        return { value: BigInt((this.u16(start) << 16) >> 16), end: start + 2 };
      case LF_USHORT:
        return { value: BigInt(this.u16(start)), end: start + 2 };
      case LF_LONG:
        return { value: BigInt(this.u32(start) | 0), end: start + 4 };
      case LF_ULONG:
        return { value: BigInt(this.u32(start)), end: start + 4 };
      case LF_QUADWORD:
      case LF_UQUADWORD: {
        this.#check(start, 8);
        const isSigned = kind === LF_QUADWORD;
        const value = isSigned ? this.#view.getBigInt64(start, true) : this.#view.getBigUint64(start, true);
        return { value, end: start + 8 };
      }
      default:
        throw new PdbError(`${this.what} has a number of the unknown kind 0x${kind.toString(16)} at ${at}`);
    }
  }

  /**
   * Finds the zero that ends a text.
   *
   * @param limit where the record ends; the end of a text without a zero
   */
  textEnd(at: number, limit: number): number {
    const end = Math.min(limit, this.size);
    const zero = at < end ? this.bytes.indexOf(0, at) : -1;
    return zero < 0 || zero > end ? Math.max(at, end) : zero;
  }

  /** Reads a text up to its zero, or up to the end of its record. */
  text(at: number, limit: number): string {
    const end = this.textEnd(at, limit);
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + at, Math.max(0, end - at)).toString("utf8");
  }

  /** Returns a part, under the same name. @throws PdbError */
  part(at: number, size: number, what = this.what): PdbBytes {
    this.#check(at, size);
    return new PdbBytes(this.bytes.subarray(at, at + size), what);
  }

  #check(at: number, size: number): void {
    if (at >= 0 && size >= 0 && at + size <= this.size) return;
    throw new PdbError(`${this.what} ends at ${this.size}, within what lies from ${at} to ${at + size}`);
  }
}
