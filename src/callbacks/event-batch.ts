const DEFAULT_CAPACITY = 65_536;

/** The types whose events can be streamed. */
export const STREAM_TYPES = [
  "BLOCK_BEGIN_CB",
  "INSN_BEGIN_CB",
  "MEM_READ_CB",
  "MEM_WRITE_CB",
  "OPCODE_RANGE_CB",
  "TLB_EXEC_CB",
  "CONTEXTCHANGE_CB",
] as const;

export type StreamType = (typeof STREAM_TYPES)[number];

/**
 * A batch of events in columns. Record i is the i-th element of each; only the first `length` elements count. The
 * arrays are filled anew after the handler has returned: copy what shall stay.
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
  /** Running number: for blocks and instructions, how many instructions were reported up to and with this record. */
  readonly number: BigUint64Array;
  /** Size of an access or a block in bytes, else 0. */
  readonly size: Uint32Array;
  /** What the addon says of the batch: records, dropped. */
  readonly state = new Float64Array(2);

  /** @param capacity how many records fit */
  constructor(capacity = DEFAULT_CAPACITY) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > 1 << 24) {
      throw new RangeError(`capacity is ${capacity}: a whole number of records from 1 to ${1 << 24}`);
    }
    this.cpu = new Uint32Array(capacity);
    this.size = new Uint32Array(capacity);
    this.pc = new BigUint64Array(capacity);
    this.pgd = new BigUint64Array(capacity);
    this.address = new BigUint64Array(capacity);
    this.physical = new BigUint64Array(capacity);
    this.data = new BigUint64Array(capacity);
    this.number = new BigUint64Array(capacity);
  }

  /** How many records the batch has. */
  get length(): number {
    return this.state[0] as number;
  }

  /** How many events were dropped since the stream began, because the batch was full (onFull: "drop"). */
  get dropped(): number {
    return this.state[1] as number;
  }
}
