import { KernelDataError } from "../../errors";
import { VirtualMemory } from "../../memory/virtual-memory";
import type { WindowsKernel } from "../kernel/windows-kernel";
import { listProcesses, readProcess } from "../processes/process-reader";

/** _HHIVE.Signature of every version. */
const HIVE_SIGNATURE = 0xbee0bee0;
/** A cell's index: the storage (stable or volatile), the entry of the directory, that of the table, the offset in the block. */
const VOLATILE = 0x80000000;
const DIRECTORY_SHIFT = 21;
const TABLE_SHIFT = 12;
const TABLE_MASK = 0x1ff;
const BLOCK_MASK = 0xfff;
/** The size in front of a cell, below 0 for one that is in use. */
const CELL_HEAD = 4;
/** A bin's flags, in the lowest bits of its address. */
const ADDRESS_MASK = ~0xfn;
const REGISTRY_PROCESS = "Registry";

/**
 * The cells of one hive, found by the two levels of its map (_HHIVE.Storage). The cells themselves are those of a hive's file.
 * Until 10 1709 they lie in the kernel's memory, since then in that of the process Registry.
 */
export class HiveMemory {
  readonly #kernel: WindowsKernel;
  /** The address of its _HHIVE. */
  readonly #hive: bigint;
  readonly #getRegistry: () => VirtualMemory | undefined;

  /**
   * @param address of its _CMHIVE
   * @param getRegistry gives the memory of the process Registry
   * @throws KernelDataError when there is none
   */
  constructor(kernel: WindowsKernel, address: bigint, getRegistry: () => VirtualMemory | undefined) {
    this.#kernel = kernel;
    this.#hive = address + BigInt(kernel.place("_CMHIVE", "Hive").offset);
    this.#getRegistry = getRegistry;
    const signature = this.#read(() => kernel.at("_HHIVE", this.#hive).number("Signature"));
    if (signature !== HIVE_SIGNATURE) {
      throw new KernelDataError("a hive", address, `its signature is 0x${signature.toString(16)}`);
    }
  }

  /** The index of the cell of the root key. @throws KernelDataError */
  get rootCell(): number {
    return this.#read(() => {
      const base = this.#kernel.at("_HHIVE", this.#hive).follow("BaseBlock");
      if (!base) throw new KernelDataError("a hive", this.#hive, "it has no base block");
      return base.number("RootCell");
    });
  }

  /**
   * Reads a cell.
   *
   * @param size the most that is read, in bytes
   * @throws KernelDataError when there is no such cell, it is free, or it is not in memory
   */
  readCell(index: number, size: number): Buffer {
    return this.#read(() => {
      const address = this.#findCell(index);
      const memory = this.#memoryOf(address);
      const head = memory.u32(address) | 0;
      if (head >= 0) throw new KernelDataError("a cell of a hive", address, "it is free");
      return memory.read(address + BigInt(CELL_HEAD), Math.min(size, Math.max(0, -head - CELL_HEAD)));
    });
  }

  #findCell(index: number): bigint {
    const kernel = this.#kernel;
    const kind = (index & VOLATILE) === 0 ? 0 : 1;
    const offset = index & ~VOLATILE;
    const storage = kernel.place("_HHIVE", "Storage");
    const dual = kernel.at("_DUAL", this.#hive + BigInt(storage.offset + kind * kernel.sizeOf("_DUAL")));
    const map = dual.value("Map");
    if (map === 0n || offset >= dual.number("Length")) {
      throw new KernelDataError("a hive", this.#hive, `it has no cell 0x${(index >>> 0).toString(16)}`);
    }
    const { memory } = kernel;
    const table = memory.pointer(map + BigInt((offset >>> DIRECTORY_SHIFT) * memory.pointerSize));
    const entry = kernel.at(
      "_HMAP_ENTRY",
      table + BigInt(((offset >>> TABLE_SHIFT) & TABLE_MASK) * kernel.sizeOf("_HMAP_ENTRY")),
    );
    // Windows 10 has the bin's address, and how far the block lies in it.
    const block = entry.has("BlockAddress")
      ? entry.value("BlockAddress")
      : (entry.value("PermanentBinAddress") & ADDRESS_MASK) + entry.value("BlockOffset");
    if (block === 0n) throw new KernelDataError("a block of a hive", entry.address, "it is not in memory");
    return BigInt.asUintN(kernel.bits, block + BigInt(offset & BLOCK_MASK));
  }

  #memoryOf(address: bigint): VirtualMemory {
    const lowest = this.#kernel.bits === 64 ? 1n << 63n : 0x80000000n;
    if (address >= lowest) return this.#kernel.memory;
    const memory = this.#getRegistry();
    if (!memory) throw new KernelDataError("a cell of a hive", address, "the process Registry is not there");
    return memory;
  }

  #read<Value>(read: () => Value): Value {
    try {
      return read();
    } catch (error) {
      throw KernelDataError.from(error, "a hive", this.#hive);
    }
  }
}

/** Finds the memory of the process Registry, which holds the hives of 10 1803 and later; undefined where there is none. */
export function findRegistryMemory(kernel: WindowsKernel): VirtualMemory | undefined {
  const { ram, tables } = kernel.memory;
  const pointer = kernel.findSymbol("CmpRegistryProcess");
  const address = pointer === undefined ? 0n : kernel.memory.pointer(pointer);
  const facts =
    address === 0n
      ? [...listProcesses(kernel)].find(({ name, peb }) => name === REGISTRY_PROCESS && peb === 0n)
      : readProcess(kernel, address);
  return facts && new VirtualMemory(ram, tables, Number(facts.pgd));
}
