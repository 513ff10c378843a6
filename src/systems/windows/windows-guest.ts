import { KernelDataError, MissingTypeError } from "../errors";
import type { GuestClock, GuestSystem } from "../guest-system";
import { addressOfStruct, type GuestStruct, type StructName, type StructOf } from "../structs/struct-view";
import type { TypeSource } from "../symbols/type-source";
import type { WindowsKernel } from "./kernel/windows-kernel";
import { type KernelModule, listKernelModules } from "./modules/module-list";
import { type KernelCallback, listKernelCallbacks } from "./integrity/kernel-callbacks";
import { compareProcessViews, type ViewedProcess } from "./integrity/process-views";
import { listServices, type Service } from "./integrity/service-table";
import { listProcesses, toPgd } from "./processes/process-reader";
import { Registry, type RegistryHive, type RegistryKey } from "./registry/registry";
import { fileTimeToNs } from "./structs/file-time";
import type { SymbolFinder } from "./symbols/image-symbols";
import { WindowsProcess } from "./windows-process";
import { WindowsSymbols } from "./windows-symbols";

/** Where every Windows maps the data that it shares with programs: KI_USER_SHARED_DATA. */
export const SHARED_DATA = { 32: 0xffdf0000n, 64: 0xfffff78000000000n } as const;

/** A function that the kernel calls, and where it lies. */
export interface LocatedCallback extends KernelCallback {
  /** The module that the function lies in; empty where it lies in none, which no driver of good will does. */
  readonly module: string;
  /** Its name, with what it lies behind it; empty without one. */
  readonly symbol: string;
}

/** A Windows guest: its processes, modules and structs, read from its memory. */
export class WindowsGuest implements GuestSystem {
  readonly kind = "windows";
  readonly symbols: WindowsSymbols;

  constructor(
    readonly kernel: WindowsKernel,
    findSymbols: SymbolFinder,
  ) {
    this.symbols = new WindowsSymbols(this, findSymbols);
  }

  /** As "Windows 10.0, build 19041, 64 bits". */
  get version(): string {
    const shared = this.kernel.at("_KUSER_SHARED_DATA", SHARED_DATA[this.bits]);
    const [major, minor] = [shared.number("NtMajorVersion"), shared.number("NtMinorVersion")];
    return `Windows ${major}.${minor}, build ${this.build}, ${this.bits} bits`;
  }

  /** The number of the build, as the kernel's own variable has it. */
  get build(): number {
    return this.kernel.memory.u32(this.kernel.symbol("NtBuildNumber")) & 0xffff;
  }

  get bits(): 32 | 64 {
    return this.kernel.bits;
  }

  get kernelEntries(): readonly bigint[] {
    return [this.kernel.image.found.entry];
  }

  get types(): TypeSource {
    return this.kernel.types;
  }

  /** The guest's clock, as of its kernel's last tick. @throws KernelDataError when it cannot be read */
  get clock(): GuestClock {
    const address = SHARED_DATA[this.bits];
    try {
      const shared = this.kernel.at("_KUSER_SHARED_DATA", address);
      const read = (name: string): bigint =>
        (BigInt(shared.number(`${name}.High1Time`)) << 32n) | shared.value(`${name}.LowPart`);
      const realTimeNs = fileTimeToNs(read("SystemTime"));
      return { realTimeNs, bootTimeNs: realTimeNs - read("InterruptTime") * 100n };
    } catch (error) {
      throw KernelDataError.from(error, "the shared data", address);
    }
  }

  /** Lists the processes in the order in which they were started. @throws KernelDataError when the list is damaged */
  getProcessList(): WindowsProcess[] {
    return [...listProcesses(this.kernel)].map((facts) => new WindowsProcess(this.kernel, facts));
  }

  /**
   * Finds a process: by its number (a number), or by its address space (a bigint).
   *
   * @param which a pid; or a pgd as callbacks give it, or any value of CR3 while the process runs
   * @throws TypeError for anything else
   */
  findProcess(which: number | bigint): WindowsProcess | undefined {
    if (typeof which !== "number" && typeof which !== "bigint") {
      throw new TypeError(`a process is found by its pid, a number, or its pgd, a bigint; this is a ${typeof which}`);
    }
    if (which === 0n) return undefined;
    const pgd = typeof which === "bigint" ? toPgd(this.kernel, which) : 0n;
    const isIt = (process: WindowsProcess): boolean =>
      typeof which === "number" ? process.pid === which : process.pgd === pgd;
    return this.getProcessList().find(isIt);
  }

  /** Lists the kernel and its drivers, in the order in which they were loaded. @throws KernelDataError */
  getKernelModules(): KernelModule[] {
    return listKernelModules(this.kernel);
  }

  /** Lists the hives of the registry that the kernel has in memory. @throws KernelDataError when their list is damaged */
  getHives(): RegistryHive[] {
    return new Registry(this.kernel).listHives();
  }

  /**
   * Finds a key of the registry, through links, in the hives that the kernel has in memory.
   *
   * @param path as "HKLM\\SYSTEM\\Select", also from "HKU" or "\\REGISTRY\\MACHINE" on
   * @returns undefined when there is no such key
   * @throws KernelDataError when the way to it is damaged, or not in memory
   */
  findRegistryKey(path: string): RegistryKey | undefined {
    return new Registry(this.kernel).findKey(path);
  }

  /** Lists the functions that the kernel calls because drivers have asked for it. @throws KernelDataError */
  getCallbacks(): LocatedCallback[] {
    return listKernelCallbacks(this.kernel).map((callback) => ({ ...callback, ...this.#locate(callback.address) }));
  }

  /** Lists the system calls with the functions that the kernel's own table leads to. @throws KernelDataError */
  getServices(): Service[] {
    return listServices(this.kernel, this.getKernelModules());
  }

  /**
   * Looks for processes in three places that must agree; a process that its list does not have is hidden.
   *
   * @throws KernelDataError when the list is damaged
   */
  compareProcessViews(): ViewedProcess[] {
    return compareProcessViews(this.kernel);
  }

  #locate(address: bigint): { readonly module: string; readonly symbol: string } {
    const module = this.symbols.findModule(0n, address)?.name ?? "";
    const found = module === "" ? undefined : this.symbols.findSymbol(0n, address);
    const distance = found && address - found.address;
    return { module, symbol: found ? `${found.name}${distance ? `+0x${distance.toString(16)}` : ""}` : "" };
  }

  /**
   * Reads a struct of the kernel by its members' names.
   *
   * @param name as "_EPROCESS"
   * @throws MissingTypeError when the kernel has no such struct
   */
  struct<Name extends StructName>(name: Name, address: bigint): StructOf<Name> {
    return this.kernel.struct(name, address) as StructOf<Name>;
  }

  /** Gets the types of a module: only the kernel's are known. @throws MissingTypeError for another */
  getModuleTypes(module: string): TypeSource {
    throw new MissingTypeError(`of ${module}`, undefined, `${this.version}: only the kernel's structs are known`);
  }

  /** Gets the address of a struct that struct() or a member gave. */
  addressOf(struct: GuestStruct): bigint {
    return addressOfStruct(struct);
  }
}
