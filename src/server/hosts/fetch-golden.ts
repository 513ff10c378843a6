import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statfsSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { hashFile } from "../../config/host-files";
import { type ArtefactStore, getContentKey } from "../../lab/cluster/artefact-store";
import type { NeededFile, PublishedFile, PublishedState } from "../../lab/cluster/golden-list";
import { GoldenStateError } from "../../lab/errors";
import { compareOrigins, findIdentity, getGoldenFolder, GOLDEN_NAME, GoldenFiles, type GoldenManifest, type GoldenOrigin, listGoldenStates } from "../../lab/machinery/golden/golden-state"; // prettier-ignore
import { writeWhole } from "../../lab/machinery/records/machine-file";
import { PIECE_SIZE } from "./publish-golden";

/** The files that a golden state may have. */
const FILES = ["ram", "devices", "disk.qcow2"];
/** The end of the name of a state that is not in its place yet. */
const FETCHED = ".fetched";
/** Free space that a fetched state leaves for analyses, in bytes. */
const LEFT = 128 << 20;
const MIB = 1 << 20;

/** Finds the states that a host's machine lacks: those that it has not, or has in an older form. */
export function listLacking(
  labFolder: string,
  machine: string,
  published: readonly PublishedState[],
): PublishedState[] {
  const own = new Map(listGoldenStates(labFolder, machine).states.map((state) => [state.name, state.manifest.createdMs])); // prettier-ignore
  return published.filter((state) => state.machine === machine && (own.get(state.name) ?? -1) < state.manifest.createdMs); // prettier-ignore
}

/**
 * Lists why a host cannot use a state of another one, a sentence each: its QEMU, its machine's arguments and the files that those name have to
 * be the same, by content.
 *
 * @param origin how the machine would start on this host
 */
export async function findMismatches(
  { manifest, needs }: PublishedState,
  origin: GoldenOrigin,
  signal?: AbortSignal,
): Promise<string[]> {
  const problems = compareOrigins({ ...manifest.origin, inputs: [] }, origin);
  for (const need of needs) problems.push(...(await compareNeed(need, signal)));
  return problems;
}

async function compareNeed({ path, size, sha256 }: NeededFile, signal: AbortSignal | undefined): Promise<string[]> {
  const found = findIdentity(path);
  if (found === undefined) return [`${path} is missing here`];
  if (found.size !== size) return [`${path} has ${found.size} bytes here, and ${size} where the state was made`];
  return (await hashFile(path, signal)) === sha256 ? [] : [`the content of ${path} is another here`];
}

/**
 * Fetches a golden state from a cluster's store into a lab. It is there as a whole, with the content that it was published with, or not at all.
 *
 * @param origin how the machine starts on this host
 * @param signal ends it, behind the piece that is on its way: nothing of it is left then
 * @returns puts it into its place, where another of its name is replaced: no machine may be starting from that at this moment
 * @throws GoldenStateError for a state that is none, or does not fit on the disk; ClusterError for a piece that is missing or another; the reason of the signal
 */
export async function fetchGolden(
  store: ArtefactStore,
  labFolder: string,
  published: PublishedState,
  origin: GoldenOrigin,
  signal?: AbortSignal,
): Promise<() => void> {
  const { machine, name, manifest } = published;
  const names = published.files.map(({ path }) => path);
  if (!GOLDEN_NAME.test(name) || names.some((path) => !FILES.includes(path))) throw new GoldenStateError(`the cluster has a golden state ${JSON.stringify(name)} of ${machine} that is none`); // prettier-ignore
  const states = getGoldenFolder(labFolder, machine);
  const files = new GoldenFiles(join(states, `.${name}${FETCHED}`));
  rmSync(files.folder, { recursive: true, force: true });
  mkdirSync(files.folder, { recursive: true });
  try {
    checkRoom(states, published);
    const described = [];
    for (const file of published.files) {
      const path = join(files.folder, file.path);
      await joinPieces(store, file, path, { temporary: join(files.folder, "piece"), signal });
      if ((await hashFile(path, signal)) !== file.sha256) throw new GoldenStateError(`the content of ${file.path} of the golden state ${name} of ${machine} is not what was published`); // prettier-ignore
      described.push({ ...findIdentity(path)!, path: file.path, sha256: file.sha256 });
    }
    const own: GoldenManifest = { ...manifest, machine, name, origin, files: described };
    writeWhole(files.manifest, `${JSON.stringify(own, null, 2)}\n`);
    const final = join(states, name);
    return () => {
      // Without its manifest it is no state any more; it may have been damaged before.
      rmSync(new GoldenFiles(final).manifest, { force: true });
      rmSync(final, { recursive: true, force: true });
      renameSync(files.folder, final);
    };
  } catch (error) {
    rmSync(files.folder, { recursive: true, force: true });
    throw error;
  }
}

/** Removes states of a machine that were fetched and never put into their place: their host was ended. */
export function removeFetched(labFolder: string, machine: string): void {
  const states = getGoldenFolder(labFolder, machine);
  if (!existsSync(states)) return;
  for (const name of readdirSync(states))
    if (name.startsWith(".") && name.endsWith(FETCHED)) rmSync(join(states, name), { recursive: true, force: true });
}

/** @throws GoldenStateError when a state does not fit on a disk: a part of it is not even fetched */
function checkRoom(folder: string, { machine, name, files }: PublishedState): void {
  const sizes = files.flatMap(({ size, pieces }) => pieces.map((sha256, at) => (sha256 === "" ? 0 : Math.min(PIECE_SIZE, size - at * PIECE_SIZE)))); // prettier-ignore
  const needed = sizes.reduce((sum, size) => sum + size, LEFT);
  const { bavail, bsize } = statfsSync(folder);
  const room = bavail * bsize;
  if (room < needed) throw new GoldenStateError(`the golden state ${name} of ${machine} needs ${Math.ceil(needed / MIB)} MiB, and ${folder} has ${Math.floor(room / MIB)} MiB of free space; make room there`); // prettier-ignore
}

/** Joins the pieces of a file. Those of zeros become holes. */
async function joinPieces(
  store: ArtefactStore,
  { size, pieces }: PublishedFile,
  path: string,
  { temporary, signal }: { readonly temporary: string; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    await file.truncate(size);
    for (const [index, sha256] of pieces.entries()) {
      if (sha256 === "") continue;
      signal?.throwIfAborted();
      const at = index * PIECE_SIZE;
      await store.get(getContentKey(sha256), temporary, { size: Math.min(PIECE_SIZE, size - at), sha256 });
      await file.write(readFileSync(temporary), 0, undefined, at);
      rmSync(temporary);
    }
  } finally {
    await file.close();
  }
}
