import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { PdbError } from "../../errors";
import { Pdb } from "../../symbols/pdb/pdb";
import { PdbFileSource } from "../../symbols/pdb/pdb-source";
import { checkIdentity, type SymbolIdentity, symbolKey } from "./symbol-identity";

/** The most PDB files of a folder whose GUIDs are read; each takes a fraction of a millisecond. */
const MOST_FILES = 2000;
const ISF_SUFFIXES = [".json", ".json.gz", ".json.xz"];

/**
 * Finds the symbols of an image in a folder: laid out as a symbol server's, as Volatility's ISF files, or PDB files alone.
 *
 * - `NAME/KEY/NAME`, or packed `NAME/KEY/NAM_`, or `NAME/KEY/file.ptr` that names a path; with a file `index2.txt` in the folder,
 *   all of it below the name's first two letters. KEY is the GUID and the age in hexadecimal.
 * - `NAME/GUID-AGE.json`, `.json.gz` or `.json.xz`, also below `windows/` or `symbols/windows/`.
 * - any file `*.pdb` in the folder itself that has the GUID.
 *
 * Letters of names may be capital or not.
 *
 * @returns the file's path, whose content is not checked where its place says what it is
 * @throws SymbolsError when the identity is no name of a file
 */
export function findInFolder(folder: string, identity: SymbolIdentity): string | undefined {
  checkIdentity(identity);
  if (!existsSync(folder)) return undefined;
  return findInStore(folder, identity) ?? findIsf(folder, identity) ?? findAlone(folder, identity);
}

function findInStore(folder: string, identity: SymbolIdentity): string | undefined {
  const { name } = identity;
  const base = existsSync(join(folder, "index2.txt")) ? findBelow(folder, name.slice(0, 2)) : folder;
  const place = base && findBelow(base, name, symbolKey(identity));
  if (place === undefined) return undefined;
  const found = findBelow(place, name) ?? findBelow(place, `${name.slice(0, -1)}_`);
  if (found !== undefined) return found;
  const pointer = findBelow(place, "file.ptr");
  const target = pointer && /^PATH:(.*)$/m.exec(readFileSync(pointer, "utf8"))?.[1]?.trim();
  return target !== undefined && existsSync(target) ? target : undefined;
}

function findIsf(folder: string, { name, guid, age }: SymbolIdentity): string | undefined {
  for (const below of [[], ["windows"], ["symbols", "windows"]]) {
    const place = findBelow(folder, ...below, name);
    for (const suffix of ISF_SUFFIXES) {
      const found = place && findBelow(place, `${guid}-${age}${suffix}`);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** The file of the image's own name first; others may have been renamed. */
function findAlone(folder: string, { name, guid }: SymbolIdentity): string | undefined {
  const isWanted = (entry: string): boolean => entry.toLowerCase() === name.toLowerCase();
  const files = listFolder(folder).filter((entry) => /\.pdb$/i.test(entry));
  const ordered = [...files.filter(isWanted), ...files.filter((entry) => !isWanted(entry))].slice(0, MOST_FILES);
  return ordered.map((entry) => join(folder, entry)).find((path) => readGuid(path) === guid);
}

function readGuid(path: string): string | undefined {
  if (!statSync(path).isFile()) return undefined;
  const source = new PdbFileSource(path);
  try {
    return new Pdb(source, path).guid;
  } catch (error) {
    if (error instanceof PdbError) return undefined;
    throw error;
  } finally {
    source.close();
  }
}

/** Finds a path below a folder, step by step, whatever the case of its letters. */
function findBelow(folder: string, ...steps: readonly string[]): string | undefined {
  let at = folder;
  for (const step of steps) {
    const exact = join(at, step);
    const found = existsSync(exact) ? step : listFolder(at).find((entry) => entry.toLowerCase() === step.toLowerCase());
    if (found === undefined) return undefined;
    at = join(at, found);
  }
  return at;
}

function listFolder(folder: string): string[] {
  return existsSync(folder) && statSync(folder).isDirectory() ? readdirSync(folder) : [];
}
