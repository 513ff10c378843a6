import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Elf } from "../../systems/symbols/elf/elf";
import { ElfError } from "../../systems/errors";
import { packProfile } from "../../systems/symbols/profile-file";
import { UsageError } from "../errors";
import { getKernelTypes } from "./kernel-types";

const LONGEST_BANNER = 512;

/** A profile that was made. */
export interface MadeProfile {
  readonly content: Buffer;
  readonly buildId: string | undefined;
  readonly banner: string | undefined;
  readonly symbolCount: number;
}

/**
 * Makes a profile of a kernel.
 *
 * @param path a vmlinux with debug information, or the Debian package that has it
 * @throws UsageError when it is neither
 */
export function makeProfile(path: string): MadeProfile {
  const folder = mkdtempSync(join(tmpdir(), "rebox-profile-"));
  try {
    const vmlinux = path.endsWith(".deb") ? unpackDebugKernel(path, folder) : path;
    const file = openFile(vmlinux);
    try {
      return makeFrom(vmlinux, file, folder);
    } finally {
      closeSync(file);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const advice = "name a vmlinux or a .deb; apt-get download fetches a package";
    throw new UsageError(code === "ENOENT" ? `there is no file ${path}; ${advice}` : (error as Error).message);
  }
}

function makeFrom(path: string, file: number, folder: string): MadeProfile {
  // A third of a gigabyte: only the needed parts are read.
  const readFile = (offset: number, size: number): Buffer | undefined => {
    const bytes = Buffer.allocUnsafe(size);
    return readSync(file, bytes, 0, size, offset) === size ? bytes : undefined;
  };
  let elf: Elf;
  try {
    elf = new Elf({ readFile });
  } catch (error) {
    if (!(error instanceof ElfError)) throw error;
    throw new UsageError(
      `${path}: ${error.message}; a vmlinuz is packed and stripped: name the vmlinux of the debug package`,
    );
  }
  const { symbols, bits, buildId } = elf;
  const banner = findBanner(elf);
  if (symbols.count === 0 || banner === undefined) {
    throw new UsageError(`${path} is not a Linux kernel with symbols: it has ${symbols.count}, and no linux_banner`);
  }
  const content = packProfile({ buildId, banner, bits }, getKernelTypes(path, elf, folder), symbols);
  return { content, buildId, banner, symbolCount: symbols.count };
}

/** Reads the text that /proc/version prints. */
function findBanner(elf: Elf): string | undefined {
  const address = elf.symbols.findAddress("linux_banner");
  const bytes = address === undefined ? undefined : elf.findBytes(address, LONGEST_BANNER);
  const text = bytes && Buffer.from(bytes).toString("latin1");
  return text === undefined ? undefined : /^Linux version [^\n\0]*/.exec(text)?.[0];
}

/** The place of the kernel in debug packages of Debian and Ubuntu. */
const PACKAGED_KERNEL = "./usr/lib/debug/boot/vmlinux-*";

/**
 * Takes the kernel with its debug information out of a package.
 *
 * @param path a linux-image-*-dbg .deb
 * @param folder receives the kernel; it needs about a third of a gigabyte
 * @returns its path
 * @throws UsageError when the package has none
 */
export function unpackDebugKernel(path: string, folder: string): string {
  const script = 'dpkg-deb --fsys-tarfile "$1" | tar -xf - -C "$2" --wildcards "$3"';
  const { status, stderr, error } = spawnSync("sh", ["-c", script, "sh", path, folder, PACKAGED_KERNEL], {
    encoding: "utf8",
  });
  const boot = join(folder, "usr/lib/debug/boot");
  if (error || status !== 0) {
    const reason = error?.message ?? stderr.trim().split("\n")[0];
    throw new UsageError(`${path} is no debug package of a kernel (linux-image-*-dbg): ${reason}`);
  }
  return join(boot, readdirSync(boot)[0] as string);
}
