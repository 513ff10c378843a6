import type { GuestClock, GuestProcess } from "../guest-system";
import { type PageRun, ResidentPages } from "../memory/resident-pages";
import { MemorySearch, type MemorySearchOptions } from "../memory/search/memory-search";
import type { SearchPattern } from "../memory/search/search-pattern";
import { type Credentials, readCredentials } from "./processes/credentials";
import { KernelDataError } from "../errors";
import { walkList } from "./structs/kernel-list";
import type { LinuxKernel } from "./structs/linux-kernel";
import type { PathReader } from "./files/path-reader";
import type { Mapping, MemoryMapReader } from "./processes/memory-map";
import { listMounts, type Mount } from "./files/mount";
import { listOpenFiles, type OpenFile } from "./files/open-file";
import { findSocket, type GuestSocket } from "./network/socket";
import type { StructCursor } from "./structs/struct-cursor";
import type { TaskFacts, TaskReader } from "./processes/task-reader";

const LONGEST_COMMAND_LINE = 0x20000;
const MOST_THREADS = 1 << 20;

/** Everything that reading a process needs. A LinuxGuest has all of it. */
export interface ProcessReaders {
  readonly kernel: LinuxKernel;
  readonly tasks: TaskReader;
  readonly paths: PathReader;
  readonly maps: MemoryMapReader;
  readonly clock: GuestClock;
}

/**
 * A process of the guest. The plain members are as they were when the list was made; getters and methods read memory when
 * they are asked, and throw a KernelDataError when the process is gone by then.
 */
export class LinuxProcess implements GuestProcess {
  readonly pid: number;
  /** The parent's pid; 0 for the first processes. */
  readonly ppid: number;
  /** The address space, as callbacks report it; 0 for a kernel thread and for a process that has ended (a zombie). */
  readonly pgd: bigint;
  /** The kernel's name of it: at most 15 bytes, which the process chooses. */
  readonly name: string;
  /** The address of its task_struct. */
  readonly kaddr: bigint;
  readonly isKernelThread: boolean;
  readonly #guest: ProcessReaders;

  constructor(guest: ProcessReaders, facts: TaskFacts, ppid: number) {
    this.#guest = guest;
    this.pid = facts.tgid;
    this.ppid = ppid;
    this.pgd = facts.pgd;
    this.name = facts.name;
    this.kaddr = facts.kaddr;
    this.isKernelThread = facts.isKernelThread;
  }

  /** The number of the thread group: what user space calls the process' number. */
  get tgid(): number {
    return this.#task().number("tgid");
  }

  /** The real user's number. */
  get uid(): number {
    return this.credentials.uid;
  }

  get credentials(): Credentials {
    return readCredentials(this.#guest.kernel, this.#task().address);
  }

  /** The threads, the first one included. */
  get threads(): TaskFacts[] {
    const { kernel, tasks } = this.#guest;
    const signal = this.#task().follow("signal");
    if (!signal) return [];
    const threads: TaskFacts[] = [];
    const what = `the threads of process ${this.pid}`;
    const offset = kernel.offset("task_struct", "thread_node");
    for (const thread of walkList(kernel.memory, signal.addressOf("thread_head"), what, offset)) {
      if (threads.length >= MOST_THREADS) throw new KernelDataError(what, thread, "there are too many");
      threads.push(tasks.read(thread));
    }
    return threads;
  }

  /** The words of the command line, which the process can change; empty for a kernel thread. */
  get commandLine(): string[] {
    const space = this.#space();
    if (!space) return [];
    const start = space.value("arg_start");
    const size = Number(space.value("arg_end") - start);
    if (!(size > 0)) return [];
    const bytes = this.#guest.kernel.space(this.pgd).readSome(start, Math.min(size, LONGEST_COMMAND_LINE));
    const text = bytes.toString("utf8").replace(/\0+$/, "");
    return text === "" ? [] : text.split("\0");
  }

  /** The path of the program; empty for a kernel thread. */
  get executable(): string {
    const file = this.#space()?.value("exe_file") ?? 0n;
    return file === 0n ? "" : this.#guest.paths.readFile(file);
  }

  /** The time at which it was started, by the guest's clock. */
  get startTime(): Date {
    const sinceBootNs = this.#task().value("start_boottime", "real_start_time");
    return new Date(Number((this.#guest.clock.bootTimeNs + sinceBootNs) / 1_000_000n));
  }

  /** The time at which it was started, in nanoseconds since the kernel started. */
  get startTimeNs(): bigint {
    return this.#task().value("start_boottime", "real_start_time");
  }

  /** The mappings of its memory; none for a kernel thread. */
  get memoryMap(): Mapping[] {
    const space = this.#space();
    return space ? this.#guest.maps.read(space.address) : [];
  }

  get openFiles(): OpenFile[] {
    return listOpenFiles(this.#guest.kernel, this.#guest.paths, this.#task().address);
  }

  get sockets(): GuestSocket[] {
    return this.openFiles.map((file) => findSocket(this.#guest.kernel, file)).filter((socket) => socket !== undefined);
  }

  /** The mounts of its namespace. */
  get mounts(): Mount[] {
    return listMounts(this.#guest.kernel, this.#guest.paths, this.#task().address);
  }

  /** Whether it is still there, with the address space that it had when the list was made. */
  get isAlive(): boolean {
    try {
      const { tgid, pgd } = this.#guest.tasks.read(this.kaddr);
      return tgid === this.pid && pgd === this.pgd;
    } catch (error) {
      if (error instanceof KernelDataError) return false;
      throw error;
    }
  }

  /**
   * Walks the pages of its memory that are in RAM, in the order of their addresses, zero-copy. The guest must be paused as long
   * as that takes, since the places of pages are looked up a little ahead.
   *
   * @throws KernelDataError when it is gone, or its mappings are damaged
   */
  *walkMemory(): Iterable<PageRun> {
    const { kernel } = this.#guest;
    const pages = new ResidentPages(kernel.ram, kernel.image.tables.mode);
    for (const { start, end } of this.memoryMap) yield* pages.walk(Number(this.pgd), start, end);
  }

  /**
   * Prepares a search of its memory: of all that it has mapped and that is in RAM, also what it has forbidden itself to read.
   *
   * @throws KernelDataError when it is gone, or its mappings are damaged
   */
  createSearch(patterns: readonly SearchPattern[], options?: MemorySearchOptions): MemorySearch {
    const { kernel } = this.#guest;
    const { mode } = kernel.image.tables;
    return new MemorySearch(kernel.ram, mode, Number(this.pgd), this.memoryMap, patterns, options);
  }

  #space(): StructCursor | undefined {
    return this.#task().follow("mm");
  }

  #task(): StructCursor {
    const { kernel, tasks } = this.#guest;
    if (tasks.read(this.kaddr).tgid !== this.pid) {
      throw new KernelDataError("a task_struct", this.kaddr, `process ${this.pid} is gone`);
    }
    return kernel.at("task_struct", this.kaddr);
  }
}
