/**
 * Writes which blocks were executed, as a file that Lighthouse, lightkeeper, Cartographer and others read (drcov).
 *
 *   custom coverage_begin <pgd>      one process, in hexadecimal; "all" for whatever the machine runs
 *   custom coverage_write <file>     such as results/coverage.drcov: pyrebox.conf permits this folder
 *
 * drcov keeps 32-bit offsets in modules. Which modules there are is not asked here: a "module" is a window of 2 GiB of
 * the address space in which something was executed.
 */
import { writeFileSync } from "node:fs";
import { ALL_PROCESSES, CallbackManager, type EventBatch, startMonitoringProcess, stopMonitoringProcess } from "rebox";
import { readNewFile } from "./_new_file";
import { readNumber } from "./_numbers";

const WINDOW_BITS = 31n;
const RECORD_SIZE = 8;
const LARGEST_BLOCK = 0xffff;

/** Files go into the folder "results" beside pyrebox.conf, which grants this. */
export const permissions = ["fs:results"];

let callbacks: CallbackManager;
let watched: bigint | undefined;
/** Block sizes in bytes by address. */
const blocks = new Map<bigint, number>();

export function initialize_callbacks(moduleHandle: number): void {
  callbacks = new CallbackManager(moduleHandle);
}

export const clean = (): void => callbacks.clean();

function onBlocks({ pc, size, length }: EventBatch): void {
  for (let at = 0; at < length; at++) blocks.set(pc[at]!, size[at]!);
}

/**
 * Begins to collect, from nothing.
 *
 * @param line the pgd in hexadecimal, or "all"
 */
export function do_coverage_begin(line: string): string {
  const pgd = line === "all" ? ALL_PROCESSES : readNumber(line || undefined, "the pgd");
  callbacks.clean();
  if (watched !== undefined) stopMonitoringProcess(watched);
  blocks.clear();
  watched = pgd;
  const columns = ["pc", "size"] as const;
  callbacks.addStream(CallbackManager.BLOCK_BEGIN_CB, onBlocks, { name: "coverage", columns });
  startMonitoringProcess(watched);
  return `collecting from ${line}`;
}

/**
 * Writes what was collected until now.
 *
 * @param line the file; one that exists is written anew
 */
export function do_coverage_write(line: string): string {
  const windows = [...new Set([...blocks.keys()].map((pc) => pc >> WINDOW_BITS))].sort((a, b) => (a < b ? -1 : 1));
  const idOf = new Map(windows.map((window, id) => [window, id]));
  const hex = (value: bigint) => `0x${value.toString(16).padStart(16, "0")}`;
  const modules = windows.map((window, id) => {
    const base = window << WINDOW_BITS;
    return `${id}, ${hex(base)}, ${hex(base + (1n << WINDOW_BITS))}, ${hex(0n)}, window_${base.toString(16)}`;
  });
  const head = [
    "DRCOV VERSION: 2",
    "DRCOV FLAVOR: rebox",
    `Module Table: version 2, count ${windows.length}`,
    "Columns: id, base, end, entry, path",
    ...modules,
    `BB Table: ${blocks.size} bbs`,
  ];
  const table = Buffer.alloc(blocks.size * RECORD_SIZE);
  let at = 0;
  for (const [pc, size] of blocks) {
    table.writeUInt32LE(Number(BigInt.asUintN(Number(WINDOW_BITS), pc)), at);
    table.writeUInt16LE(Math.min(size, LARGEST_BLOCK), at + 4);
    table.writeUInt16LE(idOf.get(pc >> WINDOW_BITS)!, at + 6);
    at += RECORD_SIZE;
  }
  writeFileSync(readNewFile(line), Buffer.concat([Buffer.from(`${head.join("\n")}\n`), table]));
  return `${blocks.size} blocks in ${windows.length} windows`;
}
