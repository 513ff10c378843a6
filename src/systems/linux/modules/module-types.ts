import { Btf } from "../../symbols/btf";
import { BtfError, KernelDataError } from "../../errors";
import { LazyTypes, type TypeSource } from "../../symbols/type-source";
import { walkList } from "../../structs/kernel-list";
import type { KernelModule } from "./kernel-module";
import type { LinuxKernel } from "../structs/linux-kernel";
import type { StructCursor } from "../../structs/struct-cursor";

const LARGEST = 0x2000000;

/**
 * Reads the types that a kernel module adds to those of the kernel (its own BTF, which continues the kernel's).
 *
 * @throws BtfError when the module has none, or the kernel's types come from elsewhere
 * @throws KernelDataError when the module is damaged
 */
export function readModuleTypes(kernel: LinuxKernel, module: KernelModule): TypeSource {
  const base = kernel.types instanceof LazyTypes ? kernel.types.source : kernel.types;
  if (!(base instanceof Btf)) {
    throw new BtfError(
      `the types of ${module.name} continue the kernel's BTF, but there is only ${kernel.types.origin}`,
    );
  }
  try {
    const kept = findKept(kernel, module);
    if (!kept) throw new BtfError(`the kernel module ${module.name} has no BTF`);
    const size = kept.number("data_size");
    if (!(size <= LARGEST)) {
      throw new KernelDataError("a struct btf", kept.address, `it says that it has ${size} bytes`);
    }
    const bytes = kernel.memory.read(kept.value("data"), size);
    return new Btf(bytes, kernel.memory.pointerSize, `the BTF of ${module.name}`, base);
  } catch (error) {
    throw KernelDataError.from(error, "a struct module", module.kaddr);
  }
}

/** Finds the copy that the kernel keeps for BPF (kernel/bpf/btf.c: btf_modules); the module's own goes when it has started. */
function findKept(kernel: LinuxKernel, module: KernelModule): StructCursor | undefined {
  const list = kernel.symbol("btf_modules");
  const offset = kernel.offset("btf_module", "list");
  for (const address of walkList(kernel.memory, list, "the list of modules with BTF", offset)) {
    const entry = kernel.at("btf_module", address);
    if (entry.value("module") === module.kaddr) return entry.follow("btf");
  }
  return undefined;
}
