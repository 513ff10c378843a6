import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import { getReboxVersion } from "../../config/folders";
import { listFiles } from "../../config/host-files";
import { getDatabaseFile } from "../analysis/analysis-places";
import { getClusterFile, nameLab } from "../cluster/cluster-settings";
import { MachineryManagerError } from "../errors";
import { type BackupFile, findManifest, keepFile, restoreFile, writeManifest } from "./backup-files";
import { recoverFolder, replaceFolder } from "./replace-folder";

/** The folders of a lab that are worth keeping. Golden states are large, and made or fetched anew. */
const FOLDERS = ["conf", "modules", "analyses", "samples", "server"];
const GOLDEN = "golden";
/** Databases are copied by SQLite, as they are at one moment. */
const DATABASES = ["analyses/analyses.db", "server/accounts.db"];
/** Files of rebox that belong to a process, and to no backup. */
const PASSING =
  /^(analyses|server)\/[^/]+(\.lock|-wal|-shm|\.db)$|^(conf|golden)\/.*\.lock$|^server\/(incoming|outgoing|inputs|tasks)\//;

/** The extent of a backup. */
export interface BackupSummary {
  readonly files: number;
  /** In bytes; what has several names counts once. */
  readonly size: number;
}

/**
 * Copies a lab, while it is used or not: its databases as they are at one moment, then the results of the analyses that had ended by then.
 * A second backup into the same folder replaces the first once it is whole, and what has not changed is there once on the disk.
 *
 * @param folder of the backup, absolute; it is made
 * @throws MachineryManagerError when the folder is something else
 */
export async function backupLab(
  labFolder: string,
  folder: string,
  { withGolden = false } = {},
): Promise<BackupSummary> {
  recoverFolder(folder, (left) => findManifest(left) !== undefined);
  if (existsSync(folder) && readdirSync(folder).length > 0 && findManifest(folder) === undefined) throw new MachineryManagerError(`${folder} is there, and no backup; name a new folder, or one of a backup`); // prettier-ignore
  const before = findManifest(folder);
  const known = new Map(before?.files.map((file) => [file.path, file]));
  return replaceFolder(folder, async (making) => {
    const files: BackupFile[] = [];
    const links = new Map<string, BackupFile>();
    const keep = async (from: string, path: string, own: BackupFile | undefined) => {
      const kept = await keepFile(from, making, path, own && { folder, file: own }, links);
      if (kept !== undefined) files.push(kept);
    };
    const copies = join(making, ".databases");
    for (const path of DATABASES) {
      if (!existsSync(join(labFolder, path))) continue;
      mkdirSync(join(copies, path, ".."), { recursive: true, mode: 0o700 });
      copyDatabase(join(labFolder, path), join(copies, path));
      await keep(join(copies, path), path, undefined);
    }
    rmSync(copies, { recursive: true, force: true });
    const ended = listEnded(join(making, DATABASES[0]!));
    for (const top of withGolden ? [...FOLDERS, GOLDEN] : FOLDERS)
      for (const path of listFiles(labFolder, top)) {
        const analysis = /^analyses\/(\d+)\//.exec(path)?.[1];
        if (PASSING.test(path) || (analysis !== undefined && !ended.has(analysis))) continue;
        await keep(join(labFolder, path), path, known.get(path));
      }
    writeManifest(making, getReboxVersion(), files);
    return summarize(files);
  });
}

/**
 * Makes a lab of a backup. Every file is checked. Analyses that waited or ran when the backup was made are there as those that wait, or as lost.
 * In a cluster it is another lab, with a name of its own: that of the backup may have gone on, and given its numbers to other analyses.
 *
 * @param folder of the lab, absolute; it must not be there, or be empty
 * @throws MachineryManagerError for a folder that has something, or a backup that is not whole: then there is no lab
 */
export async function restoreLab(backup: string, folder: string): Promise<BackupSummary> {
  const manifest = findManifest(backup);
  if (manifest === undefined) throw new MachineryManagerError(`${backup} is no backup of a lab: it has no backup.json`);
  if (existsSync(folder) && readdirSync(folder).length > 0) throw new MachineryManagerError(`${folder} has something in it; a lab is restored into a new folder`); // prettier-ignore
  await replaceFolder(folder, async (making) => {
    const restored = new Map<string, BackupFile>();
    for (const file of manifest.files) {
      await restoreFile(backup, making, file, restored);
      chmodSync(join(making, file.path), file.mode);
      restored.set(file.path, file);
    }
    renameInCluster(making);
  });
  return summarize(manifest.files);
}

function summarize(files: readonly BackupFile[]): BackupSummary {
  const size = files.reduce((sum, file) => sum + (file.linkOf === undefined ? file.size : 0), 0);
  return { files: files.length, size };
}

/** Makes a lab of a cluster a new one there, which hands in anew what had not ended. */
function renameInCluster(folder: string): void {
  const settings = getClusterFile(folder);
  if (!existsSync(settings)) return;
  writeFileSync(settings, readFileSync(settings, "utf8").replace(/^lab:.*$/m, `lab: ${JSON.stringify(nameLab())}`));
  const file = getDatabaseFile(folder);
  if (!existsSync(file)) return;
  const database = new Database(file);
  try {
    database.exec("DROP TABLE IF EXISTS handed_in;");
  } finally {
    database.close();
  }
}

/** Copies a database as it is at one moment, while others use it. */
function copyDatabase(from: string, to: string): void {
  const database = new Database(from);
  try {
    database.exec("PRAGMA busy_timeout = 30000;");
    database.prepare("VACUUM INTO ?").run(to);
  } finally {
    database.close();
  }
}

/** Names the folders of analyses that have ended: the files of others still change, or are of analyses that the copy does not know. */
function listEnded(file: string): Set<string> {
  if (!existsSync(file)) return new Set();
  const database = new Database(file);
  try {
    const rows = database.prepare("SELECT id FROM analyses WHERE outcome IS NOT NULL").all() as { id: number }[];
    return new Set(rows.map(({ id }) => String(id)));
  } finally {
    database.close();
  }
}

/** Returns whether a folder is a lab with something to keep. */
export function hasLab(labFolder: string): boolean {
  return existsSync(join(labFolder, "conf")) || existsSync(getDatabaseFile(labFolder));
}
