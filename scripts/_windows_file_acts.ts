/** Acts on files by system calls of Windows; for windows_acts. Numbers are those of wdm.h and ntifs.h. */
import { type ActReader, nameOf, readObjectPath, readPointer, readSome } from "./_windows_call";

/** IO_STATUS_BLOCK.Information after a file was opened: FILE_SUPERSEDED, FILE_CREATED, FILE_OVERWRITTEN. */
const MADE: Readonly<Record<number, string>> = { 0: "superseded", 2: "created", 3: "overwritten" };
const INFORMATION = 8n;
const DIRECTORY_FILE = 1n;
const DELETE_ON_CLOSE = 0x1000n;
// FILE_INFORMATION_CLASS
const RENAME = [10n, 65n];
const DISPOSITION = [13n, 64n];
const LINK = [11n, 72n];
/** FILE_RENAME_INFORMATION: the length of the name, and the name. */
const NAME_LENGTH = 16;
const NAME = 20;
const LONGEST_NAME = 0x8000;

const writing: ActReader = ([handle = 0n], caller) => {
  return () => [{ act: "file.written", isOnce: true, path: nameOf(caller, handle) }];
};

export const FILE_ACTS: Readonly<Record<string, ActReader>> = {
  NtCreateFile: ([, , attributes = 0n, status = 0n, , , , , options = 0n], caller) => {
    const path = readObjectPath(caller, attributes);
    return () => {
      const how = MADE[Number(readPointer(caller.pgd, status + INFORMATION))];
      const kind = (options & DIRECTORY_FILE) !== 0n ? "folder" : "file";
      const acts = how === undefined ? [] : [{ act: "file.made", path: path ?? "?", how, kind }];
      const isGoing = (options & DELETE_ON_CLOSE) !== 0n;
      return isGoing ? [...acts, { act: "file.removed", path: path ?? "?", way: "when it is closed" }] : acts;
    };
  },
  NtWriteFile: writing,
  NtWriteFileGather: writing,
  NtDeleteFile: ([attributes = 0n], caller) => {
    const path = readObjectPath(caller, attributes) ?? "?";
    return () => [{ act: "file.removed", path }];
  },
  NtSetInformationFile: ([handle = 0n, , information = 0n, , kind = 0n], caller) => {
    const which = kind & 0xffffffffn;
    const path = nameOf(caller, handle);
    if (DISPOSITION.includes(which)) {
      const isGoing = (readSome(caller.pgd, information, 1)[0] ?? 0) & 1;
      return isGoing === 0 ? undefined : () => [{ act: "file.removed", path }];
    }
    if (!RENAME.includes(which) && !LINK.includes(which)) return undefined;
    const head = readSome(caller.pgd, information, NAME);
    if (head.length < NAME) return undefined;
    const length = Math.min(head.readUInt32LE(NAME_LENGTH), LONGEST_NAME) & ~1;
    const to = readSome(caller.pgd, information + BigInt(NAME), length).toString("utf16le");
    return () => [{ act: LINK.includes(which) ? "file.linked" : "file.renamed", path, to }];
  },
};
