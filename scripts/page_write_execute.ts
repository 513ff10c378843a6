/**
 * Reports pages that are written and then executed: code that was unpacked, decrypted or made on the fly.
 *
 *   custom watch_wx <pgd>     one process, in hexadecimal; "all" for whatever the machine runs
 *
 * A page is reported once, when its first block after a write begins.
 */
import { ALL_PROCESSES, CallbackManager, readCpu, startMonitoringProcess, stopMonitoringProcess } from "rebox";
import { readNumber } from "./_numbers";

const PAGE_BITS = 12n;

let callbacks: CallbackManager;
let print: (text: string) => void;
let watched: bigint | undefined;
/** By page: the code that wrote to it first. */
const writers = new Map<bigint, bigint>();
const reported = new Set<bigint>();

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
}

export const clean = (): void => callbacks.clean();

const hex = (value: bigint): string => `0x${value.toString(16)}`;

function onWrite(cpuIndex: number, vaddr: bigint): void {
  writers.set(vaddr >> PAGE_BITS, readCpu(cpuIndex).PC);
}

function onBlock(pc: bigint): void {
  const page = pc >> PAGE_BITS;
  const writer = writers.get(page);
  if (writer === undefined || reported.has(page)) return;
  reported.add(page);
  print(`${hex(pc)} is executed, in a page that ${hex(writer)} wrote to`);
}

/**
 * Watches a process, in place of the one that was watched.
 *
 * @param line its pgd in hexadecimal, or "all"
 */
export function do_watch_wx(line: string): string {
  const pgd = line === "all" ? ALL_PROCESSES : readNumber(line || undefined, "the pgd");
  if (watched !== undefined) stopMonitoringProcess(watched);
  callbacks.clean();
  writers.clear();
  reported.clear();
  watched = pgd;
  // Of writes only the first in each page matters, which the filter finds; of blocks each, since the order does.
  callbacks.addCallback(CallbackManager.MEM_WRITE_CB, onWrite, { name: "wx_writes", filter: { firstPerPage: true } });
  callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, (_cpuIndex, _cpu, tb) => onBlock(tb.pc), { name: "wx_blocks" });
  startMonitoringProcess(watched);
  return `watching ${line}`;
}
