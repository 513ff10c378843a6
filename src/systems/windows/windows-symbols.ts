import { KernelDataError, PeError, SymbolsError } from "../errors";
import type { GuestModule, ModuleSymbol, SystemSymbols } from "../guest-system";
import type { VirtualMemory } from "../memory/virtual-memory";
import { namePattern, piecesOf } from "../symbols/name-pattern";
import { SortedSymbols } from "../symbols/sorted-symbols";
import { ShiftedSymbols, type SymbolTable } from "../symbols/symbol-table";
import { PeImage } from "./images/pe-image";
import { peSourceOfMemory } from "./images/pe-source";
import type { WindowsKernel } from "./kernel/windows-kernel";
import { asModule, KERNEL, type KernelModule } from "./modules/module-list";
import { readExportSymbols } from "./modules/export-symbols";
import type { SymbolFinder } from "./symbols/image-symbols";
import { formatIdentity } from "./symbols/symbol-identity";
import type { WindowsProcess } from "./windows-process";

const MOST_FOUND = 8_000_000;
/** The number of modules whose symbols are kept at hand. */
const MOST_IMAGES = 512;
/** Names that mean the kernel, beside that of its file. */
const KERNEL_NAMES = [KERNEL, "nt", "ntoskrnl", "ntoskrnl.exe"];

interface Loaded {
  readonly module: GuestModule;
  readonly symbols: () => SymbolTable;
}

/** Symbols of an image at their RVAs, and why there are none or not all. */
interface ImageTable {
  readonly table: SymbolTable;
  readonly remark: string | undefined;
}

/** Everything that reading the names of addresses needs. A WindowsGuest has all of it. */
export interface WindowsSymbolReaders {
  readonly kernel: WindowsKernel;
  readonly version: string;
  getKernelModules(): KernelModule[];
  findProcess(pgd: bigint): WindowsProcess | undefined;
}

/**
 * The names of addresses in a Windows guest. A module's symbols are those of its PDB file where rebox has it, by the identity in the
 * image's debug record; else the names that the image exports, out of its memory.
 */
export class WindowsSymbols implements SystemSymbols {
  readonly #guest: WindowsSymbolReaders;
  readonly #findSymbols: SymbolFinder;
  /** By the identity of the image; a forged one can mislead only about the names of its own. */
  readonly #images = new Map<string, ImageTable>();

  constructor(guest: WindowsSymbolReaders, findSymbols: SymbolFinder) {
    this.#guest = guest;
    this.#findSymbols = findSymbols;
  }

  getModules(pgd: bigint): GuestModule[] {
    return this.#load(pgd).map(({ module }) => module);
  }

  findAddress(pgd: bigint, module: string, name: string): bigint | undefined {
    if (isKernelName(module)) return this.#guest.kernel.symbols.findAddress(name);
    return this.#load(pgd)
      .find((loaded) => isNamed(loaded.module, module))
      ?.symbols()
      .findAddress(name);
  }

  resolve(pgd: bigint, module: string | undefined, name: string): bigint | undefined {
    if (module === undefined || isKernelName(module)) {
      // Needs no list of modules, which the guest may have damaged.
      const address = this.#guest.kernel.symbols.findAddress(name);
      if (address !== undefined || module !== undefined) return address;
    }
    for (const space of pgd === 0n ? [0n] : [0n, pgd]) {
      for (const loaded of this.#load(space)) {
        if (module !== undefined && !isNamed(loaded.module, module)) continue;
        const address = loaded.symbols().findAddress(name);
        if (address !== undefined) return address;
      }
    }
    return undefined;
  }

  findSymbol(pgd: bigint, address: bigint): ModuleSymbol | undefined {
    const { image, symbols } = this.#guest.kernel;
    if (address >= image.base && address < image.base + BigInt(image.image.header.imageSize)) {
      const symbol = symbols.findSymbol(address);
      return symbol && { ...symbol, module: KERNEL };
    }
    const loaded = this.#find(pgd, address);
    const symbol = loaded?.symbols().findSymbol(address);
    return loaded && symbol && { ...symbol, module: loaded.module.name };
  }

  findModule(pgd: bigint, address: bigint): GuestModule | undefined {
    return this.#find(pgd, address)?.module;
  }

  *search(pgd: bigint, pattern: string): IterableIterator<ModuleSymbol> {
    const matches = namePattern(pattern);
    const pieces = piecesOf(pattern);
    let seen = 0;
    for (const { module, symbols } of this.#load(pgd)) {
      for (const symbol of symbols().symbolsWith(pieces)) {
        if (seen++ > MOST_FOUND) throw new KernelDataError("the symbols", module.base, `more than ${MOST_FOUND}`);
        if (matches(symbol.name)) yield { ...symbol, module: module.name };
      }
    }
  }

  /** Says why a module has no symbols; undefined when it has some, or is not there. */
  explainEmpty(pgd: bigint, { base }: GuestModule): string | undefined {
    const memory = this.#memoryOf(pgd);
    const found = this.#load(pgd).find(({ module }) => module.base === base);
    if (!found || !memory || found.symbols().count > 0) return undefined;
    return this.#read(memory, base, found.module.size).remark;
  }

  #find(pgd: bigint, address: bigint): Loaded | undefined {
    const isKernel = address >= (this.#guest.kernel.bits === 64 ? 1n << 63n : 0x80000000n);
    return this.#load(isKernel ? 0n : pgd).find(({ module }) => module.contains(address));
  }

  #memoryOf(pgd: bigint): VirtualMemory | undefined {
    return pgd === 0n ? this.#guest.kernel.memory : this.#guest.findProcess(pgd)?.space;
  }

  #load(pgd: bigint): Loaded[] {
    const { kernel } = this.#guest;
    if (pgd === 0n) {
      return this.#guest.getKernelModules().map((entry) => {
        const module = asModule(kernel, entry);
        const symbols = module.name === KERNEL ? () => kernel.symbols : () => this.#open(kernel.memory, module);
        return { module, symbols };
      });
    }
    const process = this.#guest.findProcess(pgd);
    if (!process) throw new RangeError(`no process has the address space 0x${pgd.toString(16)}`);
    const { space } = process;
    return process.modules.map((module) => ({ module, symbols: () => this.#open(space, module) }));
  }

  #open(memory: VirtualMemory, { base, size }: GuestModule): SymbolTable {
    return new ShiftedSymbols(this.#read(memory, base, size).table, base, this.#guest.kernel.bits);
  }

  #read(memory: VirtualMemory, base: bigint, size: number): ImageTable {
    let image: PeImage;
    try {
      image = new PeImage(peSourceOfMemory(memory, base));
    } catch (error) {
      if (error instanceof PeError) return { table: EMPTY, remark: error.message };
      throw error;
    }
    const record = image.debugRecord;
    const { timeDateStamp } = image.header;
    const key = record ? formatIdentity(record) : `${timeDateStamp} ${size}`;
    const known = this.#images.get(key);
    // Of an image whose pages were missing, more may be there by now.
    if (known && known.table.count > 0) return known;
    const found = this.#readImage(image);
    if (this.#images.size >= MOST_IMAGES) this.#images.clear();
    this.#images.set(key, found);
    return found;
  }

  #readImage(image: PeImage): ImageTable {
    const record = image.debugRecord;
    let problem: string | undefined;
    try {
      const symbols = record && this.#findSymbols(record);
      if (symbols) return { table: symbols.symbols, remark: undefined };
    } catch (error) {
      if (!(error instanceof SymbolsError)) throw error;
      problem = error.message;
    }
    const wanted = record ? `there is no file ${formatIdentity(record)} (rebox symbols add)` : "it has no debug record";
    try {
      return { table: readExportSymbols(image), remark: `${problem ?? wanted}, and it exports no name` };
    } catch (error) {
      if (!(error instanceof PeError)) throw error;
      return { table: EMPTY, remark: `${problem ?? wanted}; ${error.message}` };
    }
  }
}

const EMPTY: SymbolTable = new SortedSymbols([]);

function isKernelName(name: string): boolean {
  return KERNEL_NAMES.includes(name.toLowerCase());
}

/** By its name with or without its suffix, or its path; Windows does not tell small letters from capital ones. */
function isNamed({ name, path }: GuestModule, wanted: string): boolean {
  const [a, b] = [name.toLowerCase(), wanted.toLowerCase()];
  return a === b || a.replace(/\.(dll|exe|sys)$/, "") === b || path.toLowerCase() === b;
}
