import { KernelDataError } from "../../errors";
import type { LinuxKernel } from "../structs/linux-kernel";

const WHAT = "the kernel's log";
const MOST_RECORDS = 1 << 20;
const LARGEST_TEXT = 1 << 25;
const LONGEST_RECORD = 4096;
/** enum desc_state, kernel/printk/printk_ringbuffer.h */
const COMMITTED = 1n;
const FINALIZED = 2n;

/** A line of the kernel's log. */
export interface LogRecord {
  readonly sequence: bigint;
  /** Since boot. */
  readonly timeNs: bigint;
  /** From 0 (emergency) to 7 (debug). */
  readonly level: number;
  /** 0 for the kernel itself. */
  readonly facility: number;
  readonly text: string;
}

/**
 * Reads the kernel's log, as dmesg prints it, oldest record first (struct printk_ringbuffer, 5.10 and newer).
 *
 * @throws MissingSymbolError, MissingTypeError for kernels that keep it differently
 * @throws KernelDataError when it is damaged
 */
export function readKernelLog(kernel: LinuxKernel): LogRecord[] {
  const buffer = kernel.memory.pointer(kernel.symbol("prb"));
  try {
    return [...readRecords(kernel, buffer)];
  } catch (error) {
    throw KernelDataError.from(error, WHAT, buffer);
  }
}

function* readRecords(kernel: LinuxKernel, address: bigint): Iterable<LogRecord> {
  const { memory } = kernel;
  const buffer = kernel.at("printk_ringbuffer", address);
  const descriptors = buffer.member("desc_ring");
  const data = buffer.member("text_data_ring");
  const count = 2 ** descriptors.number("count_bits");
  const size = 2 ** data.number("size_bits");
  if (!(count <= MOST_RECORDS && size <= LARGEST_TEXT)) {
    throw new KernelDataError(WHAT, address, `it says that it has room for ${count} records and ${size} bytes`);
  }
  const bits = BigInt(kernel.bits);
  const idMask = (1n << (bits - 2n)) - 1n;
  const first = descriptors.value("tail_id.counter") & idMask;
  const last = descriptors.value("head_id.counter") & idMask;
  const number = Math.min(Number((last - first) & idMask) + 1, count);
  const text = memory.read(data.value("data"), size);
  const [descriptorSize, infoSize] = [kernel.sizeOf("prb_desc"), kernel.sizeOf("printk_info")];
  const [table, infos] = [descriptors.value("descs"), descriptors.value("infos")];
  for (let index = 0; index < number; index++) {
    const id = (first + BigInt(index)) & idMask;
    const slot = Number(id & BigInt(count - 1));
    const descriptor = kernel.at("prb_desc", table + BigInt(slot * descriptorSize));
    const state = BigInt.asUintN(kernel.bits, descriptor.value("state_var.counter"));
    const kind = state >> (bits - 2n);
    // A record that is being written, or that is used for another one by now.
    if ((state & idMask) !== id || (kind !== COMMITTED && kind !== FINALIZED)) continue;
    const info = kernel.at("printk_info", infos + BigInt(slot * infoSize));
    const length = Math.min(info.number("text_len"), LONGEST_RECORD);
    const begin = descriptor.value("text_blk_lpos.begin");
    const next = descriptor.value("text_blk_lpos.next");
    yield {
      sequence: info.value("seq"),
      timeNs: info.value("ts_nsec"),
      level: info.number("level"),
      facility: info.number("facility"),
      text: text.toString("utf8", ...locate(begin, next, size, length, memory.pointerSize)),
    };
  }
}

/** Finds a record's text in the ring: after its number, and from the ring's start when it did not fit at the end. */
function locate(begin: bigint, next: bigint, size: number, length: number, word: number): [number, number] {
  // An odd position says that there is no text.
  if ((begin & 1n) === 1n) return [0, 0];
  const ring = BigInt(size);
  const isWrapped = begin / ring !== next / ring && next % ring !== 0n;
  const start = (isWrapped ? 0 : Number(begin % ring)) + word;
  return [start, start + length];
}
