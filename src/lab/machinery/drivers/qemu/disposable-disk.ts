import { constants, copyFileSync, existsSync, rmSync } from "node:fs";
import { runProgram } from "../../processes/run-program";

const LIMIT_MS = 60_000;

export interface DiskTools {
  /** The program. */
  readonly qemuImg: string;
  readonly signal: AbortSignal;
}

/** Makes the disk of one run anew: an overlay over the machine's image, which is only read. */
export async function makeOverlay(base: string, overlay: string, { qemuImg, signal }: DiskTools): Promise<void> {
  rmSync(overlay, { force: true });
  const options = "lazy_refcounts=on,cluster_size=2M";
  const args = ["create", "-q", "-F", "qcow2", "-o", options, "-b", base, "-f", "qcow2", overlay];
  await runProgram(qemuImg, args, { signal, timeoutMs: LIMIT_MS, packageName: "qemu-utils" });
}

/** Copies an image whose internal snapshot is to be loaded: an overlay would not have it, and loading it writes. */
export function copyImage(base: string, copy: string): void {
  rmSync(copy, { force: true });
  copyFileSync(base, copy, constants.COPYFILE_FICLONE);
}

/** Removes the disk of a run. */
export function removeDisk(path: string): void {
  if (existsSync(path)) rmSync(path, { force: true });
}
