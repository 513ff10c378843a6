import { copyFileSync, constants, existsSync, linkSync, lstatSync, mkdirSync, readFileSync, rmSync, utimesSync } from "node:fs"; // prettier-ignore
import { dirname, join, relative } from "node:path";
import { hashFile } from "../../config/host-files";
import { MachineryManagerError } from "../errors";
import { writeWhole } from "../machinery/records/machine-file";

const MANIFEST = "backup.json";
const FORMAT = 1;

/** A file of a backup. */
export interface BackupFile {
  /** Below the lab. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  readonly sha256: string;
  /** Of the file's permissions. */
  readonly mode: number;
  /** The last change, in milliseconds since 1970. */
  readonly changedMs: number;
  /** The file of the backup, by its path there, that this one is a second name of. */
  readonly linkOf?: string;
}

/** The description of a backup. */
export interface BackupManifest {
  readonly format: typeof FORMAT;
  /** Of rebox. */
  readonly version: string;
  /** ISO 8601, UTC. */
  readonly made: string;
  readonly files: readonly BackupFile[];
}

/**
 * Copies a file into a backup, unless the backup before has it as it is now: then that is a second name of the same file. What has
 * several names in the lab, as a golden state and the recordings that begin from it, is one file in the backup, too.
 *
 * @param before the folder and file of the backup before
 * @param links the files of this backup that have several names in the lab, by device and inode there; it is added to
 * @returns undefined when the file has gone in the meantime
 */
export async function keepFile(
  from: string,
  folder: string,
  path: string,
  before: { readonly folder: string; readonly file: BackupFile } | undefined,
  links: Map<string, BackupFile>,
): Promise<BackupFile | undefined> {
  const found = lstatSync(from, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  const { size, mode, mtimeMs, nlink } = found;
  const to = join(folder, path);
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  const facts = { path, size, mode: mode & 0o777, changedMs: Math.floor(mtimeMs) };
  const inode = nlink > 1 ? `${found.dev}:${found.ino}` : undefined;
  const first = inode === undefined ? undefined : links.get(inode);
  if (first?.size === size && first.changedMs === facts.changedMs && link(join(folder, first.path), to))
    return { ...first, path, linkOf: first.path };
  const kept = await copyFile(from, folder, facts, before);
  if (inode !== undefined && kept !== undefined) links.set(inode, kept);
  return kept;
}

/** Copies a file into a backup, or gives that of the backup before a second name. */
async function copyFile(
  from: string,
  folder: string,
  facts: Omit<BackupFile, "sha256">,
  before: { readonly folder: string; readonly file: BackupFile } | undefined,
): Promise<BackupFile | undefined> {
  const { path, size } = facts;
  const to = join(folder, path);
  if (before !== undefined && before.file.size === size && before.file.changedMs === facts.changedMs) {
    if (link(join(before.folder, path), to)) return { ...facts, sha256: before.file.sha256 };
  }
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
  } catch (error) {
    if (existsSync(from)) throw error;
    rmSync(to, { force: true });
    return undefined;
  }
  return { ...facts, size: lstatSync(to).size, sha256: await hashFile(to) };
}

/** Gives a file of a backup a second name. @returns false when it is not there any more, or the file system has no such names */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (["ENOENT", "EXDEV", "EMLINK", "EPERM", "ENOTSUP"].includes((error as NodeJS.ErrnoException).code ?? "")) return false; // prettier-ignore
    throw error;
  }
}

/**
 * Copies a file of a backup back, or gives it a second name where it is one of a file that was copied back.
 *
 * @param restored the files that are there again, by their paths
 * @throws MachineryManagerError when its content is another by now
 */
export async function restoreFile(
  backup: string,
  folder: string,
  file: BackupFile,
  restored: ReadonlyMap<string, BackupFile>,
): Promise<void> {
  const [from, to] = [join(backup, file.path), join(folder, file.path)];
  if (relative(folder, to).startsWith("..")) throw new MachineryManagerError(`${JSON.stringify(file.path)} is no file of a backup`); // prettier-ignore
  if (!existsSync(from)) throw new MachineryManagerError(`${from} is missing; the backup is not whole`);
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  const first = file.linkOf === undefined ? undefined : restored.get(file.linkOf);
  if (first?.sha256 === file.sha256 && link(join(folder, first.path), to)) return;
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  if ((await hashFile(to)) !== file.sha256) {
    rmSync(to);
    throw new MachineryManagerError(`the content of ${from} has changed since the backup was made; the backup is not whole`); // prettier-ignore
  }
  utimesSync(to, new Date(), new Date(file.changedMs));
}

/** Reads the description of a backup; undefined where there is none. @throws MachineryManagerError for one that is none */
export function findManifest(folder: string): BackupManifest | undefined {
  const path = join(folder, MANIFEST);
  if (!existsSync(path)) return undefined;
  const manifest = readManifest(path);
  if (manifest.format !== FORMAT || !Array.isArray(manifest.files)) throw new MachineryManagerError(`${path} is of another version of rebox (format ${String(manifest.format)})`); // prettier-ignore
  return manifest as BackupManifest;
}

function readManifest(path: string): Partial<BackupManifest> {
  try {
    return (JSON.parse(readFileSync(path, "utf8")) ?? {}) as Partial<BackupManifest>;
  } catch (error) {
    throw new MachineryManagerError(`${path} cannot be read; the backup is not whole: ${(error as Error).message}`);
  }
}

/** Writes the description of a backup: from then on it is one. */
export function writeManifest(folder: string, version: string, files: readonly BackupFile[]): void {
  const manifest: BackupManifest = { format: FORMAT, version, made: new Date().toISOString(), files };
  writeWhole(join(folder, MANIFEST), `${JSON.stringify(manifest, null, 1)}\n`);
}
