import * as fs from "node:fs";
import type { FileAccess } from "./file-access";
import type { Operations } from "./operation";

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = fs.constants;
const WRITE_FLAGS: Readonly<Record<string, number>> = {
  w: O_WRONLY | O_CREAT | O_TRUNC,
  a: O_WRONLY | O_CREAT | O_APPEND,
  wx: O_WRONLY | O_CREAT | O_EXCL,
};

/** Creates what is behind node:fs in the sandbox. */
export function createFileOperations(access: FileAccess): Operations {
  const path = (value: unknown) => access.getPath(String(value));
  const use = <Result>(file: string, flags: number, call: (descriptor: number) => Result): Result => {
    // Not through a link that has come since the path was checked; not waiting for a pipe's other end.
    const descriptor = fs.openSync(file, flags | O_NOFOLLOW | O_NONBLOCK, 0o666);
    try {
      return call(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  };
  return {
    "fs.read": (file) => use(path(file), O_RDONLY, (descriptor) => fs.readFileSync(descriptor)),
    "fs.write": (file, bytes, flag) => {
      const flags = Object.hasOwn(WRITE_FLAGS, String(flag)) ? WRITE_FLAGS[String(flag)] : undefined;
      if (flags === undefined)
        throw new TypeError(`flag ${String(flag)}: one of ${Object.keys(WRITE_FLAGS).join(", ")}`);
      if (!(bytes instanceof Uint8Array)) throw new TypeError("a file is written from bytes");
      use(path(file), flags, (descriptor) => {
        for (let written = 0; written < bytes.length;) written += fs.writeSync(descriptor, bytes, written);
      });
    },
    "fs.exists": (file) => {
      try {
        return fs.existsSync(path(file));
      } catch {
        return false;
      }
    },
    "fs.mkdir": (folder, isRecursive) => void fs.mkdirSync(path(folder), { recursive: isRecursive === true }),
    "fs.readdir": (folder) => fs.readdirSync(path(folder)),
    "fs.stat": (file) => {
      const stats = fs.lstatSync(path(file));
      const kind = stats.isFile() ? "file" : stats.isDirectory() ? "directory" : "other";
      return { size: stats.size, mtimeMs: stats.mtimeMs, kind };
    },
    "fs.rm": (file, isRecursive, isForced) =>
      fs.rmSync(path(file), { recursive: isRecursive === true, force: isForced === true }),
    "fs.rename": (from, to) => fs.renameSync(path(from), path(to)),
  };
}
