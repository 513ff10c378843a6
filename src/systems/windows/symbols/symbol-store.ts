import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { getSymbolFolder } from "../../../config/folders";
import { SymbolsError } from "../../errors";
import { unpackFile } from "../../symbols/packed-file";
import { type ImageSymbols, readImageSymbols } from "./image-symbols";
import { findInFolder } from "./symbol-folder";
import { checkIdentity, formatIdentity, parseIdentity, type SymbolIdentity, symbolKey } from "./symbol-identity";
import type { SymbolPath } from "./symbol-path";

/** A file of the store. */
export interface StoredSymbols {
  readonly identity: SymbolIdentity;
  readonly form: "PDB" | "ISF";
  /** In bytes. */
  readonly size: number;
  readonly path: string;
}

/** rebox's own folder of symbols for Windows, laid out as a symbol server's, with ISF files as Volatility has them. */
export class SymbolStore {
  /** @param folder it need not exist */
  constructor(readonly folder: string = getSymbolFolder()) {}

  /**
   * Finds the file with an image's symbols: here, then in the folders of a symbol path. No network is asked.
   *
   * @throws SymbolsError when the identity is no name of a file
   */
  find(identity: SymbolIdentity, path?: Pick<SymbolPath, "folders">): string | undefined {
    for (const folder of [this.folder, ...(path?.folders ?? [])]) {
      const found = findInFolder(folder, identity);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /**
   * Finds and reads an image's symbols.
   *
   * @returns undefined when there are none
   * @throws SymbolsError when the file is damaged, or is another image's
   */
  open(identity: SymbolIdentity, path?: Pick<SymbolPath, "folders">): ImageSymbols | undefined {
    const file = this.find(identity, path);
    if (file === undefined) return undefined;
    const found = readImageSymbols(file);
    if (found.identity.guid === identity.guid) return found;
    throw new SymbolsError(
      `${file} has the GUID ${found.identity.guid}, and the image wants ${identity.guid}: remove the file, or put it where it belongs`,
    );
  }

  /**
   * Copies a file into the store: a PDB file, unpacked, or an ISF file.
   *
   * @param file its path
   * @param wanted the image that it is for; by default, what the file says itself
   * @returns its path in the store, and what it is
   * @throws SymbolsError when it is neither, damaged, for another image, or cannot be written
   */
  add(file: string, wanted?: SymbolIdentity): StoredSymbols {
    const { form, identity: own } = readImageSymbols(file);
    if (wanted && own.guid !== wanted.guid) {
      throw new SymbolsError(`${file} has the GUID ${own.guid}, but ${formatIdentity(wanted)} was asked for`);
    }
    const identity = wanted ?? own;
    checkIdentity(identity);
    const suffix = /\.(?:gz|xz)$/.exec(file)?.[0] ?? "";
    const path =
      form === "PDB"
        ? join(this.folder, identity.name, symbolKey(identity), identity.name)
        : join(this.folder, identity.name, `${identity.guid}-${identity.age}.json${suffix}`);
    this.#write(path, (partial) => {
      if (form === "ISF") copyFileSync(file, partial);
      else writeFileSync(partial, unpackFile(readFileSync(file), file));
    });
    return { identity, form, path, size: statSync(path).size };
  }

  /** Lists what the store has, by name. */
  list(): StoredSymbols[] {
    return listEntries(this.folder).flatMap((name) =>
      listEntries(join(this.folder, name)).flatMap((entry): StoredSymbols[] => {
        const below = join(this.folder, name, entry);
        const key = entry.replace(/\.json(\.gz|\.xz)?$/, "");
        const identity = parseIdentity(`${name}/${key}`);
        const isIsf = key !== entry;
        const path = isIsf ? below : join(below, name);
        if (identity === undefined || !existsSync(path)) return [];
        return [{ identity, form: isIsf ? "ISF" : "PDB", size: statSync(path).size, path }];
      }),
    );
  }

  /** Half a file must never be found. */
  #write(path: string, write: (partial: string) => void): void {
    const partial = join(dirname(path), `.${basename(path)}.${process.pid}.partial`);
    try {
      mkdirSync(dirname(path), { recursive: true });
      write(partial);
      renameSync(partial, path);
    } catch (error) {
      rmSync(partial, { force: true });
      throw new SymbolsError(`cannot keep ${path}: ${(error as Error).message}`, { cause: error });
    }
  }
}

function listEntries(folder: string): string[] {
  return existsSync(folder) && statSync(folder).isDirectory() ? readdirSync(folder).sort() : [];
}
