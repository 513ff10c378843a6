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
import { CallbackManager, findSystem, getModuleList, getProcessList } from "rebox";
import { findBuildId } from "./_build_id";
import { compareRuns, readRun, writeRun } from "./_coverage_file";
import { CoveredSpaces, type Place } from "./_coverage_spaces";
import { readLineRows } from "./_dwarf_lines";
import { findLowestAddress, writeLcov } from "./_lcov_file";
import { readNewFile } from "./_new_file";
import { splitWords } from "./_numbers";
import { isProcessWord, readWantedProcesses } from "./_wanted_processes";

const CALLBACK = "coverage";
const BLOCK = 24;
const JUMP = 24;

/** Files go into the folder "results" beside pyrebox.conf, which grants this. */
export const permissions = ["fs:results"];

interface Choice {
  readonly isAll: boolean;
  readonly hasKernel: boolean;
  readonly hasEdges: boolean;
  readonly isProcess: (process: { readonly pid: number; readonly pgd: bigint }) => boolean;
}

let callbacks: CallbackManager;
let choice: Choice | undefined;
let spaces = new CoveredSpaces();
let isCollecting = false;

export function initialize_callbacks(moduleHandle: number): void {
  callbacks = new CallbackManager(moduleHandle);
}

export const clean = (): void => callbacks.clean();

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
  const isProcess = (process: { readonly pid: number; readonly pgd: bigint }): boolean =>
    isAll || (hasProcesses && isNamed(process));
  choice = { isAll, hasKernel, hasEdges: words.includes("edges"), isProcess };
  callbacks.clean();
  spaces = new CoveredSpaces();
  start();
  return `collecting from ${words.join(" ")}`;
}

/** Collects no more. What was collected stays. */
export function do_coverage_stop(): string {
  if (!isCollecting) return "nothing is collected";
  take();
  callbacks.clean();
  isCollecting = false;
  return `${spaces.count} blocks`;
}

/** Goes on with what was collected before. */
export function do_coverage_continue(): string {
  if (choice === undefined) throw new Error("nothing has begun: coverage_begin");
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
  take();
  if (isCollecting) spaces.list().forEach(identify);
  const { modules, edges } = spaces.resolve();
  writeFileSync(path, writeRun(modules));
  const facts = modules.map(({ blocks, ...module }) => ({ ...module, blocks: blocks.size }));
  writeFileSync(`${path}.json`, `${JSON.stringify(facts, showBigint, 1)}\n`);
  if (choice?.hasEdges === true) writeFileSync(`${path}.edges`, edges.map(showEdge).join(""));
  const blocks = modules.reduce((sum, module) => sum + module.blocks.size, 0);
  return `${blocks} blocks in ${modules.length} modules${choice?.hasEdges === true ? `, ${edges.length} edges` : ""}`;
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
  const { isAll, hasKernel, hasEdges } = choice!;
  isCollecting = true;
  callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, take, { name: CALLBACK });
  callbacks.addTrigger(CALLBACK, "triggers/trigger_coverage");
  const set = (name: string, is: boolean) => callbacks.setTriggerVar(CALLBACK, name, is ? 1 : 0);
  set("all", isAll);
  set("kernel", hasKernel);
  set("edges", hasEdges);
  if (findSystem() !== undefined) for (const { pid, pgd, name } of getProcessList()) begin(pid, pgd, name);
  if (hasKernel) readKernel();
  choose();
  callbacks.addCallback(CallbackManager.CREATEPROC_CB, (pid, pgd, name) => {
    // What was collected in this address space was of a process that is gone.
    if (spaces.has(pgd)) forget(pgd);
    begin(pid, pgd, name);
    choose();
  });
  callbacks.addCallback(
    CallbackManager.LOADMODULE_CB,
    (_pid, pgd, base, size, name, path) => spaces.addModule(pgd, { base, size, path: path || name }),
    { replay: true },
  );
  callbacks.addCallback(CallbackManager.REMOVEMODULE_CB, (_pid, pgd) => {
    take();
    identify(pgd);
  });
}

/** While it is there: a process that has ended has no memory. */
function identify(pgd: bigint): void {
  if (pgd !== 0n && spaces.has(pgd)) spaces.identify(pgd, (base) => findBuildId(pgd, base));
}

function begin(pid: number, pgd: bigint, name: string): void {
  if (pgd !== 0n && choice!.isProcess({ pid, pgd })) spaces.begin(pgd, pid, name);
}

function forget(pgd: bigint): void {
  take();
  callbacks.setTriggerVar(CALLBACK, "spaces", bytesOf([pgd]));
  callbacks.callTriggerFunction(CALLBACK, "forget");
  spaces.end(pgd);
}

function choose(): void {
  callbacks.setTriggerVar(CALLBACK, "spaces", bytesOf(spaces.list()));
  callbacks.callTriggerFunction(CALLBACK, "choose");
}

function readKernel(): void {
  spaces.begin(0n, 0, "kernel");
  if (findSystem() === undefined) return;
  for (const { base, size, name, path } of getModuleList(0n)) {
    spaces.addModule(0n, { base, size, path: path || (name === "kernel" ? "vmlinux" : name) });
  }
}

/** Takes what is new. */
function take(): void {
  if (!isCollecting || !callbacks.callbackExists(CALLBACK)) return;
  callbacks.callTriggerFunction(CALLBACK, "take");
  const blocks = read("blocks");
  for (let at = 0; at < blocks.byteLength; at += BLOCK) {
    spaces.addBlock(blocks.getBigUint64(at, true), placeAt(blocks, at + 8), blocks.getUint32(at + 16, true));
  }
  const jumps = read("jumps");
  for (let at = 0; at < jumps.byteLength; at += JUMP) {
    spaces.addEdge(jumps.getBigUint64(at, true), placeAt(jumps, at + 8), placeAt(jumps, at + 16));
  }
}

function read(variable: string): DataView {
  const bytes = callbacks.getTriggerVar(CALLBACK, variable) as Uint8Array;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** An address as a number, exact in the lower and in the upper half of addresses: that is below zero. */
function placeAt(view: DataView, at: number): Place {
  return view.getInt32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}

function bytesOf(list: readonly bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(list).buffer);
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function showEdge({ pid, from, to }: { readonly pid: number; readonly from: string; readonly to: string }): string {
  return `${pid} ${from} ${to}\n`;
}

function showBigint(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `0x${value.toString(16)}` : value;
}
