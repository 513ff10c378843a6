/**
 * Reports who writes to a range of memory, five times: a trigger decides natively which writes are in the range.
 *
 *   custom watch_writes <begin> <end> [pgd]     addresses in hexadecimal
 */
import { CallbackManager, readCpu } from "rebox";
import { readNumber, readRange, splitWords } from "./_numbers";

const MOST = 5;
const ANY_PROCESS = 0xffffffffffffffffn;

let callbacks: CallbackManager;
let print: (text: string) => void;

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
}

export const clean = (): void => callbacks.clean();

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/**
 * Watches a range of memory.
 *
 * @param line the first address, the one behind the last, and, to watch one process only, its pgd
 */
export function do_watch_writes(line: string): string {
  const words = splitWords(line);
  const [begin, end] = readRange(words);
  const pgd = words[2] === undefined ? ANY_PROCESS : readNumber(words[2], "the pgd");
  let count = 0;
  const name = callbacks.addCallback(
    CallbackManager.MEM_WRITE_CB,
    (cpuIndex, vaddr, size, _paddr, data) => {
      const cpu = readCpu(cpuIndex);
      print(`${hex(cpu.RIP)} writes ${hex(data)}, ${size} bytes, to ${hex(vaddr)}`);
      if (++count < MOST) return;
      callbacks.rmCallback(name);
      print(`${MOST} writes: no more are watched for`);
    },
    { name: "mem_write_test" },
  );
  callbacks.addTrigger(name, "triggers/trigger_bpw_memrange");
  callbacks.setTriggerVar(name, "begin", begin);
  callbacks.setTriggerVar(name, "end", end);
  callbacks.setTriggerVar(name, "pgd", pgd);
  return `watching ${hex(begin)} to ${hex(end)}`;
}
