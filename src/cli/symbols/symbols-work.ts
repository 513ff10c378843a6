import { existsSync, readFileSync } from "node:fs";
import { SymbolsError } from "../../systems/errors";
import { PeImage } from "../../systems/windows/images/pe-image";
import { peSourceOfFile } from "../../systems/windows/images/pe-source";
import { isKernel } from "../../systems/windows/kernel/kernel-search";
import { listMissingMembers } from "../../systems/windows/structs/needed-members";
import { readImageSymbols } from "../../systems/windows/symbols/image-symbols";
import { formatIdentity, parseIdentity, type SymbolIdentity } from "../../systems/windows/symbols/symbol-identity";
import { parseSymbolPath } from "../../systems/windows/symbols/symbol-path";
import { adviseSymbols, fetchSymbols } from "../../systems/windows/symbols/symbol-server";
import { type StoredSymbols, SymbolStore } from "../../systems/windows/symbols/symbol-store";

/**
 * Finds an image's symbols, or fetches them, and prints where they are.
 *
 * @param image a PE file, or an identity as text
 * @param servers are asked before those of the path
 * @param path a symbol path; may be empty
 * @throws SymbolsError when they are nowhere
 */
export async function getSymbols(
  image: string,
  servers: readonly string[],
  path: string,
  stdout: NodeJS.WritableStream,
): Promise<void> {
  const identity = readIdentity(image);
  const store = new SymbolStore();
  const places = parseSymbolPath([...servers.map((server) => `srv*${server}`), path].join(";"));
  const found = store.open(identity, places)?.origin ?? (await fetchSymbols(store, places.servers, identity))?.path;
  if (found === undefined) {
    const asked =
      places.servers.length === 0 ? "no server was asked" : `no server has it: ${places.servers.join(", ")}`;
    throw new SymbolsError(`there is no ${formatIdentity(identity)} here, and ${asked}; ${adviseSymbols(identity)}`);
  }
  stdout.write(`${found}\n`);
}

function readIdentity(image: string): SymbolIdentity {
  const said = parseIdentity(image);
  if (said) return said;
  if (!existsSync(image)) {
    throw new SymbolsError(
      `${image} is no file, and no NAME/GUIDAGE as in ntkrnlmp.pdb/606FF669409B00F7FC8C61A9C16701291`,
    );
  }
  const record = new PeImage(peSourceOfFile(readFileSync(image))).debugRecord;
  if (record === undefined) throw new SymbolsError(`${image} does not say which PDB file belongs to it`);
  return record;
}

/** Prints the symbols that are kept, one a line: form, size in bytes, identity. */
export function listSymbols(stdout: NodeJS.WritableStream): void {
  for (const stored of new SymbolStore().list()) stdout.write(`${describe(stored)}\n`);
}

/** Keeps symbols from files, and prints what they are. @throws SymbolsError at the first that is none */
export function addSymbols(files: readonly string[], stdout: NodeJS.WritableStream): void {
  const store = new SymbolStore();
  for (const file of files) {
    const stored = store.add(file);
    stdout.write(`${describe(stored)}\n`);
    if (!isKernel(stored.identity.name)) continue;
    const missing = listMissingMembers(readImageSymbols(stored.path).types);
    if (missing.length > 0) stdout.write(`  it lacks what reading a kernel needs: ${missing.join("; ")}\n`);
  }
}

function describe({ form, size, identity }: StoredSymbols): string {
  return `${form} ${String(size).padStart(10)} ${formatIdentity(identity)}`;
}
