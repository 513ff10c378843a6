import { KernelDataError } from "../../../systems/errors";
import { DiskError } from "../../errors";
import type { GuestPlace } from "../guest-files";
import { readContent, type SearchableFiles } from "../search/read-content";
import type { GuestPackage } from "./guest-package";
import { readRpmDatabase } from "./rpm-database";

/** dpkg's own file, and what images without dpkg have instead. */
const DPKG_FILE = "/var/lib/dpkg/status";
const DPKG_FOLDER = "/var/lib/dpkg/status.d";
/** Fedora moved it. */
const RPM_FOLDERS = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];
const OLD_RPM_FILES = ["Packages", "Packages.db"];
const LARGEST_FILE = 512 * 1024 * 1024;

/** The packages of a guest, and what could not be read. */
export interface PackageList {
  readonly packages: readonly GuestPackage[];
  readonly problems: readonly string[];
}

/**
 * Lists the packages that are installed in the guest, as its package managers' own files have them.
 *
 * @param root the folder that the guest's system lies in: "" for its root directory
 * @param signal ends it
 * @throws DiskError when the guest has no package manager whose files are known
 */
export async function listPackages(files: SearchableFiles, root = "", signal?: AbortSignal): Promise<PackageList> {
  const packages = new Map<string, GuestPackage>();
  const problems: string[] = [];
  let isKnown = false;
  const add = (found: readonly GuestPackage[]): void => {
    isKnown = true;
    for (const one of found) packages.set(`${one.type} ${one.name} ${one.version} ${one.arch}`, one);
  };
  const attempt = async (path: string, act: (place: GuestPlace) => Promise<void>): Promise<void> => {
    try {
      const place = await files.find(root + path);
      if (place) await act(place);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof DiskError || error instanceof KernelDataError)) throw error;
      problems.push(`${root}${path}: ${error.message}`);
    }
  };
  const read = (place: GuestPlace): Promise<Buffer> => readWhole(files, place, signal);

  await attempt(DPKG_FILE, async (place) => add(parseDpkgStatus((await read(place)).toString("utf8"))));
  await attempt(DPKG_FOLDER, async (folder) => {
    const { places } = await files.list(folder);
    for (const { path, kind } of places) {
      if (kind !== "file" || path.endsWith(".md5sums")) continue;
      await attempt(path.slice(root.length), async (place) =>
        add(parseDpkgStatus((await read(place)).toString("utf8"))),
      );
    }
  });
  for (const folder of RPM_FOLDERS) {
    await attempt(`${folder}/rpmdb.sqlite`, async (place) => {
      const journal = await files.find(`${root}${folder}/rpmdb.sqlite-wal`);
      add(readRpmDatabase(await read(place), journal && (await read(journal))));
    });
    for (const name of OLD_RPM_FILES) {
      await attempt(`${folder}/${name}`, ({ path }) => {
        problems.push(`${path}: rpm's databases before SQLite are not read`);
        return Promise.resolve();
      });
    }
  }
  if (!isKnown && problems.length === 0) {
    throw new DiskError(`there is neither ${root}${DPKG_FILE} nor a database of rpm: no package manager that is known`);
  }
  return { packages: [...packages.values()], problems };
}

async function readWhole(files: SearchableFiles, place: GuestPlace, signal: AbortSignal | undefined): Promise<Buffer> {
  if (place.facts.size > LARGEST_FILE) throw new DiskError(`it says that it has ${place.facts.size} bytes`);
  const pieces: Uint8Array[] = [];
  for await (const piece of readContent(files, place, false, signal)) pieces.push(piece);
  return Buffer.concat(pieces);
}

const MOST_PACKAGES = 1_000_000;

/**
 * Reads what dpkg knows of packages (deb-control(5), dpkg's file "status"): paragraphs of fields.
 *
 * @returns those that are installed, as `dpkg -l` marks them "ii"
 */
function parseDpkgStatus(text: string): GuestPackage[] {
  const packages: GuestPackage[] = [];
  for (const paragraph of text.split(/\n[ \t]*\n/)) {
    const field = (name: string): string =>
      new RegExp(`^${name}:[ \\t]*(.*?)[ \\t\\r]*$`, "mi").exec(paragraph)?.[1] ?? "";
    const name = field("Package");
    // The folder status.d has a file for each package, without a status.
    const status = field("Status");
    if (name === "" || (status !== "" && !status.endsWith(" installed"))) continue;
    packages.push({ name, version: field("Version"), type: "dpkg", arch: field("Architecture") });
    if (packages.length >= MOST_PACKAGES) break;
  }
  return packages;
}
