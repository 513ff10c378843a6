import type { GuestModule, GuestSystem, ModuleSymbol } from "../../../systems/guest-system";
import { KernelDataError } from "../../../systems/errors";
import { type SymbolName, writeSymbolName } from "../arguments/symbol-name";

/** Names addresses during one command: it reads once which modules are loaded. */
export class AddressNamer {
  #kernelModules: readonly GuestModule[] | undefined;
  #userModules: readonly GuestModule[] | undefined;

  /** @param pgd of a process, or 0 for none */
  constructor(
    private readonly guest: GuestSystem | undefined,
    private readonly pgd: bigint,
  ) {}

  /**
   * Names an address: "module!symbol", with "+0x10" when it lies behind the symbol; "module!+0x10" where the module has no symbol
   * for it, as a stripped program. Commands read it as it stands.
   *
   * @returns undefined when it is in no module
   */
  find(address: bigint): string | undefined {
    const symbol = this.#findSymbol(address);
    if (symbol) return writePlace(symbol, address - symbol.address);
    const module = this.findModule(address);
    return module && writePlace({ module: module.name, name: "" }, address - module.base);
  }

  /** Finds how far an address lies behind its symbol, in bytes; undefined when it has none. */
  findOffset(address: bigint): bigint | undefined {
    const symbol = this.#findSymbol(address);
    return symbol && address - symbol.address;
  }

  #findSymbol(address: bigint): ModuleSymbol | undefined {
    if (!this.guest || !this.findModule(address)) return undefined;
    try {
      return this.guest.symbols.findSymbol(this.pgd, address);
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /** Finds the module that an address belongs to. */
  findModule(address: bigint): GuestModule | undefined {
    this.#kernelModules ??= this.#list(0n);
    if (this.pgd !== 0n) this.#userModules ??= this.#list(this.pgd);
    const contains = (module: GuestModule) => module.contains(address);
    return this.#kernelModules.find(contains) ?? this.#userModules?.find(contains);
  }

  #list(pgd: bigint): readonly GuestModule[] {
    try {
      return this.guest?.symbols.getModules(pgd) ?? [];
    } catch (error) {
      if (isGone(error)) return [];
      throw error;
    }
  }
}

function writePlace(name: SymbolName, offset: bigint): string {
  return `${writeSymbolName(name)}${offset === 0n ? "" : `+0x${offset.toString(16)}`}`;
}

/** Whether no process has this address space any more, or the guest's lists are damaged. */
function isGone(error: unknown): boolean {
  return error instanceof KernelDataError || error instanceof RangeError;
}
