import { createHash } from "node:crypto";
import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { basename, join } from "node:path";
import { takeLock } from "../../../src/lab/process-lock";
import { PROJECT } from "../project";

/** Below it lies a folder for each QEMU, and in that one for each guest that stands ready. */
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
  const ofBuild = join(FOLDER, nameBuild());
  const folder = join(ofBuild, `${name}-${sumUp([facts, describe(files)])}`);
  if (existsSync(folder)) return folder;
  removeOfOtherBuilds(ofBuild);
  mkdirSync(ofBuild, { recursive: true });
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

/** A QEMU that was built anew has another name, and so has the one with sanitizers. */
function nameBuild(): string {
  const kind = process.env.REBOX_BUILD === "asan" ? "-asan" : "";
  const library = realpathSync(join(PROJECT, `build/qemu${kind}/libqemu-system-x86_64.so`));
  return `qemu${kind}-${sumUp(describe([library]))}`;
}

/** States of a QEMU that was replaced are of no use, and some hundred MB each. */
function removeOfOtherBuilds(ofBuild: string): void {
  const isOfKind = (name: string) => name.startsWith("qemu-asan-") === basename(ofBuild).startsWith("qemu-asan-");
  const names = existsSync(FOLDER) ? readdirSync(FOLDER) : [];
  for (const name of names.filter((each) => each !== basename(ofBuild) && isOfKind(each)))
    rmSync(join(FOLDER, name), { recursive: true, force: true });
}

function describe(files: readonly string[]): unknown {
  return files.map((file) => {
    const { size, mtimeMs } = statSync(file);
    return [file, size, mtimeMs];
  });
}

function sumUp(facts: unknown): string {
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 16);
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
