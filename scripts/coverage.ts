/**
 * Writes which blocks were executed, of which modules, as a file that Lighthouse, lightkeeper, Cartographer, Dragon Dance and others read
 * (drcov):
 *
 *   custom coverage_begin WHAT ...    from nothing: all, kernel, or process=PROCESS, also several; edges: also from where to where
 *   custom coverage_stop              collects no more; what was collected stays
 *   custom coverage_continue          goes on
 *   custom coverage_write FILE        such as results/coverage.drcov: pyrebox.conf permits this folder
 *   custom coverage_compare ONE OTHER [FILE]
 *                                     counts what only one of two files has; FILE gets what only the other one has
 *   custom coverage_lcov RUN PROGRAM FILE
 *                                     lines of source, for genhtml and editors: RUN is a file of coverage_write, PROGRAM a program with debug
 *                                     information, such as results/program
 *
 * Beside the file comes FILE.json, with the modules' build ids and processes, and with edges FILE.edges, a line each: process, from, to. A
 * PROCESS is a pid in decimal, a pgd such as 0x1f3c000, or a name with * and ?; those that begin later are among them.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { CallbackManager, findSystem, getProcessList } from "rebox";
import { CoverageCollector } from "./_coverage_collector";
import { compareRuns, readRun, writeRun } from "./_coverage_file";
import { readLineRows } from "./_dwarf_lines";
import { findLowestAddress, writeLcov } from "./_lcov_file";
import { readNewFile } from "./_new_file";
import { splitWords } from "./_numbers";
import { isProcessWord, readWantedProcesses } from "./_wanted_processes";

/** Files go into the folder "results" beside pyrebox.conf, which grants this. */
export const permissions = ["fs:results"];

type IsProcess = (process: { readonly pid: number; readonly pgd: bigint }) => boolean;

let callbacks: CallbackManager;
let collector: CoverageCollector | undefined;
let hasEdges = false;
let isProcess: IsProcess = () => false;
let isCollecting = false;

export function initialize_callbacks(moduleHandle: number): void {
  callbacks = new CallbackManager(moduleHandle);
}

export function clean(): void {
  collector?.stop();
  callbacks.clean();
}

/**
 * Begins to collect, from nothing.
 *
 * @param line all, kernel, process=PROCESS, edges
 */
export function do_coverage_begin(line: string): string {
  const words = splitWords(line);
  const unknown = words.find((word) => !["all", "kernel", "edges"].includes(word) && !isProcessWord(word));
  if (unknown !== undefined) throw new Error(`${unknown} is not known: all, kernel, process=PROCESS, edges`);
  const hasProcesses = words.some(isProcessWord);
  const isAll = words.includes("all");
  const hasKernel = isAll || words.includes("kernel");
  if (!hasKernel && !hasProcesses) throw new Error("nothing is named: all, kernel, or process=PROCESS");
  const isNamed = readWantedProcesses(words);
  isProcess = (process) => isAll || (hasProcesses && isNamed(process));
  hasEdges = words.includes("edges");
  collector?.stop();
  callbacks.clean();
  isCollecting = false;
  collector = new CoverageCollector(callbacks, { isAll, hasKernel, hasEdges });
  start();
  return `collecting from ${words.join(" ")}`;
}

/** Collects no more. What was collected stays. */
export function do_coverage_stop(): string {
  if (!isCollecting || collector === undefined) return "nothing is collected";
  collector.stop();
  isCollecting = false;
  return `${collector.count} blocks`;
}

/** Goes on with what was collected before. */
export function do_coverage_continue(): string {
  if (collector === undefined) throw new Error("nothing has begun: coverage_begin");
  if (!isCollecting) start();
  return "collecting";
}

/**
 * Writes what was collected until now.
 *
 * @param line the file; one that exists is written anew
 */
export function do_coverage_write(line: string): string {
  const path = readNewFile(line);
  // Before anything has begun, nothing was executed.
  collector ??= new CoverageCollector(callbacks, { isAll: false, hasKernel: false, hasEdges: false });
  const { blocks, modules, edges } = collector.write(path);
  return `${blocks} blocks in ${modules} modules${hasEdges ? `, ${edges} edges` : ""}`;
}

/**
 * Compares two files, by the modules' paths.
 *
 * @param line two files, and one that gets what only the second one has
 */
export function do_coverage_compare(line: string): string {
  const [one, other, difference] = splitWords(line);
  if (one === undefined || other === undefined)
    throw new Error("two files are compared: coverage_compare ONE OTHER [FILE]");
  const { rows, onlyOther } = compareRuns(
    readRun(readFileSync(one) as Uint8Array),
    readRun(readFileSync(other) as Uint8Array),
  );
  if (difference !== undefined) writeFileSync(readNewFile(difference), writeRun(onlyOther));
  const shown = rows.map(
    ({ path, both, first, second }) =>
      `${path}: ${both} in both, ${first} only in the first, ${second} only in the second`,
  );
  return shown.join("\n") || "both are empty";
}

/**
 * Writes which lines of source were executed of a program.
 *
 * @param line a file of coverage_write, a copy of the program with its debug information, and the file that is written
 */
export function do_coverage_lcov(line: string): string {
  const [run, program, path] = splitWords(line);
  if (run === undefined || program === undefined || path === undefined)
    throw new Error("a run and a program are read, and a file is written: coverage_lcov RUN PROGRAM FILE");
  const bytes = readFileSync(program) as Uint8Array;
  const rows = readLineRows(bytes);
  const name = baseName(program);
  const modules = readRun(readFileSync(run) as Uint8Array).filter((module) => baseName(module.path) === name);
  if (modules.length === 0)
    throw new Error(`${run} has no module called ${name}: give the program the name that it has there`);
  const blocks = new Map(modules.flatMap((module) => [...module.blocks]));
  const { text, executed, all } = writeLcov(rows, blocks, findLowestAddress(bytes));
  writeFileSync(readNewFile(path), text);
  return `${executed} of ${all} lines`;
}

function start(): void {
  isCollecting = true;
  // Before modules are told of: those of processes that are not known are left out.
  if (findSystem() !== undefined) for (const { pid, pgd, name } of getProcessList()) begin(pid, pgd, name);
  collector!.start();
  callbacks.addCallback(CallbackManager.CREATEPROC_CB, (pid, pgd, name) => {
    collector!.end(pgd);
    begin(pid, pgd, name);
  });
}

function begin(pid: number, pgd: bigint, name: string): void {
  if (isProcess({ pid, pgd })) collector!.add(pgd, pid, name);
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
