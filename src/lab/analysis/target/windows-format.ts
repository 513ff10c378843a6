import { basename } from "node:path";
import { closeSync, openSync, readSync } from "node:fs";

/** So much of a file says what it is, in bytes. */
const HEAD = 4096;
/** The offset of the PE header's offset, and of Characteristics behind that (winnt.h: IMAGE_FILE_HEADER). */
const PE_OFFSET = 0x3c;
const CHARACTERISTICS = 22;
const IMAGE_FILE_DLL = 0x2000;
/** Characters that no name of a file has on Windows. */
const FORBIDDEN = /[<>:"/\\|?*\p{Cc}]/gu;

/** How Windows executes a target. */
export interface WindowsFormat {
  /** The file's name in the guest. */
  readonly name: string;
  /** Whether the file itself becomes a process. */
  readonly isProgram: boolean;
  /** Makes the words that execute it. @param path of the file in the guest */
  readonly words: (path: string, args: readonly string[]) => readonly string[];
}

type Words = WindowsFormat["words"];

const startedBy =
  (...starter: readonly string[]): Words =>
  (path, args) => [...starter, path, ...args];

/** The programs of Windows that execute a file, by the end of its name. */
const STARTERS: readonly (readonly [RegExp, Words])[] = [
  [/\.(bat|cmd)$/i, startedBy("cmd.exe", "/d", "/c")],
  [/\.ps1$/i, startedBy("powershell.exe", "-NoProfile", "-ExecutionPolicy", "Bypass", "-File")],
  [/\.(js|jse|vbs|vbe|wsf|wsh)$/i, startedBy("wscript.exe")],
  [/\.(hta|htm|html)$/i, startedBy("mshta.exe")],
  [/\.msi$/i, (path, args) => ["msiexec.exe", "/i", path, "/qn", ...args]],
  [/\.(dll|ocx|cpl)$/i, (path, args) => ["rundll32.exe", `${path},${args[0] ?? "#1"}`, ...args.slice(1)]],
];

/** Any other file Windows opens with the program that is registered for the end of its name. */
const OPEN: Words = (path, args) => ["cmd.exe", "/d", "/c", "start", "/wait", "rebox", path, ...args];

/** Reads how Windows executes a target. @throws Error of node:fs when it cannot be read */
export function readWindowsFormat(path: string): WindowsFormat {
  const name = basename(path).replace(FORBIDDEN, "_");
  const kind = readKind(path);
  if (kind === "library") return withEnd(name, /\.(dll|ocx|cpl)$/i, ".dll", false);
  if (kind === "program") return withEnd(name, /\.(exe|com|scr|pif)$/i, ".exe", true);
  const [, words = OPEN] = STARTERS.find(([end]) => end.test(name)) ?? [];
  return { name, isProgram: false, words };
}

/** Windows executes a file by the end of its name: one from a collection has often none. */
function withEnd(name: string, ends: RegExp, end: string, isProgram: boolean): WindowsFormat {
  const whole = ends.test(name) ? name : `${name}${end}`;
  const words: Words = isProgram ? (path, args) => [path, ...args] : STARTERS.at(-1)![1];
  return { name: whole, isProgram, words };
}

function readKind(path: string): "program" | "library" | undefined {
  const file = openSync(path, "r");
  try {
    const head = Buffer.alloc(HEAD);
    const bytes = head.subarray(0, readSync(file, head));
    if (bytes.length < PE_OFFSET + 4 || bytes.toString("latin1", 0, 2) !== "MZ") return undefined;
    const at = bytes.readUInt32LE(PE_OFFSET);
    if (at + CHARACTERISTICS + 2 > bytes.length || bytes.toString("latin1", at, at + 4) !== "PE\0\0") return "program";
    return (bytes.readUInt16LE(at + CHARACTERISTICS) & IMAGE_FILE_DLL) === 0 ? "program" : "library";
  } finally {
    closeSync(file);
  }
}
