import { EVENTS, listEventTypes, STREAM_COLUMNS, type StreamColumn, type StreamType } from "../engine/event-table";
import { showValue } from "./option-checks";

/** A batch of this many records stays in the processor's cache between the addon, which writes it, and its reader. */
const DEFAULT_CAPACITY = 4096;

/** The columns whose elements have 64 bits. */
const WIDE_COLUMNS = ["pc", "pgd", "address", "physical", "data", "number"] as const;

/** The columns of a stream whose numbers have 64 bits: bigints. */
export type WideStreamColumn = (typeof WIDE_COLUMNS)[number];

export type { StreamColumn, StreamType };

/** The types whose events can be streamed. */
export const STREAM_TYPES = listEventTypes(({ columns }) => columns !== undefined) as readonly StreamType[];

/**
 * A batch of events in columns. Record i is the i-th element of each column that was asked for; the others are empty.
 * Only the first `length` elements count. The arrays are filled anew after the handler has returned: copy anything
 * you want to keep.
 */
export class EventBatch {
  readonly cpu: Uint32Array;
  /** The program counter; of blocks, the block's. */
  readonly pc: BigUint64Array;
  readonly pgd: BigUint64Array;
  /** Virtual address of an access or a TLB fill; of code, the same as pc. */
  readonly address: BigUint64Array;
  /** Guest-physical address of an access, else 0. */
  readonly physical: BigUint64Array;
  /** Value of an access (its low 64 bits), the opcode, or the address space that was left; else 0. */
  readonly data: BigUint64Array;
  /** Running number: for blocks and instructions, the number of instructions reported up to and with this record. */
  readonly number: BigUint64Array;
  /** Size of an access or a block in bytes, else 0. */
  readonly size: Uint32Array;
  /**
   * The columns of 64 bits as numbers of 32: of record i, `[2 * i]` is the low half and `[2 * i + 1]` the high one. The
   * same memory. An element of a BigUint64Array becomes an object when it is read; these do not, and are read many times
   * faster.
   */
  readonly words: Readonly<Record<WideStreamColumn, Uint32Array>>;
  /** Written by the addon: records, dropped. */
  readonly state = new Float64Array(2);

  /**
   * @param type the type of the events
   * @param capacity the number of records that fit, 1 to 2 to the 24
   * @param wanted the columns to fill; the others are empty
   */
  constructor(
    type: StreamType,
    readonly capacity: number = DEFAULT_CAPACITY,
    wanted: readonly StreamColumn[] = EVENTS[type].columns,
  ) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > 1 << 24) {
      throw new RangeError(`capacity is ${showValue(capacity)}: a whole number of records from 1 to ${1 << 24}`);
    }
    if (!Array.isArray(wanted)) {
      throw new TypeError(`columns is ${showValue(wanted)}: a list of ${STREAM_COLUMNS.join(", ")}`);
    }
    const unknown = wanted.findIndex((column) => !STREAM_COLUMNS.includes(column));
    if (unknown >= 0) {
      throw new TypeError(`there is no column ${showValue(wanted[unknown])}: a batch has ${STREAM_COLUMNS.join(", ")}`);
    }
    const sizeOf = (column: StreamColumn) => (wanted.includes(column) ? capacity : 0);
    this.cpu = new Uint32Array(sizeOf("cpu"));
    this.size = new Uint32Array(sizeOf("size"));
    this.pc = new BigUint64Array(sizeOf("pc"));
    this.pgd = new BigUint64Array(sizeOf("pgd"));
    this.address = new BigUint64Array(sizeOf("address"));
    this.physical = new BigUint64Array(sizeOf("physical"));
    this.data = new BigUint64Array(sizeOf("data"));
    this.number = new BigUint64Array(sizeOf("number"));
    this.words = Object.fromEntries(
      WIDE_COLUMNS.map((column) => [column, new Uint32Array(this[column].buffer)]),
    ) as Record<WideStreamColumn, Uint32Array>;
  }

  /** The number of records in the batch. */
  get length(): number {
    return this.state[0] as number;
  }

  /** The number of events dropped since the stream began, because the batch was full (onFull: "drop"). */
  get dropped(): number {
    return this.state[1] as number;
  }
}
