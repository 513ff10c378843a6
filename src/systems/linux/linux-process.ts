import type { GuestClock, GuestProcess } from "../guest-system";
import { type PageRun, ResidentPages } from "../memory/resident-pages";
import { MemorySearch, type MemorySearchOptions } from "../memory/search/memory-search";
import type { SearchPattern } from "../memory/search/search-pattern";
import { type Credentials, readCredentials } from "./processes/credentials";
import { KernelDataError } from "../errors";
import type { LinuxKernel } from "./structs/linux-kernel";
import type { PageCache } from "./files/page-cache";
import type { PathReader } from "./files/path-reader";
import { readCommandLine, readEnvironment, splitWords } from "./processes/command-line";
import type { Mapping, MemoryMapReader } from "./processes/memory-map";
import { listMounts, type Mount } from "./files/mount";
import { findOpenFile, listOpenFiles, type OpenFile } from "./files/open-file";
import { findSocket, type GuestSocket } from "./network/socket";
import type { StructCursor } from "../structs/struct-cursor";
import type { TaskFacts, TaskReader } from "./processes/task-reader";

const PAGE = 0x1000n;
/** Of one piece. */
const MOST_BYTES = 512 << 20;

/** Everything that reading a process needs. A LinuxGuest has all of it. */
export interface ProcessReaders {
  readonly kernel: LinuxKernel;
  readonly tasks: TaskReader;
  readonly paths: PathReader;
  readonly maps: MemoryMapReader;
  readonly clock: GuestClock;
  readonly pageCache: PageCache;
}

/** A piece of a process' memory. */
export interface ProcessMemory {
  /** Zeros where pages are missing. */
  readonly bytes: Buffer;
  /** The addresses of pages that are neither in RAM nor in the kernel's cache of the file that is mapped there. */
  readonly missing: readonly bigint[];
}

/**
 * A process of the guest: all of its threads. A first thread that has ended has no memory, files or folders any more, while
 * others live on with them; these are read through the first thread that lives.
 *
 * The plain members are as they were when the list was made; getters and methods read memory when
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
  /** The address of the task_struct of its first thread, which is there until all threads have ended. */
  readonly kaddr: bigint;
  readonly isKernelThread: boolean;
  readonly #guest: ProcessReaders;

  constructor(guest: ProcessReaders, facts: TaskFacts, ppid: number) {
    this.#guest = guest;
    this.pid = facts.tgid;
    this.ppid = ppid;
    this.pgd = findPgd(guest.tasks, facts);
    this.name = facts.name;
    this.kaddr = facts.kaddr;
    this.isKernelThread = facts.isKernelThread;
  }

  /** The number of the thread group: what user space calls the process' number. */
  get tgid(): number {
    return this.#leader().number("tgid");
  }

  /** The real user's number. */
  get uid(): number {
    return this.credentials.uid;
  }

  get credentials(): Credentials {
    return readCredentials(this.#guest.kernel, this.#task().address);
  }

  /** The threads, the first one included, also when that has ended. */
  get threads(): TaskFacts[] {
    return [...this.#guest.tasks.listThreads(this.#leader().address)];
  }

  /**
   * The first thread that has not ended, through which memory, files and folders are read; the first thread itself for a kernel
   * thread and for a process that has ended (a zombie).
   */
  get livingThread(): TaskFacts {
    const { tasks } = this.#guest;
    const leader = tasks.read(this.kaddr);
    if (leader.tgid !== this.pid) throw new KernelDataError("a task_struct", this.kaddr, `process ${this.pid} is gone`);
    return tasks.findLiving(leader);
  }

  /**
   * The words of the command line, which the process can change at any time; none for a kernel thread. A callback of EXEC_CB has
   * those with which the program was started.
   */
  get commandLine(): string[] {
    return splitWords(this.commandLineBytes);
  }

  /** The command line as /proc/PID/cmdline has it, byte for byte: each word ends with a zero. */
  get commandLineBytes(): Uint8Array {
    const space = this.#space();
    return space ? readCommandLine(space, this.#guest.kernel.space(this.pgd)) : new Uint8Array();
  }

  /**
   * The words NAME=VALUE of the environment that the program was started with, as /proc/PID/environ has them: the process can
   * overwrite them, but what it sets later is elsewhere. None for a kernel thread.
   */
  get environment(): string[] {
    const space = this.#space();
    return space ? splitWords(readEnvironment(space, this.#guest.kernel.space(this.pgd))) : [];
  }

  /** The path of the program; empty for a kernel thread. */
  get executable(): string {
    const file = this.#space()?.value("exe_file") ?? 0n;
    return file === 0n ? "" : this.#guest.paths.readFile(file);
  }

  /** The path of the folder that relative paths begin at; empty for a process that has ended. */
  get workingFolder(): string {
    return this.#readFolder("pwd");
  }

  /** The path of the folder that is "/" for it: another one than the guest's in a container, or after chroot(). */
  get rootFolder(): string {
    return this.#readFolder("root");
  }

  /** The time at which it was started, by the guest's clock. */
  get startTime(): Date {
    return new Date(Number((this.#guest.clock.bootTimeNs + this.startTimeNs) / 1_000_000n));
  }

  /** The time at which it was started, in nanoseconds since the kernel started. */
  get startTimeNs(): bigint {
    return this.#leader().value("start_boottime", "real_start_time");
  }

  /** The mappings of its memory; none for a kernel thread. */
  get memoryMap(): Mapping[] {
    const space = this.#space();
    return space ? this.#guest.maps.read(space.address) : [];
  }

  get openFiles(): OpenFile[] {
    return listOpenFiles(this.#guest.kernel, this.#guest.paths, this.#task().address);
  }

  /** Finds an open file by its descriptor, without reading those that are open beside it. */
  findOpenFile(descriptor: number): OpenFile | undefined {
    return findOpenFile(this.#guest.kernel, this.#guest.paths, this.#task().address, descriptor);
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
      return this.livingThread.pgd === this.pgd;
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
   * Reads a piece of its memory as the process would see it: also pages that it has not touched yet, of files that are mapped there.
   *
   * @param size in bytes, at most 512 MiB
   * @throws RangeError for another size; KernelDataError when it is gone, or its mappings are damaged
   */
  readMemory(address: bigint, size: number): ProcessMemory {
    if (!(size > 0 && size <= MOST_BYTES))
      throw new RangeError(`${size} bytes cannot be read at once: 1 to ${MOST_BYTES}`);
    const { kernel, pageCache } = this.#guest;
    const bytes = Buffer.alloc(size);
    const end = address + BigInt(size);
    const lay = (from: bigint, piece: Uint8Array): void => {
      const [start, stop] = [from < address ? address : from, from + BigInt(piece.length)];
      if (stop > start) bytes.set(piece.subarray(Number(start - from), Number((stop < end ? stop : end) - from)), Number(start - address)); // prettier-ignore
    };
    const absent = new Set<bigint>();
    for (let page = address & ~(PAGE - 1n); page < end; page += PAGE) absent.add(page);
    const pages = new ResidentPages(kernel.ram, kernel.image.tables.mode);
    const missing: bigint[] = [];
    for (const run of pages.walk(Number(this.pgd), address, end)) {
      if (run.bytes !== undefined) lay(run.address, run.bytes);
      for (let at = 0n; at < BigInt(run.size); at += PAGE) {
        absent.delete(run.address + at);
        // Swapped out: the file, if there is one, has something older.
        if (run.bytes === undefined) missing.push(run.address + at);
      }
    }
    const mappings = absent.size === 0 ? [] : this.memoryMap;
    for (const page of absent) {
      const mapping = mappings.find(({ start, end: last }) => page >= start && page < last);
      // Memory that is no file's is zeros until it is touched.
      if (mapping?.file === 0n) continue;
      const piece = mapping && pageCache.find(mapping.file, page - mapping.start + mapping.offset, Number(PAGE));
      if (piece === undefined) missing.push(page);
      else lay(page, piece);
    }
    return { bytes, missing };
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

  #readFolder(member: "pwd" | "root"): string {
    const fs = this.#task().follow("fs");
    return fs ? this.#guest.paths.readPath(fs.member(member)) : "";
  }

  #space(): StructCursor | undefined {
    return this.#task().follow("mm");
  }

  /** The first thread, which has the process' number and the time of its start. */
  #leader(): StructCursor {
    const { kernel, tasks } = this.#guest;
    if (tasks.read(this.kaddr).tgid !== this.pid) {
      throw new KernelDataError("a task_struct", this.kaddr, `process ${this.pid} is gone`);
    }
    return kernel.at("task_struct", this.kaddr);
  }

  /** The thread through which all is read that a process has as long as one of its threads lives. */
  #task(): StructCursor {
    return this.#guest.kernel.at("task_struct", this.livingThread.kaddr);
  }
}

/** A damaged list of one process' threads does not keep the others from being listed. */
function findPgd(tasks: TaskReader, leader: TaskFacts): bigint {
  try {
    return tasks.findLiving(leader).pgd;
  } catch (error) {
    if (error instanceof KernelDataError) return 0n;
    throw error;
  }
}
