import { basename } from "node:path";
import { readFileSync } from "node:fs";
import { PdbError, ProfileError, SymbolsError } from "../../errors";
import { parseIsfProfile } from "../../symbols/isf/isf";
import { unpackFile } from "../../symbols/packed-file";
import { Pdb } from "../../symbols/pdb/pdb";
import { openPdbSource, PdbFileSource, pdbSourceOf } from "../../symbols/pdb/pdb-source";
import type { SymbolTable } from "../../symbols/symbol-table";
import type { TypeSource } from "../../symbols/type-source";
import type { SymbolIdentity } from "./symbol-identity";

/** The symbols and types of an image for Windows, from a PDB or an ISF file. */
export interface ImageSymbols {
  /** For messages: the file. */
  readonly origin: string;
  readonly form: "PDB" | "ISF";
  /** The image that they are for: with the PDB file's own age. */
  readonly identity: SymbolIdentity;
  readonly bits: 32 | 64;
  readonly types: TypeSource;
  /** At their RVAs: distances from the image's base. */
  readonly symbols: SymbolTable;
}

/** Finds the symbols of an image; undefined when there are none. */
export type SymbolFinder = (record: SymbolIdentity) => ImageSymbols | undefined;

const PDB_MAGIC = "Microsoft C/C++";

/**
 * Reads the symbols and types of an image.
 *
 * @param path a PDB file, packed as symbol servers do or not; or an ISF file that was made of one, also packed with gzip or xz
 * @throws SymbolsError when it is neither, or damaged
 */
export function readImageSymbols(path: string): ImageSymbols {
  try {
    return readMagic(path) === PDB_MAGIC ? fromPdb(new Pdb(openPdbSource(path), path), path) : readPacked(path);
  } catch (error) {
    if (error instanceof SymbolsError) throw error;
    if (error instanceof ProfileError)
      throw new SymbolsError(`${error.message}; nor is it a PDB file`, { cause: error });
    if (error instanceof PdbError) throw new SymbolsError(`${path}: ${error.message}`, { cause: error });
    const code = (error as NodeJS.ErrnoException).code;
    const reason = code === "ENOENT" ? "there is no such file" : (error as Error).message;
    throw new SymbolsError(`${path}: ${reason}`, { cause: error });
  }
}

function readMagic(path: string): string {
  const source = new PdbFileSource(path);
  try {
    return Buffer.from(source.read(0, PDB_MAGIC.length) ?? []).toString("latin1");
  } finally {
    source.close();
  }
}

function readPacked(path: string): ImageSymbols {
  const bytes = unpackFile(readFileSync(path), path);
  if (bytes.toString("latin1", 0, PDB_MAGIC.length) === PDB_MAGIC)
    return fromPdb(new Pdb(pdbSourceOf(bytes), path), path);
  const { types, symbols, windows } = parseIsfProfile(bytes.toString("utf8"), path);
  if (windows === undefined) throw new SymbolsError(`${path}: it says nothing of a PDB file: it is not for Windows`);
  const { GUID: guid, age, database } = windows;
  return {
    ...{ origin: path, form: "ISF", types, symbols },
    identity: { name: database, guid: guid.toUpperCase(), age },
    bits: types.pointerSize === 4 ? 32 : 64,
  };
}

/** A PDB file does not say its own name: its file's is taken, which a cabinet has changed in its last letter. */
function fromPdb(pdb: Pdb, path: string): ImageSymbols {
  const name = basename(path)
    .replace(/\.(gz|xz)$/i, "")
    .replace(/\.pd_$/i, ".pdb");
  return {
    ...{ origin: path, form: "PDB", bits: pdb.bits },
    identity: { name, guid: pdb.guid, age: pdb.age },
    // Both are read when they are first asked for.
    get types() {
      return pdb.types;
    },
    get symbols() {
      return pdb.symbols;
    },
  };
}
