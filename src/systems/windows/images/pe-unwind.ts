import { PeError } from "../../errors";
import { PeDirectory, type PeHeader } from "./pe-header";
import type { PeSource } from "./pe-source";
import { readUnwindCodes, type UnwindCode } from "./unwind-codes";

/** A stretch of code with one way to leave it. A function that was split has several. */
export interface UnwindFunction {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  /** The RVA of its description. */
  readonly information: number;
}

/** How the stack of a function is taken down (x64 exception handling: UNWIND_INFO). */
export interface UnwindInformation {
  readonly version: number;
  /** Of the code that sets the stack up, in bytes. */
  readonly prologSize: number;
  /** The register that addresses the frame, as the processor numbers it; undefined when it is the stack pointer. */
  readonly frameRegister: number | undefined;
  /** How far the frame register lies above the stack pointer, in bytes. */
  readonly frameOffset: number;
  /** In the reverse order of the prolog. */
  readonly codes: readonly UnwindCode[];
  /** The stretch whose description continues this one. */
  readonly chained: UnwindFunction | undefined;
  /** The RVA of what handles exceptions. */
  readonly handler: number | undefined;
}

const ENTRY = 12;
/** Of the largest images there are: a browser's has about a million. */
const LARGEST_TABLE = 0x2000000;
const CHAINED = 4;
/** A handler for exceptions, or for leaving the function. */
const HANDLERS = 3;

/** The table of functions of a 64-bit image (.pdata). Functions that call nothing and use no stack are not in it. */
export class PeUnwindTable {
  readonly #source: PeSource;
  readonly #table: DataView;

  /** @throws PeError when it is not in memory; a 32-bit image has an empty one */
  constructor(header: PeHeader, source: PeSource) {
    this.#source = source;
    const { rva, size } = header.directories[PeDirectory.exceptions] ?? { rva: 0, size: 0 };
    const used = header.bits === 64 && rva !== 0 ? Math.min(size - (size % ENTRY), LARGEST_TABLE) : 0;
    const bytes = used === 0 ? new Uint8Array() : source.read(rva, used);
    if (bytes === undefined) throw new PeError(`the table of functions at RVA 0x${rva.toString(16)} cannot be read`);
    this.#table = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get count(): number {
    // A damaged header may say a size that is no multiple of an entry.
    return Math.floor(this.#table.byteLength / ENTRY);
  }

  /** Lists the functions in the order of their addresses. */
  *functions(): IterableIterator<UnwindFunction> {
    for (let index = 0; index < this.count; index++) yield this.#get(index);
  }

  /** Finds the function that an RVA is in. */
  findFunction(rva: number): UnwindFunction | undefined {
    let from = 0;
    let to = this.count;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#table.getUint32(middle * ENTRY, true) <= rva) from = middle + 1;
      else to = middle;
    }
    const found = from === 0 ? undefined : this.#get(from - 1);
    return found && rva < found.end ? found : undefined;
  }

  /** Reads how a function is left. @throws PeError when its description is damaged or not in memory */
  readInformation({ information }: UnwindFunction): UnwindInformation {
    const head = this.#read(information, 4);
    const [first, prologSize, count, frame] = [0, 1, 2, 3].map((at) => head.getUint8(at)) as [
      number,
      number,
      number,
      number,
    ];
    const flags = first >> 3;
    const codes = this.#read(information + 4, count * 2);
    // The codes are filled up to a multiple of 4 bytes.
    const behind = information + 4 + Math.ceil(count / 2) * 4;
    const isChained = (flags & CHAINED) !== 0;
    const hasHandler = !isChained && (flags & HANDLERS) !== 0;
    return {
      version: first & 7,
      prologSize,
      frameRegister: (frame & 0xf) === 0 ? undefined : frame & 0xf,
      frameOffset: (frame >> 4) * 16,
      codes: readUnwindCodes(codes, count),
      chained: isChained ? toFunction(this.#read(behind, ENTRY), 0) : undefined,
      handler: hasHandler ? this.#read(behind, 4).getUint32(0, true) : undefined,
    };
  }

  #get(index: number): UnwindFunction {
    return toFunction(this.#table, index * ENTRY);
  }

  #read(rva: number, size: number): DataView {
    const bytes = size === 0 ? new Uint8Array() : this.#source.read(rva, size);
    if (bytes === undefined) throw new PeError(`the unwind data at RVA 0x${rva.toString(16)} cannot be read`);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
}

function toFunction(view: DataView, at: number): UnwindFunction {
  const [start, end, information] = [0, 4, 8].map((part) => view.getUint32(at + part, true)) as [
    number,
    number,
    number,
  ];
  return { start, end, information };
}
