import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PROJECT } from "../project";

const QEMU_IMG = join(PROJECT, "build/qemu/qemu-img");

/** mke2fs and debugfs are where only administrators look. */
const ENVIRONMENT = {
  ...process.env,
  PATH: `${process.env["PATH"]}:/usr/sbin:/sbin`,
  MKE2FS_DEVICE_PHYS_SECTSIZE: "512",
};

/** Writes files into a folder, by their relative path. */
export function writeTree(folder: string, files: Readonly<Record<string, string | Buffer>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

/**
 * Makes an image of an ext4 file system with e2fsprogs' own program.
 *
 * @param tree the folder with its files
 * @param options of mke2fs
 */
export function makeExt4(image: string, tree: string, size = "64M", options: readonly string[] = []): void {
  execFileSync("mke2fs", ["-q", "-t", "ext4", "-F", ...options, "-d", tree, image, size], { env: ENVIRONMENT });
}

/** Changes a file system as its debugger does; each command is a line of debugfs(8). */
export function debugExt4(image: string, commands: readonly string[]): void {
  const input = `${commands.join("\n")}\n`;
  execFileSync("debugfs", ["-w", "-f", "-", image], { env: ENVIRONMENT, input, stdio: ["pipe", "ignore", "ignore"] });
}

/** Makes a qcow2 image of a raw one, and an overlay over that. @returns the overlay */
export function makeOverlay(image: string): string {
  const [base, overlay] = [`${image}.qcow2`, `${image}.overlay`];
  execFileSync(QEMU_IMG, ["convert", "-O", "qcow2", image, base]);
  execFileSync(QEMU_IMG, ["create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", overlay]);
  return overlay;
}
