import { AddressError } from "../../errors";
import type { LinuxKernel } from "../structs/linux-kernel";

const LARGEST = 65536;

/**
 * Reads what the kernel has made ready for readers of its memory after a crash, which find its structs and tables by it: lines of
 * NAME=VALUE (Documentation/admin-guide/kdump/vmcoreinfo.rst).
 *
 * @returns undefined when it was built without, or what leads there is damaged
 */
export function findVmcoreinfo(kernel: LinuxKernel): Buffer | undefined {
  const [data, size] = ["vmcoreinfo_data", "vmcoreinfo_size"].map((name) => kernel.findSymbol(name));
  if (data === undefined || size === undefined) return undefined;
  try {
    const { memory } = kernel;
    const bytes = Number(memory.pointer(size));
    return bytes > 0 && bytes <= LARGEST ? Buffer.from(memory.read(memory.pointer(data), bytes)) : undefined;
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}
