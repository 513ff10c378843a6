/** Collects which blocks are executed, of chosen address spaces, and writes them; for coverage, and for the module of an analysis. */
import { writeFileSync } from "node:fs";
import { ALL_PROCESSES, CallbackManager, findSystem, getModuleList, startMonitoringProcess, stopMonitoringProcess } from "rebox"; // prettier-ignore
import { findBuildId } from "./_build_id";
import { writeRun } from "./_coverage_file";
import { CoveredSpaces, type Place } from "./_coverage_spaces";

const CALLBACK = "coverage";
const BLOCK = 24;
const JUMP = 24;

/** What is collected beside chosen address spaces. */
export interface CoverageChoice {
  /** Of all processes, and of the kernel. */
  readonly isAll: boolean;
  readonly hasKernel: boolean;
  /** Also from which block to which. */
  readonly hasEdges: boolean;
}

/** The size of what was written. */
export interface CoverageSize {
  readonly blocks: number;
  readonly modules: number;
  readonly edges: number;
}

/** What was executed since it was made. */
export class CoverageCollector {
  private readonly spaces = new CoveredSpaces();
  private isCollecting = false;
  /** The address spaces that are monitored for it: those of others are executed without any call. */
  private readonly monitored = new Set<bigint>();

  constructor(
    private readonly callbacks: CallbackManager,
    private readonly choice: CoverageChoice,
  ) {}

  /** The number of blocks. */
  get count(): number {
    return this.spaces.count;
  }

  /** Begins to collect, or goes on: of the kernel, and of the address spaces that add() is told. */
  start(): void {
    if (this.isCollecting) return;
    const { callbacks, choice, spaces } = this;
    this.isCollecting = true;
    callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => this.take(), { name: CALLBACK });
    callbacks.addTrigger(CALLBACK, "triggers/trigger_coverage");
    const set = (name: string, is: boolean) => callbacks.setTriggerVar(CALLBACK, name, is ? 1 : 0);
    set("all", choice.isAll);
    set("kernel", choice.hasKernel);
    set("edges", choice.hasEdges);
    if (choice.hasKernel) this.readKernel();
    this.choose();
    for (const pgd of this.isEverywhere ? [ALL_PROCESSES] : spaces.list()) this.monitor(pgd);
    callbacks.addCallback(
      CallbackManager.LOADMODULE_CB,
      (_pid, pgd, base, size, name, path) => spaces.addModule(pgd, { base, size, path: path || name }),
      { replay: true },
    );
    callbacks.addCallback(CallbackManager.REMOVEMODULE_CB, (_pid, pgd) => {
      this.take();
      this.identify(pgd);
    });
  }

  /** Collects no more: what was collected stays. The callbacks are removed. */
  stop(): void {
    if (!this.isCollecting) return;
    this.take();
    this.callbacks.clean();
    this.unmonitor();
    this.isCollecting = false;
  }

  /** Forgets what the kernel of before has had: the guest has started again, and the callbacks were removed. */
  restart(): void {
    for (const pgd of this.spaces.list()) this.spaces.end(pgd);
    this.unmonitor();
    this.isCollecting = false;
  }

  /** Collects a process that begins. What was collected in its address space before was of a process that is gone. */
  add(pgd: bigint, pid: number, name: string): void {
    if (pgd === 0n) return;
    this.spaces.begin(pgd, pid, name);
    if (!this.isCollecting) return;
    this.choose();
    if (!this.isEverywhere) this.monitor(pgd);
  }

  /** Collects an address space no more, of which a process is gone. */
  end(pgd: bigint): void {
    if (!this.spaces.has(pgd)) return;
    this.take();
    if (this.isCollecting) {
      this.callbacks.setTriggerVar(CALLBACK, "spaces", bytesOf([pgd]));
      this.callbacks.callTriggerFunction(CALLBACK, "forget");
    }
    this.spaces.end(pgd);
    if (this.monitored.delete(pgd)) stopMonitoringProcess(pgd);
    // Whoever has the address space next is collected only when it is wanted itself.
    if (this.isCollecting) this.choose();
  }

  /** Reads the modules of a process, while it is there, beside those that events tell of. */
  readModules(pgd: bigint): void {
    if (!this.spaces.has(pgd)) return;
    for (const { base, size, name, path } of getModuleList(pgd))
      this.spaces.addModule(pgd, { base, size, path: path || name });
  }

  /** Notes the build ids of a process' programs and libraries, while it is there: one that has ended has no memory. */
  identify(pgd: bigint): void {
    if (pgd !== 0n && this.spaces.has(pgd)) this.spaces.identify(pgd, (base) => findBuildId(pgd, base));
  }

  /** Writes what was collected until now: FILE as drcov, FILE.json, and with edges FILE.edges. */
  write(path: string): CoverageSize {
    this.take();
    if (this.isCollecting) for (const pgd of this.spaces.list()) this.identify(pgd);
    const { modules, edges } = this.spaces.resolve();
    writeFileSync(path, writeRun(modules));
    const facts = modules.map(({ blocks, ...module }) => ({ ...module, blocks: blocks.size }));
    writeFileSync(`${path}.json`, `${JSON.stringify(facts, showBigint, 1)}\n`);
    if (this.choice.hasEdges) writeFileSync(`${path}.edges`, edges.map(showEdge).join(""));
    const blocks = modules.reduce((sum, module) => sum + module.blocks.size, 0);
    return { blocks, modules: modules.length, edges: edges.length };
  }

  private get isEverywhere(): boolean {
    return this.choice.isAll || this.choice.hasKernel;
  }

  private monitor(pgd: bigint): void {
    if (this.monitored.has(pgd)) return;
    this.monitored.add(pgd);
    startMonitoringProcess(pgd);
  }

  private unmonitor(): void {
    for (const pgd of this.monitored) stopMonitoringProcess(pgd);
    this.monitored.clear();
  }

  private choose(): void {
    this.callbacks.setTriggerVar(CALLBACK, "spaces", bytesOf(this.spaces.list()));
    this.callbacks.callTriggerFunction(CALLBACK, "choose");
  }

  private readKernel(): void {
    this.spaces.begin(0n, 0, "kernel");
    if (findSystem() === undefined) return;
    for (const { base, size, name, path } of getModuleList(0n)) {
      this.spaces.addModule(0n, { base, size, path: path || (name === "kernel" ? "vmlinux" : name) });
    }
  }

  /** Takes what is new. */
  private take(): void {
    if (!this.isCollecting || !this.callbacks.callbackExists(CALLBACK)) return;
    this.callbacks.callTriggerFunction(CALLBACK, "take");
    const blocks = this.read("blocks");
    let of = new Map<Place, number>();
    for (let at = 0; at < blocks.byteLength; at += BLOCK) {
      // Most are of the same address space as the one before.
      if (at === 0 || !isSameWord(blocks, at, at - BLOCK)) of = this.spaces.getBlocks(blocks.getBigUint64(at, true));
      of.set(placeAt(blocks, at + 8), blocks.getUint32(at + 16, true));
    }
    const jumps = this.read("jumps");
    for (let at = 0; at < jumps.byteLength; at += JUMP) {
      this.spaces.addEdge(jumps.getBigUint64(at, true), placeAt(jumps, at + 8), placeAt(jumps, at + 16));
    }
  }

  private read(variable: string): DataView {
    const bytes = this.callbacks.getTriggerVar(CALLBACK, variable) as Uint8Array;
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

/** An address as a number, exact in the lower and in the upper half of addresses: that is below zero. */
function placeAt(view: DataView, at: number): Place {
  return view.getInt32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}

function isSameWord(view: DataView, one: number, other: number): boolean {
  return (
    view.getUint32(one, true) === view.getUint32(other, true) &&
    view.getUint32(one + 4, true) === view.getUint32(other + 4, true)
  );
}

function bytesOf(list: readonly bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(list).buffer);
}

function showEdge({ pid, from, to }: { readonly pid: number; readonly from: string; readonly to: string }): string {
  return `${pid} ${from} ${to}\n`;
}

function showBigint(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `0x${value.toString(16)}` : value;
}
