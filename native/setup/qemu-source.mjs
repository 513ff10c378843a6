import { createHash } from "node:crypto";
import { createReadStream, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { DebianArchive } from "./debian-archive.mjs";
import { Fingerprint } from "./fingerprint.mjs";
import { places } from "./places.mjs";
import { qemuUpstream } from "./qemu-upstream.mjs";
import { SetupError } from "./setup-error.mjs";

// What a checkout of QEMU holds that its build does not read.
const NOT_SOURCE = new Set([".git", "build", "rebox"]);

/**
 * Finds QEMU's source without the network; undefined when it must be fetched first.
 * @returns {{path: string, identity: string} | undefined}
 */
export function knownQemuSource() {
  const chosen = process.env.REBOX_QEMU_SOURCE;
  if (chosen) return { path: resolve(chosen), identity: identityOf(resolve(chosen)) };
  if (!existsSync(places.cachedSource)) return undefined;
  const { package: name, series } = qemuUpstream();
  const [newest] = readdirSync(places.cachedSource)
    .filter((file) => file.startsWith(`${name}_${series}.`) && file.endsWith(".sha256"))
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
  if (newest === undefined) return undefined;
  const identity = readFileSync(join(places.cachedSource, newest), "utf8").trim();
  return { path: join(places.cachedSource, newest.replace(/\.sha256$/, "")), identity };
}

/** Fetches the upstream tarball of Debian's source package, which apt verifies. */
export async function fetchQemuSource(task) {
  const { package: name, suite, series } = qemuUpstream();
  const archive = new DebianArchive(task, suite);
  task.say(`looking for the source package ${name} in Debian ${suite}`);
  const version = await archive.sourceVersion(name);
  // "1:10.0.13+ds-0+deb13u1": an epoch, upstream's version, Debian's revision.
  if (!version.replace(/^\d+:/, "").startsWith(`${series}.`)) {
    throw new SetupError(
      `Debian ${suite} has ${name} ${version}, but qemu-patches/ is for ${series}: set ` +
        `REBOX_QEMU_SOURCE=<tarball or directory of QEMU ${series}>, or refresh the patches (qemu-patches/README.md)`,
    );
  }
  task.say(`fetching ${name} ${version} (about 40 MB)`);
  await mkdir(places.cachedSource, { recursive: true });
  const tarball = await archive.fetchTarball(name, version, places.cachedSource);
  const sha256 = createHash("sha256");
  await pipeline(createReadStream(tarball), sha256);
  writeFileSync(`${tarball}.sha256`, `${sha256.digest("hex")}\n`);
  return knownQemuSource();
}

/** Tells sources apart by size and time: reading 30,000 files at each start would be too slow. */
function identityOf(path) {
  if (!existsSync(path)) throw new SetupError(`REBOX_QEMU_SOURCE: there is no ${path}`);
  const fingerprint = new Fingerprint();
  const visit = (entry) => {
    const { size, mtimeMs } = statSync(entry, { throwIfNoEntry: false }) ?? { size: 0, mtimeMs: 0 };
    fingerprint.text(entry, `${size} ${mtimeMs}`);
  };
  if (!statSync(path).isDirectory()) visit(path);
  else for (const entry of sourceFiles(path)) visit(entry);
  return fingerprint.digest;
}

function sourceFiles(directory, top = true) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    if (top && isNotSource(entry.name)) return [];
    const path = join(directory, entry.name);
    return entry.isDirectory() ? sourceFiles(path, false) : [path];
  });
}

/** Tells whether an entry at the top of a QEMU checkout is no input of its build. */
export function isNotSource(name) {
  return NOT_SOURCE.has(name);
}
