import { CodeWatches } from "../../machine/callbacks/code-watches";
import { getRunningProcess } from "../../machine/state/processes";
import type { Cpu } from "../../machine/state/cpu";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { Mapping } from "../../systems/linux/processes/memory-map";
import { ResidentPages } from "../../systems/memory/resident-pages";
import { CurrentTask } from "../events/current-task";
import { type HookCallbacks, ScopeHooks } from "../scope/scope-hooks";
import { onAdoption } from "../scope/current-scope";
import type { TargetScope } from "../scope/target-scope";
import { guessEntry } from "./code-entry";
import { CodeLayers, type CodeRegion, isSameCode } from "./code-layers";
import { ExecutableMemory } from "./executable-memory";
import type { CodeFiles, KeptCode } from "./kept-code";
import { USER_REGISTERS, UserRegisters } from "./user-registers";

const PAGE = 4096n;
/** The words of a caller's stack that may say where it was called from. */
const STACK_WORDS = 8;
/** Pages with new code that are looked at, in one address space: one that has more is a compiler. */
const MOST_LOOKS = 5_000;
/** Ranges that are made executable, in one address space. */
const MOST_MADE = 2_000;
/** Regions that are told, of one layer of an address space, and of all. */
const MOST_OF_LAYER = 8;
const MOST_TOLD = 64;

/** Code that a process of the scope has written, or got written, and is about to execute. */
export interface WrittenCode extends KeptCode {
  readonly pid: number;
  readonly process: string;
  /** 1 for code that the program's own files have written, 2 for code that such code has written, and so on; at least. */
  readonly layer: number;
  /** The entry point, as far as it can be guessed. Addresses are in hexadecimal. */
  readonly entry: string;
  /** The first address in it that is executed. */
  readonly first: string;
  readonly start: string;
  readonly end: string;
  /** Bytes that were in RAM. */
  readonly size: number;
  /** The file that the memory was mapped from; empty without one. */
  readonly path: string;
}

/** An address space of the scope. */
interface Space {
  readonly pgd: bigint;
  readonly pids: Set<number>;
  readonly layers: CodeLayers;
  /** By layer. */
  readonly told: Map<number, number>;
  looks: number;
  made: number;
}

/** Tells when processes of a scope execute code that was written at run time, and keeps it as it is at that moment. */
export class WrittenCodeWatch {
  readonly #guest: LinuxGuest;
  readonly #current: CurrentTask;
  readonly #registers: UserRegisters;
  readonly #watches: CodeWatches;
  readonly #memory: ExecutableMemory;
  readonly #spaces = new Map<bigint, Space>();
  readonly #ends: (() => void)[] = [];

  /**
   * @param callbacks that the hooks go with
   * @param files that the code is written to
   * @param listener is called before the code is executed
   */
  constructor(
    guest: LinuxGuest,
    callbacks: HookCallbacks,
    private readonly scope: TargetScope,
    private readonly files: CodeFiles,
    private readonly listener: (code: WrittenCode) => void,
    private readonly onProblem: (text: string) => void,
  ) {
    this.#guest = guest;
    this.#current = new CurrentTask(guest);
    this.#registers = new UserRegisters(guest);
    const hooks = new ScopeHooks(guest, callbacks, scope.conditions, onProblem);
    this.#memory = new ExecutableMemory(guest, hooks, scope, (mappings, task) => this.#onMade(mappings, task));
    this.#watches = new CodeWatches((cpu, pc, writer) => this.#attempt(() => this.#onCode(cpu, pc, writer)));
  }

  /** Follows the scope from now on. @returns the calls that this kernel does not show */
  hook(): string[] {
    const missing = this.#memory.hook();
    this.#ends.push(
      this.scope.follow({
        begins: ({ pid, ppid, pgd }) => this.#onFork(pid, ppid, pgd),
        executes: ({ pid, pgd }, _ppid, _origin, { mm }) => this.#onProgram(pid, pgd, mm, false),
        ends: ({ pid }) => this.#release(pid),
      }),
      onAdoption((pid, pgd) => this.#attempt(() => this.#onOther(pid, pgd, true))),
    );
    for (const { pid, pgd } of this.#guest.getProcessList()) {
      if (this.scope.findOrigin(pid) !== undefined) this.#onOther(pid, pgd, false);
    }
    return missing;
  }

  /** Follows nothing any more. */
  end(): void {
    for (const end of this.#ends.splice(0)) end();
    this.#watches.end();
    this.#spaces.clear();
  }

  #getSpace(pid: number, pgd: bigint): Space {
    let space = this.#spaces.get(pgd);
    if (space === undefined) {
      space = { pgd, pids: new Set(), layers: new CodeLayers(), told: new Map(), looks: 0, made: 0 };
      this.#spaces.set(pgd, space);
    }
    space.pids.add(pid);
    return space;
  }

  /** An address space goes with the last process that has it. */
  #release(pid: number): void {
    for (const space of this.#spaces.values()) {
      if (!space.pids.delete(pid) || space.pids.size > 0) continue;
      this.#spaces.delete(space.pgd);
      this.#watches.remove(space.pgd);
    }
  }

  /** A child has a copy of what its parent has, and executes it as known. */
  #onFork(pid: number, ppid: number, pgd: bigint): void {
    const parent = [...this.#spaces.values()].find(({ pids }) => pids.has(ppid));
    if (parent === undefined || parent.pgd === pgd || parent.layers.ranges.length === 0) {
      if (parent?.pgd === pgd) parent.pids.add(pid);
      return;
    }
    const { told, looks, made } = parent;
    const space = { pgd, pids: new Set([pid]), layers: parent.layers.copy(), told: new Map(told), looks, made };
    this.#spaces.set(pgd, space);
    for (const { start, end } of space.layers.ranges) this.#watches.add(pgd, start, end);
    for (const { start, end } of space.layers.regions) this.#watches.settle(pgd, start, end);
  }

  /** @param isOther another process may change it, also its files' code */
  #onProgram(pid: number, pgd: bigint, mm: bigint, isOther: boolean): void {
    this.#release(pid);
    const mappings = mm === 0n ? [] : this.#memory.list(mm, false, isOther);
    if (mappings.length > 0) this.#watch(this.#getSpace(pid, pgd), mappings, []);
  }

  /** A process that was there before. */
  #onOther(pid: number, pgd: bigint, isOther: boolean): void {
    for (const leader of this.#guest.tasks.list()) {
      if (leader.tgid !== pid) continue;
      const { mm } = this.#guest.tasks.findLiving(leader);
      this.#onProgram(pid, pgd, mm, isOther);
    }
  }

  #onMade(mappings: readonly Mapping[], task: bigint): void {
    const { tgid, pgd } = this.#guest.tasks.read(task);
    const space = this.#getSpace(tgid, pgd);
    if (++space.made > MOST_MADE) {
      if (space.made === MOST_MADE + 1) this.onProblem(`process ${tgid} makes memory executable very often: of that, ${MOST_MADE} times are followed`); // prettier-ignore
      return;
    }
    this.#watch(space, mappings, this.#listCallers(task, pgd));
  }

  #watch(space: Space, mappings: readonly Mapping[], callers: readonly bigint[]): void {
    if (space.looks > MOST_LOOKS) return;
    for (const { start, end } of mappings) {
      space.layers.noteMade(start, end, callers);
      this.#watches.add(space.pgd, start, end);
    }
  }

  /** Where a task is in its program, and what the top of its stack may say about who has called it. */
  #listCallers(task: bigint, pgd: bigint): bigint[] {
    const registers = this.#registers.read({ kaddr: task });
    if (registers === undefined) return [];
    const get = (name: (typeof USER_REGISTERS)[number]): bigint => registers[USER_REGISTERS.indexOf(name)]!;
    const stack = this.#guest.kernel.space(pgd).readSome(get("RSP"), STACK_WORDS * 8);
    const words = Array.from({ length: stack.length >> 3 }, (_, index) => stack.readBigUInt64LE(index * 8));
    return [get("RIP"), ...words];
  }

  #onCode(cpu: Cpu, pc: bigint, writer: bigint): void {
    const space = this.#spaces.get(getRunningProcess(cpu.index));
    // In a program the base of the vCPU's own data is set aside.
    const address = cpu.CPL === 3n ? this.#current.findEntering(cpu) : undefined;
    if (space === undefined || address === undefined) return;
    const task = this.#guest.tasks.read(address);
    if (++space.looks > MOST_LOOKS) {
      this.onProblem(`process ${task.tgid} executes new code very often, as a compiler does: it is watched no longer`);
      return this.#watches.remove(space.pgd);
    }
    const page = pc - (pc % PAGE);
    const bytes = this.#guest.kernel.space(space.pgd).readSome(page, Number(PAGE));
    const judged = space.layers.judge(pc, bytes, writer);
    if (judged === undefined) return;
    const mappings = this.#memory.list(task.mm, true, true);
    const at = mappings.findIndex(({ start, end }) => pc >= start && pc < end);
    if (at < 0 || this.#isOfFile(mappings[at]!, pc, bytes)) return;
    if (!judged.isNew) return space.layers.update(pc, bytes);
    const { layer } = judged;
    const told = space.told.get(layer) ?? 0;
    const all = [...space.told.values()].reduce((sum, count) => sum + count, 0);
    if (told >= MOST_OF_LAYER || all >= MOST_TOLD) {
      return space.layers.add({ start: page, end: page + PAGE, layer, pages: new Map([[page, bytes]]) });
    }
    const region = this.#readRegion(space, mappings, at, layer);
    space.layers.add(region);
    this.#watches.settle(space.pgd, region.start, region.end);
    space.told.set(layer, told + 1);
    const place = { start: region.start, end: region.end, mm: task.mm, pgd: space.pgd, first: pc };
    this.listener({
      ...{ pid: task.tgid, process: task.name, layer, entry: show(guessEntry(this.#guest, place)), first: show(pc) },
      ...{ start: show(region.start), end: show(region.end), size: region.pages.size * Number(PAGE) },
      path: mappings[at]!.path,
      ...this.files.write(this.#guest, region, task.tgid, address),
    });
  }

  /** Whether the code at an address is what its file has there. */
  #isOfFile({ file, start, offset, permissions }: Mapping, pc: bigint, bytes: Uint8Array): boolean {
    if (file === 0n || permissions[3] !== "p") return false;
    const page = pc - (pc % PAGE);
    const cached = this.#guest.pageCache.find(file, offset + page - start, Number(PAGE));
    if (cached === undefined || !isSameCode(pc, bytes, cached)) return false;
    // Code of a file without a name was written by a program in any case.
    return this.#guest.kernel.at("file", file).follow("f_inode")?.number("i_nlink") !== 0;
  }

  /** A program may have made its code executable piece by piece: neighbours are one. */
  #readRegion(space: Space, mappings: readonly Mapping[], at: number, layer: number): CodeRegion {
    const has = (index: number): boolean => {
      const one = mappings[index];
      return one !== undefined && space.layers.ranges.some(({ start, end }) => start < one.end && end > one.start);
    };
    let [first, last] = [at, at];
    while (has(first - 1) && mappings[first - 1]!.end === mappings[first]!.start) first--;
    while (has(last + 1) && mappings[last + 1]!.start === mappings[last]!.end) last++;
    const [from, to] = [mappings[first]!.start, mappings[last]!.end];
    const { kernel } = this.#guest;
    const pages = new Map<bigint, Uint8Array>();
    for (const { address, size, bytes } of new ResidentPages(kernel.ram, kernel.image.tables.mode).walk(
      Number(space.pgd),
      from,
      to,
    )) {
      for (
        let done = 0;
        bytes !== undefined && done < size && pages.size < this.files.mostPages;
        done += Number(PAGE)
      ) {
        pages.set(address + BigInt(done), Buffer.from(bytes.subarray(done, done + Number(PAGE))));
      }
    }
    const present = [...pages.keys()];
    // What lies around it was never there.
    return { start: present[0] ?? from, end: (present.at(-1) ?? from) + PAGE, layer, pages };
  }

  #attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.onProblem(error instanceof Error ? error.message : String(error));
    }
  }
}

function show(address: bigint): string {
  return `0x${address.toString(16)}`;
}
