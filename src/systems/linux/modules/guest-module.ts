import type { GuestModule } from "../../guest-system";
import type { KernelModule, ModuleMemory } from "./kernel-module";
import type { LinuxKernel } from "../structs/linux-kernel";
import type { Mapping } from "../processes/memory-map";

/** The name of the kernel itself among the modules. */
export const KERNEL = "kernel";

/** Makes the kernel itself a module. A 32-bit image was found with the memory around it, and its symbols say what is its. */
export function kernelAsModule(kernel: LinuxKernel): GuestModule {
  const { image } = kernel;
  const first = kernel.bits === 32 ? kernel.findSymbol("_text", "_stext") : undefined;
  const last = kernel.bits === 32 ? kernel.findSymbol("_end") : undefined;
  const base = first ?? image.start;
  const size = Number((last ?? image.start + BigInt(image.size)) - base);
  return createModule(KERNEL, "", base, size, [{ base, size }]);
}

/** Makes a kernel module a module as scripts see it. */
export function asModule({ name, base, size, memory }: KernelModule): GuestModule {
  return createModule(name, "", base, size, memory);
}

/**
 * Finds the programs and libraries among the mappings of a process: the files of which something is mapped as code, and
 * the kernel's "[vdso]".
 */
export function findUserModules(map: readonly Mapping[]): GuestModule[] {
  const files = new Map<string, Mapping[]>();
  for (const mapping of map) {
    if (mapping.file === 0n && mapping.path !== "[vdso]") continue;
    const pieces = files.get(mapping.path);
    if (pieces) pieces.push(mapping);
    else files.set(mapping.path, [mapping]);
  }
  return [...files].flatMap(([path, pieces]) => {
    if (!pieces.some(({ permissions }) => permissions.includes("x"))) return [];
    const base = (pieces[0] as Mapping).start;
    const end = pieces.reduce((last, piece) => (piece.end > last ? piece.end : last), base);
    const memory = pieces.map((piece) => ({ base: piece.start, size: Number(piece.end - piece.start) }));
    const name = path.slice(path.lastIndexOf("/") + 1);
    return [createModule(name, path, base, Number(end - base), memory)];
  });
}

/** @param memory the pieces that belong to it */
export function createModule(
  name: string,
  path: string,
  base: bigint,
  size: number,
  memory: readonly ModuleMemory[],
): GuestModule {
  const contains = (address: bigint): boolean =>
    memory.some((piece) => address >= piece.base && address < piece.base + BigInt(piece.size));
  return { name, path, base, size, memory, contains };
}
