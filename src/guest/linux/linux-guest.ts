import type { GuestSymbol } from "../../symbols/symbol-table";
import { type GuestClock, readClock } from "./clock";
import { type LogRecord, readKernelLog } from "./kernel-log";
import { type KernelModule, listKernelModules } from "./kernel-module";
import type { LinuxKernel } from "./linux-kernel";
import { LinuxProcess } from "./linux-process";
import { MemoryMapReader } from "./memory-map";
import { ModuleSymbols } from "./module-symbols";
import { PathReader } from "./path-reader";
import { TaskReader } from "./task-reader";

/** The name of the kernel itself among the modules. */
export const KERNEL = "kernel";

/** What a Linux guest is doing, read from its memory. */
export class LinuxGuest {
  /** Reads single tasks, by the address of their task_struct. */
  readonly tasks: TaskReader;
  readonly #moduleSymbols = new Map<bigint, { key: string; symbols: ModuleSymbols }>();
  #paths: PathReader | undefined;
  #maps: MemoryMapReader | undefined;

  constructor(readonly kernel: LinuxKernel) {
    this.tasks = new TaskReader(kernel);
  }

  get paths(): PathReader {
    this.#paths ??= new PathReader(this.kernel);
    return this.#paths;
  }

  get maps(): MemoryMapReader {
    this.#maps ??= new MemoryMapReader(this.kernel, this.paths);
    return this.#maps;
  }

  /** The guest's clock, as of its kernel's last tick. */
  get clock(): GuestClock {
    return readClock(this.kernel);
  }

  /**
   * Lists the processes, kernel threads included, in the order in which they were started.
   *
   * @throws KernelDataError when the kernel's list is damaged
   */
  getProcessList(): LinuxProcess[] {
    const facts = [...this.tasks.list()];
    const pids = new Map(facts.map(({ kaddr, tgid }) => [kaddr, tgid]));
    // A parent that is not in the list is a thread of another process, or the idle task.
    const findPid = (task: bigint): number => pids.get(task) ?? (task === 0n ? 0 : this.tasks.read(task).tgid);
    return facts.map((task) => new LinuxProcess(this, task, findPid(task.parent)));
  }

  /** Finds the process that has an address space. */
  findProcess(pgd: bigint): LinuxProcess | undefined {
    return pgd === 0n ? undefined : this.getProcessList().find((process) => process.pgd === pgd);
  }

  /** Lists the kernel modules, the one that was loaded last first. @throws KernelDataError */
  getKernelModules(): KernelModule[] {
    return listKernelModules(this.kernel);
  }

  /** Gets the symbols of a kernel module. @throws KernelDataError */
  getModuleSymbols(module: KernelModule): ModuleSymbols {
    // A module that was unloaded may have left its place to another.
    const key = `${module.name} ${module.base}`;
    const known = this.#moduleSymbols.get(module.kaddr);
    if (known?.key === key) return known.symbols;
    const symbols = ModuleSymbols.read(this.kernel, module.kaddr);
    this.#moduleSymbols.set(module.kaddr, { key, symbols });
    return symbols;
  }

  /** Finds the symbol at or before an address of the kernel or of one of its modules. */
  findKernelSymbol(address: bigint): (GuestSymbol & { readonly module: string }) | undefined {
    const { start, size } = this.kernel.image;
    if (address >= start && address < start + BigInt(size)) {
      const symbol = this.kernel.symbols.findSymbol(address);
      return symbol && { ...symbol, module: KERNEL };
    }
    const module = this.getKernelModules().find(({ memory }) =>
      memory.some((piece) => address >= piece.base && address < piece.base + BigInt(piece.size)),
    );
    const symbol = module && this.getModuleSymbols(module).findSymbol(address);
    return symbol && { ...symbol, module: module.name };
  }

  /** Reads the kernel's log, oldest record first. @throws KernelDataError */
  getKernelLog(): LogRecord[] {
    return readKernelLog(this.kernel);
  }
}
