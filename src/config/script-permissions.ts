import { resolve } from "node:path";
import { PermissionError } from "./errors";
import { findNearestName } from "./nearest-name";
import { splitList } from "./schema/setting-list";

/** The permissions of a script, beside calling rebox. */
export interface ScriptPermissions {
  /** It runs outside the sandbox: it may do all that rebox itself may. */
  readonly isTrusted: boolean;
  /** Folders in which it may read and write files; absolute paths. */
  readonly folders: readonly string[];
  /** It may open network connections and listen for them. */
  readonly net: boolean;
  /** It may start programs, which may do everything. */
  readonly childProcess: boolean;
  /** It may load triggers of its own, which are native code and may do everything; rebox's own need no permission. */
  readonly triggers: boolean;
  /** It may send QMP and monitor commands, which can read and write files and start programs. */
  readonly monitor: boolean;
  /** It may load, unload and reload other scripts. */
  readonly modules: boolean;
  /** It may run plugins of Volatility, whose arguments can name files to be read and written. */
  readonly volatility: boolean;
}

/** Everything: outside the sandbox. */
export const TRUSTED: ScriptPermissions = {
  ...{ isTrusted: true, folders: [], net: true },
  ...{ childProcess: true, triggers: true, monitor: true, modules: true, volatility: true },
};

/** Nothing except rebox's own functions. */
export const SANDBOXED: ScriptPermissions = {
  ...{ isTrusted: false, folders: [], net: false },
  ...{ childProcess: false, triggers: false, monitor: false, modules: false, volatility: false },
};

/**
 * Checks that a script may do all that another one may.
 *
 * @param own what it may do
 * @param other what the other may do
 */
export function mayDoAllOf(own: ScriptPermissions, other: ScriptPermissions): boolean {
  if (own.isTrusted) return true;
  if (other.isTrusted || !other.folders.every((folder) => own.folders.includes(folder))) return false;
  return Object.values(WORDS).every((granted) =>
    (Object.keys(granted) as (keyof typeof granted)[]).every((key) => own[key] || !other[key]),
  );
}

const WORDS = {
  net: { net: true },
  child_process: { childProcess: true },
  triggers: { triggers: true },
  monitor: { monitor: true },
  modules: { modules: true },
  volatility: { volatility: true },
} as const satisfies Record<string, Partial<ScriptPermissions>>;

/**
 * Reads a list of permissions: "fs:results, net", "*", "none".
 *
 * @param text words with commas between them; `\\,` is one in a folder's name
 * @param folder where a relative folder of fs: begins; an absolute path
 * @throws PermissionError with the word that is wrong and what there is
 */
export function parsePermissions(text: string, folder: string): ScriptPermissions {
  const { items, hasEmpty } = splitList(text);
  const words = hasEmpty || items.length === 0 ? [...items, ""] : items;
  if (words.length === 1 && words[0] === "*") return TRUSTED;
  if (words.length === 1 && words[0] === "none") return SANDBOXED;
  return words.reduce<ScriptPermissions>((permissions, word) => addWord(permissions, word, folder), SANDBOXED);
}

function addWord(permissions: ScriptPermissions, word: string, folder: string): ScriptPermissions {
  if (word.startsWith("fs:") && word.length > 3) {
    return { ...permissions, folders: [...permissions.folders, resolve(folder, word.slice(3).trim())] };
  }
  if (Object.hasOwn(WORDS, word)) return { ...permissions, ...WORDS[word as keyof typeof WORDS] };
  const known = ["fs:FOLDER", ...Object.keys(WORDS)];
  const nearest = word.startsWith("fs") ? "fs:FOLDER" : findNearestName(word, known);
  const hint = nearest === undefined ? "" : ` (did you mean ${nearest}?)`;
  const alone = word === "*" || word === "none" ? ", which stands alone," : "";
  throw new PermissionError(
    `"${word}"${alone} is no permission${hint}; there are: ${known.join(", ")}, and, alone, * (trusted) and none`,
  );
}
