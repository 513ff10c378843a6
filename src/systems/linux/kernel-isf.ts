import { type IsfContent, type IsfSymbolEntry, writeIsf } from "../symbols/isf/isf-writer";
import { BtfError, KernelDataError } from "../errors";
import { type GuestSymbol, LayeredSymbols, type SymbolTable } from "../symbols/symbol-table";
import type { TypeSource } from "../symbols/type-source";
import { findKaslrOffset } from "./attach/kaslr-offset";
import type { LinuxGuest } from "./linux-guest";
import type { LinuxKernel } from "./structs/linux-kernel";
import { readModuleTypes } from "./modules/module-types";

const LONGEST_BANNER = 512;

/**
 * Writes Volatility 3's symbol file (ISF) for the kernel of a guest, in pieces: its types and those of the modules that it has
 * loaded, and its symbols at the addresses that the kernel's file has, before KASLR moved it.
 *
 * @param version of rebox
 * @throws MissingSymbolError when the kernel has no linux_banner
 */
export function writeKernelIsf({ kernel, modules }: IsfGuest, version: string): IterableIterator<string> {
  const content: IsfContent = {
    types: [kernel.types, ...listModuleTypes(kernel, modules)],
    symbols: linkedSymbols(kernel),
    system: { banner: readBannerBytes(kernel) },
    version,
  };
  return writeIsf(content);
}

/** The source of an ISF file: the kernel, and those of its modules whose types are wanted. */
export interface IsfGuest {
  readonly kernel: LinuxKernel;
  readonly modules: ReturnType<LinuxGuest["getKernelModules"]>;
}

function listModuleTypes(kernel: LinuxKernel, modules: IsfGuest["modules"]): TypeSource[] {
  return modules.flatMap((module) => {
    try {
      return [readModuleTypes(kernel, module)];
    } catch (error) {
      // A module need not describe its types, and one that is on its way out may be damaged.
      if (error instanceof BtfError || error instanceof KernelDataError) return [];
      throw error;
    }
  });
}

/** The symbols of the image at the addresses of its file. Others, as offsets within each vCPU's own data, stay as they are. */
function* linkedSymbols(kernel: LinuxKernel): IterableIterator<IsfSymbolEntry> {
  const shift = findKaslrOffset(kernel);
  const { start, size } = kernel.image;
  const end = start + BigInt(size);
  for (const { name, address, size: bytes } of allSymbols(kernel.symbols)) {
    const isImage = address >= start && address < end;
    yield { name, address: isImage ? address - shift : address, size: bytes };
  }
}

function* allSymbols(table: SymbolTable): IterableIterator<GuestSymbol> {
  yield* table.symbols();
  // What only a profile knows comes last: of a name that both have, the kernel's own word holds.
  if (table instanceof LayeredSymbols) yield* table.second.symbols();
}

/** With its line feed and zero: Volatility looks for these bytes in memory. */
function readBannerBytes(kernel: LinuxKernel): Uint8Array {
  const bytes = Buffer.from(kernel.memory.read(kernel.symbol("linux_banner"), LONGEST_BANNER));
  const end = bytes.indexOf(0);
  return end < 0 ? Buffer.from(`${kernel.banner}\n\0`, "latin1") : bytes.subarray(0, end + 1);
}
