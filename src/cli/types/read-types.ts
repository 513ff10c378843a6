import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Btf } from "../../systems/symbols/btf";
import { BtfError, ElfError, ProfileError, SymbolsError } from "../../systems/errors";
import { Elf } from "../../systems/symbols/elf/elf";
import { readProfile } from "../../systems/symbols/profile-store";
import type { TypeSource } from "../../systems/symbols/type-source";
import { getKernelTypes } from "../profile/kernel-types";
import { UsageError } from "../errors";
import { readImageSymbols } from "../../systems/windows/symbols/image-symbols";

/** BTF_MAGIC, include/uapi/linux/btf.h, and ELF's own, as bytes of a little-endian file. */
const BTF_MAGIC = "9feb";
const ELF_MAGIC = "7f454c46";
/** "Micr": what PDB files begin with. */
const PDB_MAGIC = "4d696372";

/**
 * Reads the types of a kernel from a file: BTF as in /sys/kernel/btf/vmlinux, a vmlinux, a profile, an ISF file or a PDB file.
 *
 * @throws UsageError when it is none of them
 */
export function readTypes(path: string): TypeSource {
  try {
    const magic = readMagic(path);
    if (magic === PDB_MAGIC) return readImageSymbols(path).types;
    if (magic.startsWith(BTF_MAGIC)) return new Btf(readFileSync(path), 8, path);
    return magic === ELF_MAGIC ? readFromElf(path) : readProfile(path).types;
  } catch (error) {
    if (
      error instanceof BtfError ||
      error instanceof ElfError ||
      error instanceof ProfileError ||
      error instanceof SymbolsError
    ) {
      throw new UsageError(`${path} has no types of a kernel: ${error.message}`);
    }
    throw error;
  }
}

function readMagic(path: string): string {
  const bytes = Buffer.alloc(4);
  try {
    const file = openSync(path, "r");
    try {
      return bytes.subarray(0, readSync(file, bytes, 0, 4, 0)).toString("hex");
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new UsageError(
      `cannot read ${path}: ${(error as Error).message}; name a vmlinux, a profile, or BTF such as /sys/kernel/btf/vmlinux`,
    );
  }
}

function readFromElf(path: string): TypeSource {
  const folder = mkdtempSync(join(tmpdir(), "rebox-types-"));
  const file = openSync(path, "r");
  try {
    const readFile = (offset: number, size: number): Buffer | undefined => {
      const bytes = Buffer.allocUnsafe(size);
      return readSync(file, bytes, 0, size, offset) === size ? bytes : undefined;
    };
    const elf = new Elf({ readFile });
    return new Btf(getKernelTypes(path, elf, folder), elf.bits === 64 ? 8 : 4, path);
  } finally {
    closeSync(file);
    rmSync(folder, { recursive: true, force: true });
  }
}
