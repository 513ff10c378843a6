import { createHash } from "node:crypto";
import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { takeLock } from "../../../src/lab/process-lock";
import { PROJECT } from "../project";

/** Below it lies a folder for each guest that stands ready; a set-up that builds the kit or QEMU anew makes others. */
const FOLDER = join(PROJECT, "build/guest/ready");

/** Booting and freezing a whole system, on a busy host, also under the sanitizer; and waiting for another test that does so. */
const LIMIT_MS = 900_000;

/**
 * Gets the folder with the state of a guest, which the first test that needs it makes for all.
 *
 * @param facts all that the state is bound to, beside QEMU
 * @param files paths of the files that it is bound to
 * @param make fills a folder, which then becomes the one that tests find
 */
export async function getReadyFolder(
  { name, facts, files }: { readonly name: string; readonly facts: unknown; readonly files: readonly string[] },
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(FOLDER, `${name}-${sumUp(facts, files)}`);
  if (existsSync(folder)) return folder;
  mkdirSync(FOLDER, { recursive: true });
  const giveBack = await takeLock(`${folder}.lock`, { timeoutMs: LIMIT_MS, owner: "a test that makes a guest ready" });
  try {
    if (existsSync(folder)) return folder;
    const making = mkdtempSync(`${folder}.making-`);
    try {
      await make(making);
      renameSync(making, folder);
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
    return folder;
  } finally {
    await giveBack();
  }
}

function sumUp(facts: unknown, files: readonly string[]): string {
  const build = process.env.REBOX_BUILD === "asan" ? "-asan" : "";
  const library = realpathSync(join(PROJECT, `build/qemu${build}/libqemu-system-x86_64.so`));
  const hash = createHash("sha256").update(JSON.stringify(facts));
  for (const file of [library, ...files]) {
    const { size, mtimeMs } = statSync(file);
    hash.update(JSON.stringify([file, size, mtimeMs]));
  }
  return hash.digest("hex").slice(0, 16);
}

/** Gives a file of a ready guest a second place. Nobody writes to it: it is read or removed. */
export function shareFile(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch {
    // On another file system. A file that has its time need not be read to be known as the same.
    copyFileSync(source, target, constants.COPYFILE_FICLONE);
    const { atime, mtime } = statSync(source);
    utimesSync(target, atime, mtime);
  }
}
