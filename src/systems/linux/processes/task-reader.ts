import type { MemoryPlace, VirtualMemory } from "../../memory/virtual-memory";
import { KernelDataError } from "../../errors";
import { walkList } from "../../structs/kernel-list";
import type { LinuxKernel } from "../structs/linux-kernel";

/** TASK_COMM_LEN */
const NAME_SIZE = 16;
const PF_KTHREAD = 0x00200000;
const MOST_THREADS = 1 << 20;

/** The content of a task_struct at the moment at which it is read. */
export interface TaskFacts {
  /** The address of the task_struct. */
  readonly kaddr: bigint;
  /** The number of the thread, which the kernel calls pid. */
  readonly tid: number;
  /** The number of the process: of its first thread. */
  readonly tgid: number;
  readonly name: string;
  readonly parent: bigint;
  /** The address of the mm_struct; 0 for a kernel thread and for a process that has ended. */
  readonly mm: bigint;
  /** The physical address of the page table, as callbacks report it; 0 without an address space of its own. */
  readonly pgd: bigint;
  readonly isKernelThread: boolean;
}

/** Reads tasks. Offsets are looked up once. */
export class TaskReader {
  readonly #kernel: LinuxKernel;
  readonly #memory: VirtualMemory;
  readonly #size: number;
  readonly #pid: number;
  readonly #tgid: number;
  readonly #comm: number;
  readonly #parent: number;
  readonly #mm: number;
  readonly #flags: number;
  readonly #tasks: number;
  readonly #pgd: bigint;

  /** @throws MissingTypeError */
  constructor(kernel: LinuxKernel) {
    this.#kernel = kernel;
    this.#memory = kernel.memory;
    this.#pid = kernel.offset("task_struct", "pid");
    this.#tgid = kernel.offset("task_struct", "tgid");
    this.#comm = kernel.offset("task_struct", "comm");
    this.#parent = kernel.offset("task_struct", "real_parent");
    this.#mm = kernel.offset("task_struct", "mm");
    this.#flags = kernel.offset("task_struct", "flags");
    this.#tasks = kernel.offset("task_struct", "tasks");
    this.#pgd = BigInt(kernel.offset("mm_struct", "pgd"));
    const members = [this.#pid, this.#tgid, this.#comm + NAME_SIZE, this.#parent, this.#mm, this.#flags, this.#tasks];
    this.#size = Math.max(...members) + 8;
  }

  /** The offsets of a task's facts in task_struct, and that of pgd in mm_struct. */
  get offsets(): Readonly<Record<"flags" | "mm" | "tid" | "tgid" | "name" | "pgd", number>> {
    const [flags, mm, tid, tgid, name] = [this.#flags, this.#mm, this.#pid, this.#tgid, this.#comm];
    return { flags, mm, tid, tgid, name, pgd: Number(this.#pgd) };
  }

  /**
   * Reads a task.
   *
   * @param task the address of its task_struct
   * @throws KernelDataError when there is none
   */
  read(task: bigint): TaskFacts {
    const { view, offset } = this.#place(task);
    const mm = this.#pointer(view, offset + this.#mm);
    return {
      kaddr: task,
      tid: view.getInt32(offset + this.#pid, true),
      tgid: view.getInt32(offset + this.#tgid, true),
      name: readName(view, offset + this.#comm),
      parent: this.#pointer(view, offset + this.#parent),
      mm,
      pgd: this.#findPgd(mm),
      isKernelThread: (view.getUint32(offset + this.#flags, true) & PF_KTHREAD) !== 0,
    };
  }

  /**
   * Lists the first threads of all processes, from init on; the idle task is not among them.
   *
   * @throws KernelDataError when the list of tasks is damaged
   */
  *list(): Iterable<TaskFacts> {
    const head = this.#kernel.symbol("init_task") + BigInt(this.#tasks);
    for (const task of walkList(this.#memory, head, "the list of tasks", this.#tasks)) yield this.read(task);
  }

  /**
   * Lists the threads of a process that the kernel still has, in the order in which they were made.
   *
   * @param task the address of the task_struct of any of them
   * @throws KernelDataError when the list is damaged
   */
  *listThreads(task: bigint): Iterable<TaskFacts> {
    const what = "the threads of a process";
    const offset = (struct: string, member: string): number => this.#kernel.offset(struct, member);
    let head: bigint;
    try {
      const signal = this.#memory.pointer(task + BigInt(offset("task_struct", "signal")));
      if (signal === 0n) return;
      head = signal + BigInt(offset("signal_struct", "thread_head"));
    } catch (error) {
      throw KernelDataError.from(error, what, task);
    }
    let left = MOST_THREADS;
    for (const thread of walkList(this.#memory, head, what, offset("task_struct", "thread_node"))) {
      if (left-- === 0) throw new KernelDataError(what, thread, "there are too many");
      yield this.read(thread);
    }
  }

  /**
   * Finds the thread of a process through which its memory, files and paths are read. A first thread that has ended stays until
   * the others have, without any of these (pthread_exit() in main(); kernel/exit.c: do_exit()).
   *
   * @param leader the first thread
   * @returns the first thread that has memory; the leader itself for a kernel thread and a process that has ended
   * @throws KernelDataError when the list of threads is damaged
   */
  findLiving(leader: TaskFacts): TaskFacts {
    if (leader.mm !== 0n || leader.isKernelThread) return leader;
    for (const thread of this.listThreads(leader.kaddr)) if (thread.mm !== 0n) return thread;
    return leader;
  }

  #place(task: bigint): MemoryPlace {
    try {
      return this.#memory.place(task, this.#size);
    } catch (error) {
      throw new KernelDataError("a task_struct", task, (error as Error).message);
    }
  }

  #pointer(view: DataView, offset: number): bigint {
    return this.#memory.pointerSize === 8 ? view.getBigUint64(offset, true) : BigInt(view.getUint32(offset, true));
  }

  #findPgd(mm: bigint): bigint {
    if (mm === 0n) return 0n;
    let table: bigint;
    try {
      table = this.#memory.pointer(mm + this.#pgd);
    } catch {
      throw new KernelDataError("an mm_struct", mm, "nothing is mapped there");
    }
    const physical = this.#memory.translate(table);
    if (physical < 0) {
      const what = `its page table is at 0x${table.toString(16)}, where nothing is mapped`;
      throw new KernelDataError("an mm_struct", mm, what);
    }
    return BigInt(physical);
  }
}

function readName(view: DataView, offset: number): string {
  let name = "";
  for (let at = offset; at < offset + NAME_SIZE; at++) {
    const byte = view.getUint8(at);
    if (byte === 0) break;
    if (byte >= 0x80) return decodeName(view, offset);
    name += String.fromCharCode(byte);
  }
  return name;
}

function decodeName(view: DataView, offset: number): string {
  const bytes = Buffer.from(view.buffer, view.byteOffset + offset, NAME_SIZE);
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? NAME_SIZE : end);
}
