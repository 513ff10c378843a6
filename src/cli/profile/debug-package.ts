import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../usage-error";

/** Where Debian's debug packages have the kernel; Ubuntu's the same. */
const PATTERN = "./usr/lib/debug/boot/vmlinux-*";

/**
 * Takes the kernel with its debug information out of a package.
 *
 * @param path a linux-image-*-dbg .deb
 * @param folder where it is put; it needs about a third of a gigabyte
 * @returns its path
 * @throws UsageError when the package has none
 */
export function unpackDebugKernel(path: string, folder: string): string {
  const script = 'dpkg-deb --fsys-tarfile "$1" | tar -xf - -C "$2" --wildcards "$3"';
  const { status, stderr, error } = spawnSync("sh", ["-c", script, "sh", path, folder, PATTERN], { encoding: "utf8" });
  const boot = join(folder, "usr/lib/debug/boot");
  if (error || status !== 0) {
    const reason = error?.message ?? stderr.trim().split("\n")[0];
    throw new UsageError(`${path} is no debug package of a kernel (linux-image-*-dbg): ${reason}`);
  }
  return join(boot, readdirSync(boot)[0] as string);
}
