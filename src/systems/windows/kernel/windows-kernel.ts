import { SymbolsError } from "../../errors";
import type { VirtualMemory } from "../../memory/virtual-memory";
import { KernelStructs } from "../../structs/kernel-structs";
import { type GuestStruct, viewStruct } from "../../structs/struct-view";
import { MissingSymbolError, MissingTypeError } from "../../errors";
import { ShiftedSymbols, type SymbolTable } from "../../symbols/symbol-table";
import type { TypeSource } from "../../symbols/type-source";
import type { ImageSymbols } from "../symbols/image-symbols";
import { formatIdentity } from "../symbols/symbol-identity";
import type { WindowsKernelImage } from "./kernel-search";

/** A Windows kernel that was found in a guest, with its symbols: structs and names, as of a Linux kernel. */
export class WindowsKernel extends KernelStructs {
  readonly image: WindowsKernelImage;
  readonly types: TypeSource;
  /** At the addresses where the kernel lies. */
  readonly symbols: SymbolTable;
  /** The kernel's memory, by the page tables with which it was found. */
  readonly memory: VirtualMemory;

  /** @throws SymbolsError when the symbols are another image's */
  constructor(image: WindowsKernelImage, symbols: ImageSymbols) {
    super();
    if (symbols.identity.guid !== image.record.guid) {
      throw new SymbolsError(
        `${symbols.origin} has the GUID ${symbols.identity.guid}, but the kernel wants ${formatIdentity(image.record)}`,
      );
    }
    this.image = image;
    this.types = symbols.types;
    this.memory = image.memory;
    this.symbols = new ShiftedSymbols(symbols.symbols, image.base, symbols.bits);
  }

  /** Finds the address of the first of these symbols that the kernel has. */
  findSymbol(...names: readonly string[]): bigint | undefined {
    for (const name of names) {
      const address = this.symbols.findAddress(name);
      if (address !== undefined) return address;
    }
    return undefined;
  }

  /** Gets the address of a symbol. @throws MissingSymbolError */
  symbol(name: string): bigint {
    const address = this.symbols.findAddress(name);
    if (address === undefined) throw new MissingSymbolError(name);
    return address;
  }

  /** Views a struct at an address, live. @throws MissingTypeError when the kernel has no such struct */
  struct(name: string, address: bigint): GuestStruct {
    const type = this.types.findCompound(name);
    if (!type) throw new MissingTypeError(name, undefined, this.types.origin);
    return viewStruct(this, type, address);
  }
}
