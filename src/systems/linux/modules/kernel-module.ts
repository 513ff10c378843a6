import { KernelDataError } from "../../errors";
import { walkList } from "../../structs/kernel-list";
import type { LinuxKernel } from "../structs/linux-kernel";
import type { StructCursor } from "../../structs/struct-cursor";

const LONGEST_NAME = 64;
/** enum module_state: a module that is being loaded and has nothing yet. */
const UNFORMED = 3;
const MOST_MODULES = 10_000;
/** enum mod_mem_type: MOD_INIT_TEXT, and what follows it. */
const FIRST_INITIAL = 4;

/** A piece of memory that a kernel module has. */
export interface ModuleMemory {
  readonly base: bigint;
  /** In bytes. */
  readonly size: number;
}

/** A kernel module that is loaded. */
export interface KernelModule {
  readonly name: string;
  /** The start of its code, as /proc/modules prints it. */
  readonly base: bigint;
  /** In bytes, of all its memory, as /proc/modules prints it. */
  readonly size: number;
  /** In bytes, without what is needed only until it has started, and is then given back. */
  readonly lastingSize: number;
  readonly memory: readonly ModuleMemory[];
  /** The address of its struct module. */
  readonly kaddr: bigint;
}

/**
 * Lists the kernel modules, the one that was loaded last first.
 *
 * @throws KernelDataError when the kernel's list is damaged
 */
export function listKernelModules(kernel: LinuxKernel): KernelModule[] {
  const found: KernelModule[] = [];
  const offset = kernel.offset("module", "list");
  for (const address of walkList(kernel.memory, kernel.symbol("modules"), "the list of kernel modules", offset)) {
    if (found.length >= MOST_MODULES) {
      throw new KernelDataError("the list of kernel modules", address, `more than ${MOST_MODULES} modules`);
    }
    const module = readKernelModule(kernel, address);
    if (module) found.push(module);
  }
  return found;
}

/** Reads a struct module; undefined while it is being loaded and has nothing yet. */
export function readKernelModule(kernel: LinuxKernel, address: bigint): KernelModule | undefined {
  try {
    const module = kernel.at("module", address);
    if (module.number("state") === UNFORMED) return undefined;
    const memory = listMemory(kernel, module);
    return {
      name: module.text(LONGEST_NAME, "name"),
      base: memory[0]?.base ?? 0n,
      size: addSizes(memory),
      lastingSize: addSizes(memory.filter(({ isInitial }) => !isInitial)),
      memory: memory.filter(({ size }) => size > 0).map(({ base, size }) => ({ base, size })),
      kaddr: address,
    };
  } catch (error) {
    throw KernelDataError.from(error, "a struct module", address);
  }
}

/** Since 6.4 a module has memory of several types, the code's first; before, one piece, and one for its start. */
function listMemory(kernel: LinuxKernel, module: StructCursor): (ModuleMemory & { readonly isInitial: boolean })[] {
  const several = kernel.findMember("module", "mem");
  if (several?.type.kind === "array") {
    const { count, element } = several.type;
    const at = module.addressOf("mem");
    return Array.from({ length: Math.min(count, 16) }, (_, index) => {
      const piece = kernel.at("module_memory", at + BigInt(index * element.size));
      return { base: piece.value("base"), size: piece.number("size"), isInitial: index >= FIRST_INITIAL };
    });
  }
  return ["core_layout", "init_layout"].map((name) => ({
    base: module.value(`${name}.base`),
    size: module.number(`${name}.size`),
    isInitial: name === "init_layout",
  }));
}

function addSizes(memory: readonly ModuleMemory[]): number {
  return memory.reduce((sum, { size }) => sum + size, 0);
}
