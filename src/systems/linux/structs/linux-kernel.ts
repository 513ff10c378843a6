import type { PageTables } from "../../memory/page-tables";
import type { Ram } from "../../memory/ram";
import { type LinearRange, VirtualMemory } from "../../memory/virtual-memory";
import type { SymbolTable } from "../../symbols/symbol-table";
import type { TypeSource } from "../../symbols/type-source";
import { MissingSymbolError } from "../../errors";
import { KernelStructs } from "../../structs/kernel-structs";

/** The place of the kernel's code and data. */
export interface KernelImage {
  readonly tables: PageTables;
  /** The physical address of a page table that maps the kernel. */
  readonly root: number;
  /** The first virtual address of the image. */
  readonly start: bigint;
  readonly physical: number;
  /** In bytes. */
  readonly size: number;
  /** Addresses at which a symbol begins: where the CPU enters the kernel. */
  readonly entryPoints: readonly bigint[];
}

/** The parts of a kernel that attaching has found. */
export interface KernelParts {
  readonly ram: Ram;
  readonly image: KernelImage;
  readonly directMap: LinearRange;
  readonly symbols: SymbolTable;
  readonly types: TypeSource;
  /** The kernel's own words: "Linux version 6.1.0 ...". */
  readonly banner: string;
  /** Offsets of members that are known already, by "struct.member". */
  readonly offsets?: ReadonlyMap<string, number>;
}

/** A Linux kernel that was found in a guest: its memory, symbols and types. */
export class LinuxKernel extends KernelStructs {
  readonly ram: Ram;
  readonly image: KernelImage;
  readonly directMap: LinearRange;
  readonly symbols: SymbolTable;
  readonly types: TypeSource;
  readonly banner: string;
  /** The kernel's own address space. */
  readonly memory: VirtualMemory;
  readonly #offsets: Map<string, number>;
  readonly #symbols = new Map<string, bigint>();

  constructor(parts: KernelParts) {
    super();
    this.ram = parts.ram;
    this.image = parts.image;
    this.directMap = parts.directMap;
    this.symbols = parts.symbols;
    this.types = parts.types;
    this.banner = parts.banner;
    this.#offsets = new Map(parts.offsets);
    const { start, size, physical } = parts.image;
    const linear = [parts.directMap, { start, end: start + BigInt(size), physical }];
    const table = this.findSymbol("init_top_pgt", "swapper_pg_dir");
    // The tables of a process, with which the kernel was found, end with the process.
    const root =
      table === undefined ? -1 : new VirtualMemory(parts.ram, parts.image.tables, -1, linear).translate(table);
    this.memory = new VirtualMemory(parts.ram, parts.image.tables, root < 0 ? parts.image.root : root, linear);
  }

  /** The release, as `uname -r` prints it. */
  get release(): string {
    return /^Linux version (\S+)/.exec(this.banner)?.[1] ?? "";
  }

  /** Finds the address of the first of these symbols that exists. */
  findSymbol(...names: readonly string[]): bigint | undefined {
    for (const name of names) {
      const address = this.#symbols.get(name) ?? this.symbols.findAddress(name);
      if (address !== undefined) {
        this.#symbols.set(name, address);
        return address;
      }
    }
    return undefined;
  }

  /** The symbols and offsets that were asked for until now, by their names. */
  get asked(): { readonly symbols: ReadonlyMap<string, bigint>; readonly offsets: ReadonlyMap<string, number> } {
    return { symbols: this.#symbols, offsets: this.#offsets };
  }

  /**
   * Gets the address of the first of these symbols that exists.
   *
   * @throws MissingSymbolError
   */
  symbol(...names: readonly string[]): bigint {
    const address = this.findSymbol(...names);
    if (address === undefined) throw new MissingSymbolError(names.join(" or "));
    return address;
  }

  /**
   * Gets a member's offset in bytes. Of several paths the first that exists is taken.
   *
   * @throws MissingTypeError that names the struct or member
   */
  offset(struct: string, ...paths: readonly string[]): number {
    const key = `${struct}.${paths[0]}`;
    let offset = this.#offsets.get(key);
    if (offset === undefined) {
      offset = this.place(struct, ...paths).offset;
      this.#offsets.set(key, offset);
    }
    return offset;
  }

  /**
   * Makes the address space of a process.
   *
   * @param pgd the physical address of its page table, as getProcessList() and callbacks give it
   */
  space(pgd: bigint): VirtualMemory {
    return new VirtualMemory(this.ram, this.image.tables, Number(pgd), this.memory.linear);
  }
}
