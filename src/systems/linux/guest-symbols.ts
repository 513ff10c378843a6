import type { GuestModule, ModuleSymbol, SystemSymbols } from "../guest-system";
import { Elf } from "../symbols/elf/elf";
import { UnwindTable } from "../symbols/elf/unwind-table";
import { ElfError, KernelDataError } from "../errors";
import { type GuestSymbol, ShiftedSymbols, type SymbolTable } from "../symbols/symbol-table";
import { asModule, findUserModules, KERNEL, kernelAsModule } from "./modules/guest-module";
import { listKernelModules } from "./modules/kernel-module";
import type { PageCache } from "./files/page-cache";
import type { LinuxKernel } from "./structs/linux-kernel";
import type { LinuxProcess } from "./linux-process";
import { ModuleSymbols } from "./modules/module-symbols";
import { piecesOf, namePattern } from "../symbols/name-pattern";

/** More symbols of kernel modules than this are not kept: no kernel has them. */
const MOST_KEPT = 2_000_000;
/** More symbols than this are no answer. */
const MOST_FOUND = 8_000_000;
/** The number of programs and libraries whose symbols are kept at hand. */
const MOST_FILES = 256;

/** The number of times that a file without symbols is looked at again. */
const MOST_TRIES = 16;

interface ReadSymbols {
  readonly symbols: SymbolTable;
  readonly isWhole: boolean;
  /** How often it was read. */
  readonly tries: number;
}

/** A module with its symbols, which are read when they are first asked for. */
interface Loaded {
  readonly module: GuestModule;
  readonly symbols: () => SymbolTable;
}

/** The unwind data of a module, and the distance of its addresses from the file's own. */
export interface UnwindData {
  readonly table: UnwindTable;
  readonly bias: bigint;
}

/** The programs and libraries of a process at one moment. */
export interface OpenedSpace {
  /** Finds the unwind data of the module that an address is in. */
  findUnwindData(address: bigint): UnwindData | undefined;
  /** Finds the module that an address is in, and its symbol at or before the address, where it has one there. */
  findName(address: bigint): { readonly module: GuestModule; readonly symbol: GuestSymbol | undefined } | undefined;
}

/** Everything that reading the names of addresses needs. A LinuxGuest has all of it. */
export interface SymbolReaders {
  readonly kernel: LinuxKernel;
  readonly pageCache: PageCache;
  /** Finds the process that has an address space. */
  findProcess(pgd: bigint): LinuxProcess | undefined;
}

/** The names of addresses in all modules of a guest: the kernel, its modules, and what processes have mapped. */
export class GuestSymbols implements SystemSymbols {
  readonly #guest: SymbolReaders;
  readonly #modules = new Map<bigint, { readonly key: string; readonly symbols: ModuleSymbols }>();

  #kept = 0;
  readonly #files = new Map<string, ReadSymbols>();

  readonly #unwindData = new Map<string, UnwindData>();
  /** By path: of the process that was looked at last. */
  readonly #lastUnwindData = new Map<string, UnwindTable>();
  readonly #shared = new Map<string, Elf>();
  readonly #start: bigint;
  readonly #end: bigint;

  constructor(guest: SymbolReaders) {
    this.#guest = guest;
    const { base, size } = kernelAsModule(guest.kernel);
    this.#start = base;
    this.#end = base + BigInt(size);
  }

  /**
   * Lists the modules of an address space.
   *
   * @param pgd of a process; 0 for the kernel and its modules
   * @throws KernelDataError, RangeError when no process has this address space
   */
  getModules(pgd: bigint): GuestModule[] {
    return this.#load(pgd).map(({ module }) => module);
  }

  /**
   * Finds the address of a name.
   *
   * @param pgd of a process; 0 for the kernel and its modules
   * @param module its name or path
   */
  findAddress(pgd: bigint, module: string, name: string): bigint | undefined {
    if (module === KERNEL) return this.#guest.kernel.symbols.findAddress(name);
    return this.#load(pgd)
      .find((loaded) => loaded.module.name === module || loaded.module.path === module)
      ?.symbols()
      .findAddress(name);
  }

  /**
   * Finds the address of a name wherever it is: in the kernel first, then in its modules, then in what a process has mapped.
   *
   * @param pgd of a process; 0 for the kernel and its modules alone
   * @param module its name or path, when only that is to be looked through
   */
  resolve(pgd: bigint, module: string | undefined, name: string): bigint | undefined {
    if (module === undefined || module === KERNEL) {
      // Needs no list of modules, which the guest may have damaged.
      const address = this.#guest.kernel.symbols.findAddress(name);
      if (address !== undefined || module === KERNEL) return address;
    }
    for (const space of pgd === 0n ? [0n] : [0n, pgd]) {
      for (const loaded of this.#load(space)) {
        if (module !== undefined && loaded.module.name !== module && loaded.module.path !== module) continue;
        const address = loaded.symbols().findAddress(name);
        if (address !== undefined) return address;
      }
    }
    return undefined;
  }

  /** Finds the symbol at or before an address, in the module that the address belongs to. */
  findSymbol(pgd: bigint, address: bigint): ModuleSymbol | undefined {
    // The most frequent question needs no list of modules.
    if (address >= this.#start && address < this.#end) {
      const symbol = this.#guest.kernel.symbols.findSymbol(address);
      return symbol && withModule(symbol, KERNEL);
    }
    const loaded = this.#find(pgd, address);
    const symbol = loaded?.symbols().findSymbol(address);
    return loaded && symbol && withModule(symbol, loaded.module.name);
  }

  /**
   * Finds a module by its base, with its symbols.
   *
   * @param pgd of a process; 0 for the kernel and its modules
   * @param base 0 for the kernel itself
   * @returns undefined when there is none now
   */
  findLoaded(pgd: bigint, base: bigint): { readonly module: GuestModule; readonly symbols: SymbolTable } | undefined {
    const loaded = this.#load(pgd).find(({ module }) => (base === 0n ? module.name === KERNEL : module.base === base));
    return loaded && { module: loaded.module, symbols: loaded.symbols() };
  }

  /**
   * Finds the module that an address belongs to.
   *
   * @param pgd of a process; of no matter for addresses of the kernel
   */
  findModule(pgd: bigint, address: bigint): GuestModule | undefined {
    return this.#find(pgd, address)?.module;
  }

  /**
   * Says why a module has no symbols.
   *
   * @param pgd of a process; 0 for the kernel and its modules
   * @returns undefined when it has some, or is not there
   */
  explainEmpty(pgd: bigint, { name, base }: GuestModule): string | undefined {
    const symbols = this.#load(pgd)
      .find(({ module }) => module.name === name && module.base === base)
      ?.symbols();
    if (!symbols || symbols.count > 0) return undefined;
    if (symbols instanceof UnreadableSymbols) return symbols.reason;
    return pgd === 0n
      ? "the kernel keeps none of this module"
      : "its file has none, or what the guest has of it in memory is not the part that holds them";
  }

  /**
   * Lists symbols whose name matches.
   *
   * @param pgd of a process; 0 for the kernel and its modules
   * @param pattern a name in which * stands for any characters and ? for one
   */
  *search(pgd: bigint, pattern: string): IterableIterator<ModuleSymbol> {
    const matches = namePattern(pattern);
    // What the name must contain is looked for first: most names are never made into text.
    const pieces = piecesOf(pattern);
    let seen = 0;
    for (const { module, symbols } of this.#load(pgd)) {
      for (const symbol of symbols().symbolsWith(pieces)) {
        if (seen++ > MOST_FOUND) throw new KernelDataError("the symbols", module.base, `more than ${MOST_FOUND}`);
        if (matches(symbol.name)) yield withModule(symbol, module.name);
      }
    }
  }

  #find(pgd: bigint, address: bigint): Loaded | undefined {
    const { bits, directMap } = this.#guest.kernel;
    // A 32-bit kernel begins where its map of physical memory does: processes have the addresses up to there.
    const isKernel = address >= (bits === 64 ? 1n << 63n : directMap.start);
    return this.#load(isKernel ? 0n : pgd).find(({ module }) => module.contains(address));
  }

  #load(pgd: bigint): Loaded[] {
    if (pgd !== 0n) return this.#loadUser(pgd);
    const { kernel } = this.#guest;
    const modules = listKernelModules(kernel).map((module) => ({
      module: asModule(module),
      symbols: () => this.#read(module.kaddr, `${module.name} ${module.base}`),
    }));
    return [{ module: kernelAsModule(kernel), symbols: () => kernel.symbols }, ...modules];
  }

  #loadUser(pgd: bigint): Loaded[] {
    const process = this.#guest.findProcess(pgd);
    if (!process) throw new RangeError(`no process has the address space 0x${pgd.toString(16)}`);
    return this.#loadModules(process);
  }

  /** @returns each also with the address of its struct file; 0 without one */
  #loadModules(process: LinuxProcess): (Loaded & { readonly file: bigint })[] {
    const map = process.memoryMap;
    return findUserModules(map).map((module) => {
      const file = map.find(({ start }) => start === module.base)?.file ?? 0n;
      return { module, file, symbols: () => this.#readElf(process, module, file) };
    });
  }

  /**
   * Reads the symbols out of the file's pages that the kernel holds, else out of the memory of the process; none when the
   * program has overwritten them.
   */
  #readElf(process: LinuxProcess, module: GuestModule, file: bigint): SymbolTable {
    const key = keyOf(process, module, file);
    const known = this.#files.get(key);
    // A file that is just being mapped has little in memory yet.
    if (known && (known.isWhole || known.tries >= MOST_TRIES)) return known.symbols;
    const { symbols, isWhole } = this.#parseElf(process, module, file);
    if (this.#files.size >= MOST_FILES) this.#files.clear();
    this.#files.set(key, { symbols, isWhole, tries: (known?.tries ?? 0) + 1 });
    return symbols;
  }

  /**
   * Lists where a process keeps the addresses of functions that its modules have from each other: what the dynamic loader fills.
   *
   * @param pgd of a process
   */
  listImports(pgd: bigint): { readonly name: string; readonly address: bigint }[] {
    const process = this.#guest.findProcess(pgd);
    if (!process) return [];
    const map = process.memoryMap;
    return findUserModules(map).flatMap((module) => {
      try {
        const elf = this.#openElf(process, module, map.find(({ start }) => start === module.base)?.file ?? 0n);
        return elf.listImports().map(({ name, address }) => ({ name, address: address + elf.bias }));
      } catch (error) {
        if (error instanceof ElfError) return [];
        throw error;
      }
    });
  }

  /**
   * Opens the unwind data of a process' programs and libraries, as they are mapped now.
   *
   * @param pgd of a process
   * @returns finds the data of the module that an address is in; bias is the distance of its addresses from the file's own
   */
  openUnwindData(pgd: bigint): (address: bigint) => UnwindData | undefined {
    const process = this.#guest.findProcess(pgd);
    return process ? this.openSpace(process).findUnwindData : () => undefined;
  }

  /** Opens the programs and libraries of a process, as they are mapped now: for many questions at one moment. */
  openSpace(process: LinuxProcess): OpenedSpace {
    const loaded = this.#loadModules(process);
    const find = (address: bigint) => loaded.find(({ module }) => module.contains(address));
    return {
      findUnwindData: (address) => {
        const found = find(address);
        return found && this.#readUnwindData(process, found.module, found.file);
      },
      findName: (address) => {
        const found = find(address);
        return found && { module: found.module, symbol: found.symbols().findSymbol(address) };
      },
    };
  }

  #readUnwindData(process: LinuxProcess, module: GuestModule, file: bigint): UnwindData | undefined {
    const key = keyOf(process, module, file);
    const known = this.#unwindData.get(key);
    if (known !== undefined) return known;
    try {
      const elf = this.#openElf(process, module, file);
      const table = UnwindTable.find(elf, this.#lastUnwindData.get(module.path));
      if (table === undefined) return undefined;
      if (this.#lastUnwindData.size >= MOST_FILES) this.#lastUnwindData.clear();
      this.#lastUnwindData.set(module.path, table);
      if (this.#unwindData.size >= MOST_FILES) this.#unwindData.clear();
      const found = { table, bias: elf.bias };
      this.#unwindData.set(key, found);
      return found;
    } catch (error) {
      if (error instanceof ElfError) return undefined;
      throw error;
    }
  }

  #openElf(process: LinuxProcess, module: GuestModule, file: bigint): Elf {
    const { pageCache, kernel } = this.#guest;
    const space = kernel.space(process.pgd);
    const readMemory = (address: bigint, size: number): Uint8Array | undefined => {
      const bytes = space.readSome(address, size);
      return bytes.length === size ? bytes : undefined;
    };
    const readFile = (offset: number, size: number): Uint8Array | undefined =>
      file === 0n ? undefined : pageCache.find(file, BigInt(offset), size);
    return new Elf({ base: module.base, readMemory, readFile });
  }

  #parseElf(process: LinuxProcess, module: GuestModule, file: bigint): Omit<ReadSymbols, "tries"> {
    try {
      const elf = this.#openElf(process, module, file);
      const shared = this.#share(module, elf);
      const symbols = new ShiftedSymbols(shared.symbols, elf.bias, elf.bits);
      return { symbols, isWhole: symbols.count > 0 && shared.hasAllSymbols };
    } catch (error) {
      if (!(error instanceof ElfError)) throw error;
      return { symbols: new UnreadableSymbols(error.message), isWhole: false };
    }
  }

  /** Processes with one file have one table of its symbols: reading it anew for each would take most of the time. */
  #share({ path }: GuestModule, elf: Elf): Elf {
    const known = this.#shared.get(path);
    if (known?.hasTablesOf(elf)) return known;
    if (this.#shared.size >= MOST_FILES) this.#shared.clear();
    this.#shared.set(path, elf);
    return elf;
  }

  #read(address: bigint, key: string): ModuleSymbols {
    // A module that was unloaded may have left its place to another.
    const known = this.#modules.get(address);
    if (known?.key === key) return known.symbols;
    const symbols = ModuleSymbols.read(this.#guest.kernel, address);
    this.#kept += symbols.count;
    if (this.#kept > MOST_KEPT) {
      this.#modules.clear();
      this.#kept = symbols.count;
    }
    this.#modules.set(address, { key, symbols });
    return symbols;
  }
}

/** What identifies a file that a process has mapped, as long as it has. */
function keyOf({ kaddr, startTimeNs, pgd }: LinuxProcess, { base, path }: GuestModule, file: bigint): string {
  return `${kaddr} ${startTimeNs} ${pgd} ${base} ${path} ${file}`;
}

/** Copies member by member: a spread takes longer than the search. */
function withModule({ name, address, size, type }: GuestSymbol, module: string): ModuleSymbol {
  return { name, address, size, type, module };
}

/** The symbols of a file that cannot be read. */
class UnreadableSymbols implements SymbolTable {
  readonly count = 0;

  constructor(readonly reason: string) {}

  findAddress(): undefined {
    return undefined;
  }

  findSymbol(): undefined {
    return undefined;
  }

  symbols(): IterableIterator<GuestSymbol> {
    return [][Symbol.iterator]();
  }

  symbolsWith(): IterableIterator<GuestSymbol> {
    return [][Symbol.iterator]();
  }
}
