import { AddressError, KernelDataError } from "../errors";
import type { GuestModule, GuestProcess } from "../guest-system";
import { VirtualMemory } from "../memory/virtual-memory";
import type { StructCursor } from "../structs/struct-cursor";
import type { WindowsKernel } from "./kernel/windows-kernel";
import { listUserModules } from "./modules/module-list";
import { findWow64Peb, listWow64Modules } from "./modules/wow64-modules";
import { findHandle, type Handle, listHandles } from "./objects/handle-table";
import { readToken, type Token } from "./objects/token";
import { type AddressRange, listAddressRanges } from "./processes/address-ranges";
import { splitCommandLine } from "./processes/command-line";
import { listThreads, type ProcessFacts, readProcess, type WindowsThread } from "./processes/process-reader";
import { fileTimeToDate } from "./structs/file-time";
import { readUnicodeString } from "./structs/unicode-string";
import { WindowsSpace } from "./structs/windows-space";

/** More than an environment may be. */
const LONGEST_ENVIRONMENT = 1 << 20;

/**
 * A process of a Windows guest. The plain members are as they were when the list was made; getters read memory when they are
 * asked, and throw a KernelDataError when the process is gone by then. What lies in the memory of the process itself, it can
 * change at will: command line, environment, the loader's list of modules.
 */
export class WindowsProcess implements GuestProcess {
  readonly pid: number;
  /** The number of the process that started it, which may have ended since, and another may have its number. */
  readonly ppid: number;
  /** The address space, as callbacks report it; 0 for a process that has ended. */
  readonly pgd: bigint;
  /** The kernel's name of it: at most 15 bytes of the program's. */
  readonly name: string;
  /** The address of its _EPROCESS. */
  readonly kaddr: bigint;
  /** Whether it has no program: System, Registry, Memory Compression. */
  readonly isKernelThread: boolean;
  readonly #kernel: WindowsKernel;
  readonly #peb: bigint;

  constructor(kernel: WindowsKernel, facts: ProcessFacts) {
    this.#kernel = kernel;
    this.pid = facts.pid;
    this.ppid = facts.ppid;
    this.pgd = facts.hasEnded ? 0n : facts.pgd;
    this.name = facts.name;
    this.kaddr = facts.kaddr;
    this.isKernelThread = facts.peb === 0n;
    this.#peb = facts.peb;
  }

  /** The words of the command line; none where it cannot be read, and for a process without a program. */
  get commandLine(): string[] {
    return splitCommandLine(this.commandLineText);
  }

  /** The command line as the process was given it. */
  get commandLineText(): string {
    return this.#readParameter("CommandLine");
  }

  /** The words NAME=VALUE of the environment. */
  get environment(): string[] {
    const parameters = this.#findParameters();
    if (!parameters) return [];
    const start = parameters.value("Environment");
    const size = parameters.has("EnvironmentSize") ? parameters.value("EnvironmentSize") : BigInt(LONGEST_ENVIRONMENT);
    const wanted = size < BigInt(LONGEST_ENVIRONMENT) ? Number(size) : LONGEST_ENVIRONMENT;
    const bytes = start === 0n ? Buffer.alloc(0) : this.space.readSome(start, wanted);
    const text = bytes.toString("utf16le", 0, bytes.length - (bytes.length % 2));
    return text
      .replace(/\0\0.*$/s, "")
      .split("\0")
      .filter((word) => word !== "");
  }

  /** The path of the program as the process was given it; empty without one. */
  get executable(): string {
    return this.#readParameter("ImagePathName");
  }

  /** The path of the folder that relative paths begin at. */
  get workingFolder(): string {
    return this.#readParameter("CurrentDirectory.DosPath");
  }

  /** The path of the program by the kernel's own record, which the process cannot change: "\Device\HarddiskVolume1\...". */
  get imageFile(): string {
    const name = this.#record().follow("SeAuditProcessCreationInfo.ImageFileName");
    return name ? readUnicodeString(name.member("Name"), this.#kernel.memory) : "";
  }

  get startTime(): Date {
    return fileTimeToDate(this.#record().value("CreateTime.QuadPart", "CreateTime"));
  }

  get threads(): WindowsThread[] {
    return listThreads(this.#kernel, this.#record().address);
  }

  /** The ranges of its memory. */
  get memoryMap(): AddressRange[] {
    return listAddressRanges(this.#kernel, this.#record().address);
  }

  /** Its handles of objects: open files, events, other processes. */
  get handles(): Handle[] {
    return listHandles(this.#kernel, this.#record().address);
  }

  /** Finds what one of its handles stands for; undefined when it has none of this number. @throws KernelDataError */
  findHandle(handle: number): Handle | undefined {
    return findHandle(this.#kernel, this.#record().address, handle);
  }

  /** Its rights. */
  get token(): Token {
    return readToken(this.#kernel, this.#record().address);
  }

  /** Its program and libraries. */
  get modules(): GuestModule[] {
    const { memoryMap: ranges, space } = this;
    const peb = this.#findNarrowPeb();
    const narrow = peb === 0n ? [] : listWow64Modules(this.#kernel, space, peb);
    return listUserModules(new WindowsSpace(this.#kernel, space), this.#peb, ranges, narrow);
  }

  /** Whether its program is one of 32 bits on a kernel of 64: it has libraries of both widths. */
  get isWow64(): boolean {
    return this.#findNarrowPeb() !== 0n;
  }

  /** Its memory, by its own page tables. */
  get space(): VirtualMemory {
    const { ram, tables } = this.#kernel.memory;
    return new VirtualMemory(ram, tables, Number(this.pgd));
  }

  get isAlive(): boolean {
    try {
      const now = readProcess(this.#kernel, this.kaddr);
      return now.pid === this.pid && !now.hasEnded && now.pgd === this.pgd;
    } catch (error) {
      if (error instanceof KernelDataError) return false;
      throw error;
    }
  }

  /** @throws KernelDataError */
  #findNarrowPeb(): bigint {
    if (this.pgd === 0n || this.#peb === 0n) return 0n;
    const { address } = this.#record();
    try {
      return findWow64Peb(this.#kernel, address, this.space);
    } catch (error) {
      throw KernelDataError.from(error, "an _EPROCESS", address);
    }
  }

  #readParameter(name: string): string {
    try {
      const parameters = this.#findParameters();
      return parameters ? readUnicodeString(parameters.member(name), this.space) : "";
    } catch (error) {
      if (error instanceof AddressError) return "";
      throw error;
    }
  }

  #findParameters(): StructCursor | undefined {
    if (this.#peb === 0n || this.pgd === 0n) return undefined;
    return new WindowsSpace(this.#kernel, this.space).at("_PEB", this.#peb).follow("ProcessParameters");
  }

  /** @throws KernelDataError when another process has its place by now */
  #record(): StructCursor {
    if (readProcess(this.#kernel, this.kaddr).pid !== this.pid) {
      throw new KernelDataError("an _EPROCESS", this.kaddr, `process ${this.pid} is gone`);
    }
    return this.#kernel.at("_EPROCESS", this.kaddr);
  }
}
