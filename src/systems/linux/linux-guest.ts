import type { GuestClock, GuestSystem } from "../guest-system";
import type { CompoundType } from "../symbols/guest-type";
import type { TypeSource } from "../symbols/type-source";
import { KernelDataError, MissingTypeError } from "../errors";
import { readClock } from "./system/clock";
import { GuestSymbols } from "./guest-symbols";
import { type LogRecord, readKernelLog } from "./system/kernel-log";
import { type KernelModule, listKernelModules } from "./modules/kernel-module";
import { walkList } from "../structs/kernel-list";
import type { LinuxKernel } from "./structs/linux-kernel";
import { LinuxProcess } from "./linux-process";
import { MemoryMapReader } from "./processes/memory-map";
import { readModuleTypes } from "./modules/module-types";
import { listNeighbours, type NetworkNeighbour } from "./network/neighbours";
import { listNetworkInterfaces, type NetworkInterface } from "./network/network-interfaces";
import { PageCache } from "./files/page-cache";
import { PathReader } from "./files/path-reader";
import { walkTree } from "./structs/red-black-tree";
import type { SocketFacts } from "./network/socket";
import { findSocketOwners } from "./network/socket-owners";
import { listSockets } from "./network/socket-tables";
import { addressOfStruct, type GuestStruct, type StructName, type StructOf, viewStruct } from "../structs/struct-view";
import { findIsolationBits, kernelTablesOf } from "./processes/isolated-tables";
import { TaskReader } from "./processes/task-reader";

/** __NEW_UTS_LEN and the NUL, include/uapi/linux/utsname.h */
const LONGEST_HOST_NAME = 65;

/** A Linux guest: its processes, files, sockets and structs, read from its memory. */
export class LinuxGuest implements GuestSystem {
  readonly kind = "linux";
  /** Reads single tasks, by the address of their task_struct. */
  readonly tasks: TaskReader;
  /** The names of addresses, of the kernel and of what processes have mapped. */
  readonly symbols: GuestSymbols;
  #paths: PathReader | undefined;
  #maps: MemoryMapReader | undefined;
  #pageCache: PageCache | undefined;

  constructor(readonly kernel: LinuxKernel) {
    this.tasks = new TaskReader(kernel);
    this.symbols = new GuestSymbols(this);
  }

  /** The kernel's banner, as /proc/version has it. */
  get version(): string {
    return this.kernel.banner;
  }

  get bits(): 32 | 64 {
    return this.kernel.bits;
  }

  get kernelEntries(): readonly bigint[] {
    return this.kernel.image.entryPoints;
  }

  get types(): TypeSource {
    return this.kernel.types;
  }

  get paths(): PathReader {
    this.#paths ??= new PathReader(this.kernel);
    return this.#paths.renew();
  }

  get maps(): MemoryMapReader {
    this.#maps ??= new MemoryMapReader(this.kernel, this.paths);
    return this.#maps;
  }

  get pageCache(): PageCache {
    this.#pageCache ??= new PageCache(this.kernel);
    return this.#pageCache;
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

  /**
   * Finds a process: by its number (a number), or by its address space (a bigint).
   *
   * @param which a pid; or a pgd as callbacks give it, or any value of CR3 while the process runs
   * @throws TypeError for anything else
   */
  findProcess(which: number | bigint): LinuxProcess | undefined {
    if (typeof which !== "number" && typeof which !== "bigint") {
      throw new TypeError(`a process is found by its pid, a number, or its pgd, a bigint; this is a ${typeof which}`);
    }
    if (which === 0n) return undefined;
    const processes = this.getProcessList();
    if (typeof which === "number") return processes.find(({ pid }) => pid === which);
    const found = processes.find(({ pgd }) => pgd === which);
    if (found) return found;
    const root = BigInt(kernelTablesOf(this.kernel.image.tables, which));
    return root === 0n ? undefined : processes.find(({ pgd }) => pgd === root);
  }

  /**
   * Reads the path of an open file, as /proc/PID/fd shows it; for hooks on functions of the kernel that are given one.
   *
   * @param file the address of a struct file, or the struct itself
   * @throws KernelDataError when there is none
   */
  pathOf(file: bigint | GuestStruct): string {
    const address = typeof file === "bigint" ? file : addressOfStruct(file);
    try {
      return this.paths.readFile(address);
    } catch (error) {
      throw KernelDataError.from(error, "a struct file", address);
    }
  }

  /**
   * The bits of CR3 that differ between the two page tables of one process, when this kernel isolates page tables; 0n when it
   * does not, and undefined when there are too few processes to tell. One may be in the middle of changing both of its tables.
   */
  get isolationBits(): bigint | undefined {
    const roots = new Set(this.getProcessList().map(({ pgd }) => Number(pgd)));
    roots.delete(0);
    return findIsolationBits(this.kernel.image.tables, [...roots]);
  }

  /** Lists the kernel modules, the one that was loaded last first. @throws KernelDataError */
  getKernelModules(): KernelModule[] {
    return listKernelModules(this.kernel);
  }

  /**
   * Lists all sockets, in all network namespaces, also those that no process has: connections that nobody has accepted yet,
   * that are only being opened, or in TIME_WAIT.
   *
   * @throws KernelDataError when a table of the kernel's is damaged
   */
  getSockets(): SocketFacts[] {
    return listSockets(this.kernel);
  }

  /**
   * Finds which processes have which sockets open.
   *
   * @param processes those that are asked about; all by default
   * @returns by the address of the socket, the kaddr of what getSockets() gives
   * @throws KernelDataError when a table of open files is damaged
   */
  getSocketOwners(processes = this.getProcessList()): Map<bigint, readonly LinuxProcess[]> {
    return findSocketOwners(this.kernel, processes);
  }

  /**
   * Lists the machines that the guest knows on its own links, in all network namespaces: the kernel's tables for ARP and for
   * IPv6's neighbour discovery.
   *
   * @throws KernelDataError when a table is damaged
   */
  getNeighbours(): NetworkNeighbour[] {
    return listNeighbours(this.kernel);
  }

  /**
   * Lists the network interfaces with their addresses, in all network namespaces.
   *
   * @throws KernelDataError when a list of the kernel's is damaged
   */
  getNetworkInterfaces(): NetworkInterface[] {
    return listNetworkInterfaces(this.kernel);
  }

  /**
   * The guest's host name, that of its first UTS namespace: what uname() and hostname say outside of containers
   * (init_uts_ns.name.nodename).
   *
   * @throws KernelDataError when it cannot be read
   */
  get hostName(): string {
    const address = this.kernel.symbol("init_uts_ns");
    try {
      return this.kernel.at("uts_namespace", address).text(LONGEST_HOST_NAME, "name.nodename");
    } catch (error) {
      throw KernelDataError.from(error, "the host name", address);
    }
  }

  /** Reads the kernel's log, oldest record first. @throws KernelDataError */
  getKernelLog(): LogRecord[] {
    return readKernelLog(this.kernel);
  }

  /**
   * Reads a struct of the kernel by its members' names.
   *
   * @param name without "struct", for example "task_struct"
   * @param types those of a kernel module, from getModuleTypes(); the kernel's by default
   * @throws MissingTypeError when the kernel has no such struct
   */
  struct<Name extends StructName>(name: Name, address: bigint, types = this.kernel.types): StructOf<Name> {
    return viewStruct(this.kernel, this.#compound(name, types), address) as StructOf<Name>;
  }

  /**
   * Gets the types that a kernel module adds to the kernel's.
   *
   * @param module its name
   * @throws RangeError when no such module is loaded
   * @throws BtfError when it does not describe its types
   */
  getModuleTypes(module: string): TypeSource {
    const found = this.getKernelModules().find(({ name }) => name === module);
    if (!found) throw new RangeError(`no kernel module ${module} is loaded`);
    return readModuleTypes(this.kernel, found);
  }

  /**
   * Iterates over a list of the kernel (struct list_head).
   *
   * @param head the list's head, which is no entry: its address, or the struct list_head itself
   * @param name of the struct that the entries are
   * @param member the path of the list_head within an entry
   * @throws KernelDataError when the list loops or leads to nowhere
   */
  *list<Name extends StructName>(
    head: bigint | GuestStruct,
    name: Name,
    member: string,
  ): IterableIterator<StructOf<Name>> {
    const type = this.#compound(name);
    const start = typeof head === "bigint" ? head : addressOfStruct(head);
    const offset = this.kernel.offset(name, member);
    for (const entry of walkList(this.kernel.memory, start, `the list of ${name}.${member}`, offset)) {
      yield viewStruct(this.kernel, type, entry) as StructOf<Name>;
    }
  }

  /**
   * Iterates over a red-black tree of the kernel (struct rb_root), in order.
   *
   * @param root its address, or the struct rb_root itself
   * @param name of the struct that the entries are
   * @param member the path of the rb_node within an entry
   * @throws KernelDataError when the tree loops or leads to nowhere
   */
  *tree<Name extends StructName>(
    root: bigint | GuestStruct,
    name: Name,
    member: string,
  ): IterableIterator<StructOf<Name>> {
    const type = this.#compound(name);
    const start = typeof root === "bigint" ? root : addressOfStruct(root);
    const offset = this.kernel.offset(name, member);
    for (const entry of walkTree(this.kernel, start, `the tree of ${name}.${member}`, offset)) {
      yield viewStruct(this.kernel, type, entry) as StructOf<Name>;
    }
  }

  /** Gets the address of a struct that struct(), list(), tree() or a member gave. */
  addressOf(struct: GuestStruct): bigint {
    return addressOfStruct(struct);
  }

  #compound(name: string, types = this.kernel.types): CompoundType {
    const type = types.findCompound(name);
    if (!type) throw new MissingTypeError(name, undefined, types.origin);
    return type;
  }
}
