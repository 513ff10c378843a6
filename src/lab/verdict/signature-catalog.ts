import { join, parse } from "node:path";
import { getProjectFolder } from "../../config/folders";
import { ScriptError } from "../../scripts/errors";
import type { Doors } from "../../scripts/loading/doors";
import { loadTrustedFile } from "../../scripts/loading/trusted-file";
import { listModuleFiles } from "../../scripts/module-files";
import { defineSignature, type Signature } from "./signature";

/** The folder of signatures, below rebox's folder and below the lab's. */
const FOLDER = "modules/signatures";

/** The signatures at hand, and the files that cannot be used. */
export interface Signatures {
  readonly signatures: readonly Signature[];
  readonly refused: readonly { readonly file: string; readonly error: Error }[];
}

/**
 * Loads rebox's own signatures and those of a lab, as their files are now. Each file exports `signatures`, a list. One of the lab's
 * takes the place of rebox's of the same name.
 *
 * @param labFolder absolute
 * @param api what they can import of rebox
 */
export function loadSignatures(labFolder: string, api: Doors): Promise<Signatures> {
  return loadFolders([join(getProjectFolder(), FOLDER), join(labFolder, FOLDER)], api);
}

/** Lists why files of a lab's own signatures cannot be used. */
export async function listRefusedSignatures(labFolder: string, api: Doors): Promise<Error[]> {
  const { refused } = await loadFolders([join(labFolder, FOLDER)], api);
  return refused.map(({ file, error }) => new ScriptError(parse(file).name, error.message, { file }));
}

async function loadFolders(folders: readonly string[], api: Doors): Promise<Signatures> {
  const found = new Map<string, Signature>();
  const refused: { file: string; error: Error }[] = [];
  for (const folder of folders) {
    for (const file of listModuleFiles(folder)) {
      const name = parse(file).name;
      try {
        const { exports } = await loadTrustedFile(file, name, api);
        for (const signature of readSignatures(exports, name, file)) found.set(signature.name, signature);
      } catch (error) {
        refused.push({ file, error: error instanceof Error ? error : new Error(String(error)) });
      }
    }
  }
  return { signatures: [...found.values()], refused };
}

function readSignatures(exports: Readonly<Record<string, unknown>>, name: string, file: string): Signature[] {
  const { signatures } = exports;
  if (!Array.isArray(signatures)) {
    throw new ScriptError(name, "exports no signatures; write: export const signatures = [defineSignature({ … })]", {
      file,
    });
  }
  const names = new Set<string>();
  return (signatures as Signature[]).map((signature) => {
    // What a file exports may come from anywhere: the same checks again.
    const checked = defineSignature({ ...signature, watch: () => signature.watch() });
    if (names.has(checked.name)) throw new ScriptError(name, `exports two signatures named ${checked.name}`, { file });
    names.add(checked.name);
    return checked;
  });
}
