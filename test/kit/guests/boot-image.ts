import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SECTOR = 512;
const ORIGIN = 0x7c00;

/** A boot sector, and where its labels are. */
export interface BootImage {
  readonly path: string;
  /** QEMU's arguments that boot it. */
  readonly qemuArgs: readonly string[];
  /** Addresses of the source's labels, as the linker gives them. */
  readonly labels: ReadonlyMap<string, bigint>;
}

/**
 * Assembles a boot sector that runs at 0x7c00.
 *
 * @param source GNU assembler, AT&T syntax; begins in 16-bit code
 * @param use is given the image, which is gone afterwards
 */
export async function withBootImage<Result>(
  source: string,
  use: (image: BootImage) => Promise<Result>,
): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-boot-"));
  // A compiler that is no sanitizer build must not be given the sanitizer that these tests may run with.
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, { cwd: folder, encoding: "utf8", env: { ...process.env, LD_PRELOAD: "" } });
  try {
    writeFileSync(join(folder, "boot.s"), `.code16\n.globl _start\n_start:\n${source}\n`);
    run("as", "--32", "-o", "boot.o", "boot.s");
    run("ld", "-m", "elf_i386", "-Ttext", ORIGIN.toString(16), "-o", "boot.elf", "boot.o");
    run("objcopy", "-O", "binary", "-j", ".text", "boot.elf", "boot.bin");
    const code = readFileSync(join(folder, "boot.bin"));
    if (code.length > SECTOR - 2) throw new Error(`${code.length} bytes are too many for a boot sector`);
    const sector = Buffer.alloc(SECTOR);
    code.copy(sector);
    sector.writeUInt16LE(0xaa55, SECTOR - 2);
    const path = join(folder, "boot.img");
    writeFileSync(path, sector);
    const symbols = run("nm", "boot.elf").matchAll(/^([0-9a-f]+) \w (\w+)$/gm);
    const labels = new Map([...symbols].map(([, address, name]) => [name!, BigInt(`0x${address}`)]));
    return await use({ path, qemuArgs: ["-drive", `file=${path},format=raw,if=floppy`, "-boot", "a"], labels });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
