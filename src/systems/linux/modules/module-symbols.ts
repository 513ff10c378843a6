import type { GuestSymbol, SymbolTable } from "../../symbols/symbol-table";
import { KernelDataError } from "../../errors";
import type { LinuxKernel } from "../structs/linux-kernel";

/** The largest modules have some ten thousands. */
const MOST_SYMBOLS = 200_000;
const LONGEST_NAME = 512;
const LARGEST_STRINGS = 0x1000000;
/** Sizes of Elf64_Sym and Elf32_Sym. */
const SYMBOL_64 = 24;
const SYMBOL_32 = 16;

/** The symbols that the kernel keeps of one of its modules (struct mod_kallsyms). */
export class ModuleSymbols implements SymbolTable {
  readonly #symbols: readonly GuestSymbol[];
  readonly #names: ReadonlyMap<string, GuestSymbol>;

  private constructor(symbols: readonly GuestSymbol[]) {
    this.#symbols = symbols;
    this.#names = new Map(symbols.toReversed().map((symbol) => [symbol.name, symbol]));
  }

  /**
   * Reads the symbols.
   *
   * @param module the address of its struct module
   * @throws KernelDataError when they are damaged
   */
  static read(kernel: LinuxKernel, module: bigint): ModuleSymbols {
    try {
      return new ModuleSymbols(readSymbols(kernel, module));
    } catch (error) {
      throw KernelDataError.from(error, "the symbols of a kernel module", module);
    }
  }

  get count(): number {
    return this.#symbols.length;
  }

  findAddress(name: string): bigint | undefined {
    return this.#names.get(name)?.address;
  }

  findSymbol(address: bigint): GuestSymbol | undefined {
    let low = 0;
    let high = this.#symbols.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#symbols[middle] as GuestSymbol).address <= address) low = middle + 1;
      else high = middle;
    }
    return this.#symbols[low - 1];
  }

  *symbols(): IterableIterator<GuestSymbol> {
    yield* this.#symbols;
  }

  *symbolsWith(texts: readonly string[]): IterableIterator<GuestSymbol> {
    for (const symbol of this.#symbols) if (containsAll(symbol.name, texts)) yield symbol;
  }
}

function readSymbols(kernel: LinuxKernel, module: bigint): GuestSymbol[] {
  const table = kernel.at("module", module).follow("kallsyms");
  if (!table) return [];
  const { memory } = kernel;
  const isWide = memory.pointerSize === 8;
  const width = isWide ? SYMBOL_64 : SYMBOL_32;
  const count = table.number("num_symtab");
  if (!(count >= 0 && count <= MOST_SYMBOLS)) {
    throw new KernelDataError("the symbols of a kernel module", module, `it says that it has ${count}`);
  }
  const entries = memory.read(table.value("symtab"), count * width);
  const types = table.has("typetab") ? memory.read(table.value("typetab"), count) : Buffer.alloc(count, 0x3f);
  let longest = 0;
  for (let index = 0; index < count; index++) longest = Math.max(longest, entries.readUInt32LE(index * width));
  const strings = memory.readSome(table.value("strtab"), Math.min(longest + LONGEST_NAME, LARGEST_STRINGS));
  const exported = readExported(kernel, module);
  const symbols: GuestSymbol[] = [];
  for (let index = 0; index < count; index++) {
    const at = index * width;
    const start = entries.readUInt32LE(at);
    const end = Math.min(strings.length, start + LONGEST_NAME);
    const stop = strings.subarray(start, end).indexOf(0);
    const name = strings.toString("latin1", start, stop < 0 ? end : start + stop);
    if (name === "") continue;
    const address = isWide ? entries.readBigUInt64LE(at + 8) : BigInt(entries.readUInt32LE(at + 4));
    const type = String.fromCharCode(types[index] as number);
    symbols.push({
      name,
      address,
      size: isWide ? Number(entries.readBigUInt64LE(at + 16) & 0xffffffffn) : entries.readUInt32LE(at + 8),
      // /proc/kallsyms, too, calls what is exported global and all else of a module local.
      type: exported.has(address) ? type.toUpperCase() : type.toLowerCase(),
    });
  }
  return symbols.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
}

/** Reads the addresses of what a module exports to all others (kernel/module/kallsyms.c: is_exported()). */
function readExported(kernel: LinuxKernel, module: bigint): Set<bigint> {
  const found = new Set<bigint>();
  const owner = kernel.at("module", module);
  const count = Math.min(owner.number("num_syms"), MOST_SYMBOLS);
  if (!(count > 0)) return found;
  const size = kernel.sizeOf("kernel_symbol");
  const start = owner.value("syms");
  const entries = kernel.memory.read(start, count * size);
  // Where the architecture can, a symbol says how far it is from its own place.
  const relative = kernel.findMember("kernel_symbol", "value_offset");
  for (let index = 0; index < count; index++) {
    const at = index * size;
    if (relative) {
      const place = at + relative.offset;
      found.add(BigInt.asUintN(64, start + BigInt(place) + BigInt(entries.readInt32LE(place))));
    } else {
      const place = at + kernel.offset("kernel_symbol", "value");
      found.add(kernel.bits === 64 ? entries.readBigUInt64LE(place) : BigInt(entries.readUInt32LE(place)));
    }
  }
  return found;
}

function containsAll(name: string, texts: readonly string[]): boolean {
  let from = 0;
  for (const text of texts) {
    const at = name.indexOf(text, from);
    if (at < 0) return false;
    from = at + text.length;
  }
  return true;
}
