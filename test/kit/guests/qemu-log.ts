/** One block in the log of QEMU's `-d exec,nochain`. */
export interface LoggedBlock {
  readonly cpu: number;
  /** Linear address. */
  readonly pc: bigint;
}

// accel/tcg/cpu-exec.c, log_cpu_exec() and cpu_tb_exec(), QEMU 10.0.
const TRACE = /^Trace (\d+): (0x[0-9a-f]+) \[[0-9a-f]+\/([0-9a-f]+)\/[0-9a-f]+\/[0-9a-f]+\]/;
const STOPPED = /^Stopped execution of TB chain before (0x[0-9a-f]+)/;

/**
 * Reads which blocks QEMU says that it executed. A block that was looked up, and left before its first instruction because
 * something else had come up, is none.
 *
 * @param text what -D wrote
 */
export function readQemuLog(text: string): LoggedBlock[] {
  const blocks: LoggedBlock[] = [];
  let last = "";
  for (const line of text.split("\n")) {
    const trace = TRACE.exec(line);
    if (trace) {
      blocks.push({ cpu: Number(trace[1]), pc: BigInt(`0x${trace[3]}`) });
      last = trace[2]!;
    } else if (STOPPED.exec(line)?.[1] === last) {
      blocks.pop();
    }
  }
  return blocks;
}
