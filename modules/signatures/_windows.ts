/** Conditions on what programs of Windows do, which the signatures of this folder share. */
import type { SeenAct, SeenProcess, SignatureWatcher } from "rebox/lab";
import { getPath, getWritten } from "./_conditions";

/** Beginnings of paths that are left out: of the kernel's names, of a volume, of a drive. */
const BEFORE_PATHS = /^(\\\?\?|\\\\\?|\\GLOBAL\?\?|\\\\\.)?(\\?Device\\HarddiskVolume\d+|\\?[A-Za-z]:)?(?=\\)/i;
const USERS = /^\\REGISTRY\\USER\\[^\\]*?(_Classes)?(?=\\|$)/i;
/** Where the system and its own programs lie. */
const SYSTEM = /^\\Windows\\(System32|SysWOW64|WinSxS|servicing|Microsoft\.NET)\\/i;

/** Returns a path without drive and volume: "\Users\Public\x.exe", however a program has named the file. */
export function toPath(text: string): string {
  return text.replace(BEFORE_PATHS, "");
}

/**
 * Returns the path of a key with short beginnings: "HKLM\SOFTWARE\..." and "HKU\Software\...". The set of services that the system
 * started with is called as the current one is, and programs of 32 bits have the keys of those of 64.
 */
export function toKey(text: string): string {
  return text
    .replace(/^\\REGISTRY\\MACHINE/i, "HKLM")
    .replace(USERS, (_all, classes?: string) => (classes === undefined ? "HKU" : "HKU\\Software\\Classes"))
    .replace(/\\ControlSet\d+\\/i, "\\CurrentControlSet\\")
    .replace(/\\Wow6432Node\\/i, "\\");
}

/** Returns whether a process runs one of the system's own programs, by the place of its file. */
export function isOfWindows(process: SeenProcess | undefined, names: RegExp): boolean {
  const path = toPath(process?.executable ?? "");
  return SYSTEM.test(path) && names.test(path.replace(/^.*\\/, ""));
}

/** Fires when a path that fits is filled. */
export function onFile(...paths: readonly RegExp[]): SignatureWatcher {
  return (act) => {
    const written = getWritten(act);
    if (written?.includes("\\") !== true) return undefined;
    const path = toPath(written);
    return paths.some((one) => one.test(path)) ? `it wrote ${written}` : undefined;
  };
}

/** Fires when a file that fits is removed. */
export function onRemoval(...paths: readonly RegExp[]): SignatureWatcher {
  return (act) =>
    act.type === "file.removed" && getPath(act).includes("\\") && paths.some((one) => one.test(toPath(getPath(act))));
}

/** Conditions on a value of the registry that is set. */
export interface ValueConditions {
  readonly key: RegExp;
  /** Any name without it. */
  readonly name?: RegExp;
  /** Any data without it. @param text numbers in decimal digits */
  readonly data?: (text: string) => boolean;
}

/** Fires when a value that fits is set. */
export function onValue(...values: readonly ValueConditions[]): SignatureWatcher {
  return (act) => {
    if (act.type !== "registry.set") return undefined;
    const key = toKey(String(act["key"]));
    const name = String(act["name"]);
    const data = String(act["data"]);
    const fits = values.some(
      (one) => one.key.test(key) && one.name?.test(name) !== false && one.data?.(data) !== false,
    );
    return fits ? `it set ${key}\\${name} to ${data}` : undefined;
  };
}

/** Fires for what a program does to another process, in one of these ways, where a condition holds. */
export function onInjection(ways: readonly string[], holds: (act: SeenAct) => boolean = () => true): SignatureWatcher {
  return (act) =>
    act.type === "process.injected" && ways.includes(String(act["way"])) && holds(act)
      ? `${String(act["way"])} on ${String(act["targetName"])} (${String(act["target"])})`
      : undefined;
}

/** Remembers which processes each one has made: who makes a process writes into its memory. */
export function watchChildren(watch: (act: SeenAct, isOwnChild: boolean) => ReturnType<SignatureWatcher>) {
  return (): SignatureWatcher => {
    const parents = new Map<unknown, unknown>();
    return (act) => {
      if (act.type === "process.created") parents.set(act["pid"], act["ppid"]);
      if (act.type === "process.ended") parents.delete(act["pid"]);
      const target = act["target"];
      return watch(act, target !== undefined && parents.get(target) === act["pid"]);
    };
  };
}
