import { ElfError } from "../../errors";

/** Numbers of more bytes than this have no end. */
const LONGEST_LEB = 10;

/** DW_EH_PE_*: how an address is written (Linux Standard Base, core generic, 10.5.1). The low bits are its form. */
const FORM = 0x0f;
const PC_RELATIVE = 0x10;
const DATA_RELATIVE = 0x30;
const RELATIVE = 0x70;
const INDIRECT = 0x80;
const OMITTED = 0xff;

/** Reads the numbers that DWARF and its unwind tables are made of, one behind the other. Every read is within the bytes. */
export class DwarfReader {
  readonly #view: DataView;

  /**
   * @param address of the first byte, by the file's own addresses
   * @param at where to begin, in bytes
   */
  constructor(
    readonly bytes: Uint8Array,
    private readonly address: bigint,
    private readonly bits: 32 | 64,
    public at = 0,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  /** The address of the next byte. */
  get place(): bigint {
    return this.address + BigInt(this.at);
  }

  /** @param size 1, 2, 4 or 8 bytes */
  unsigned(size: number): bigint {
    const at = this.#take(size);
    if (size === 8) return this.#view.getBigUint64(at, true);
    return BigInt(size === 4 ? this.#view.getUint32(at, true) : size === 2 ? this.#view.getUint16(at, true) : this.#view.getUint8(at)); // prettier-ignore
  }

  /** @param size 1, 2, 4 or 8 bytes */
  signed(size: number): bigint {
    return BigInt.asIntN(size * 8, this.unsigned(size));
  }

  byte(): number {
    return this.#view.getUint8(this.#take(1));
  }

  /** Reads an unsigned number in base 128. */
  uleb(): bigint {
    let value = 0n;
    for (let count = 0; count < LONGEST_LEB; count++) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << BigInt(7 * count);
      if (byte < 0x80) return value;
    }
    throw new ElfError("a number of its unwind data has no end");
  }

  /** Reads a signed number in base 128. */
  sleb(): bigint {
    const from = this.at;
    const value = this.uleb();
    return BigInt.asIntN(7 * (this.at - from), value);
  }

  /** Reads an unsigned number that counts something. @throws ElfError for one that is larger than the bytes */
  count(): number {
    const value = this.uleb();
    if (value > BigInt(this.bytes.length)) throw new ElfError(`its unwind data counts ${value}`);
    return Number(value);
  }

  /** Reads a text that ends with a zero byte. */
  text(): string {
    const end = this.bytes.indexOf(0, this.at);
    if (end < 0) throw new ElfError("a text of its unwind data has no end");
    const text = Buffer.from(this.bytes.subarray(this.at, end)).toString("latin1");
    this.at = end + 1;
    return text;
  }

  /** Takes a part out. */
  block(size: number): Uint8Array {
    const at = this.#take(size);
    return this.bytes.subarray(at, at + size);
  }

  /**
   * Reads an address that is written in one of many ways.
   *
   * @param encoding DW_EH_PE_*
   * @param data what addresses relative to the data begin from
   * @returns undefined for one that is left out, and for one that only the running program has
   */
  pointer(encoding: number, data = 0n): bigint | undefined {
    if (encoding === OMITTED) return undefined;
    const { place } = this;
    const value = this.#form(encoding & FORM);
    if ((encoding & INDIRECT) !== 0) return undefined;
    const relative = encoding & RELATIVE;
    if (relative !== 0 && relative !== PC_RELATIVE && relative !== DATA_RELATIVE) return undefined;
    const base = relative === PC_RELATIVE ? place : relative === DATA_RELATIVE ? data : 0n;
    return BigInt.asUintN(this.bits, base + value);
  }

  #form(form: number): bigint {
    if (form === 0) return this.unsigned(this.bits / 8);
    if (form === 1) return this.uleb();
    if (form === 9) return this.sleb();
    const size = { 2: 2, 3: 4, 4: 8 }[form & 7];
    if (size === undefined) throw new ElfError(`its unwind data has an address of the unknown form ${form}`);
    return form > 8 ? this.signed(size) : this.unsigned(size);
  }

  #take(size: number): number {
    const { at } = this;
    if (!(size >= 0) || at + size > this.bytes.length) throw new ElfError("its unwind data ends too early");
    this.at += size;
    return at;
  }
}
