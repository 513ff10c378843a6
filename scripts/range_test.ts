/**
 * Counts what is executed in a range of addresses, without a breakpoint: blocks, and calls (opcode E8) with where they
 * go. Filters decide natively, so that all else costs next to nothing.
 *
 *   custom watch_range <begin> <end>     addresses in hexadecimal
 *   custom range_counts
 */
import { ALL_PROCESSES, CallbackManager, startMonitoringProcess } from "rebox";
import { readRange, splitWords } from "./_numbers";

const CALL = 0xe8;

let callbacks: CallbackManager;
let blocks = 0;
const callees = new Map<bigint, number>();

export function initialize_callbacks(moduleHandle: number): void {
  callbacks = new CallbackManager(moduleHandle);
  startMonitoringProcess(ALL_PROCESSES);
}

export const clean = (): void => callbacks.clean();

/**
 * Watches a range of code, in addition to those that are watched.
 *
 * @param line the first address, and the one behind the last
 */
export function do_watch_range(line: string): string {
  const [from, to] = readRange(splitWords(line));
  const filter = { pc: { from, to } };
  callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => void blocks++, { name: "range_blocks", filter });
  callbacks.addCallback(
    CallbackManager.OPCODE_RANGE_CB,
    (_cpuIndex, _cpu, _pc, nextPc) => void callees.set(nextPc, (callees.get(nextPc) ?? 0) + 1),
    { name: "range_calls", startOpcode: CALL, endOpcode: CALL, filter },
  );
  return `watching 0x${from.toString(16)} to 0x${to.toString(16)}`;
}

/** Says how many blocks were executed in the ranges, and where their calls went, most often first. */
export function do_range_counts(): string {
  const sorted = [...callees].sort((a, b) => b[1] - a[1]);
  return [`${blocks} blocks`, ...sorted.map(([address, count]) => `0x${address.toString(16)} ${count}`)].join("\n");
}
