import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Elf } from "../../systems/symbols/elf/elf";
import { UsageError } from "../errors";

/**
 * Gets the types of a kernel as BTF: its own, or made of its debug information with pahole.
 *
 * @param path the kernel's ELF file, vmlinux
 * @param elf the same, read
 * @param folder for a temporary file
 * @throws UsageError when there is neither, or no pahole
 */
export function getKernelTypes(path: string, elf: Elf, folder: string): Uint8Array {
  const own = elf.findSection(".BTF");
  if (own) return own;
  const output = join(folder, "kernel.btf");
  const { status, stderr, error } = spawnSync("pahole", [`--btf_encode_detached=${output}`, path], {
    encoding: "utf8",
  });
  if ((error as NodeJS.ErrnoException | undefined)?.code === "ENOENT") {
    throw new UsageError("pahole is needed to read a kernel's debug information: apt install dwarves");
  }
  if (error || status !== 0 || !existsSync(output)) {
    const reason = error?.message ?? (stderr.trim().split("\n").at(-1) || `pahole ended with ${status}`);
    throw new UsageError(`${path} has no types that pahole can read: ${reason}; name a vmlinux with debug information`);
  }
  return readFileSync(output);
}
