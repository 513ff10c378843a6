import { getFilesystems, openGuestPath } from "../../guest/disks/file-systems";
import { GuestFile } from "../../guest/disks/guest-file";
import type { Operations } from "./operation";
import { checkArguments } from "./sandbox-api";

/** Of the files that a script opens, the last ones are remembered. */
const MOST_FILES = 10_000;

/** Creates what is behind getFilesystems() and openGuestPath() in the sandbox: numbers stand for files. */
export function createDiskOperations(): Operations {
  const files = new Map<number, GuestFile>();
  let last = 0;
  return {
    "disks.list": async () => (await getFilesystems()).map((one) => ({ ...one })),
    "disks.open": async (index, path, source) => {
      checkArguments("openGuestPath", ["number", "string", "string?"], [index, path, source]);
      const options = source === undefined ? {} : { source: source as "disk" };
      const found = await openGuestPath(index as number, path as string, options);
      if (!(found instanceof GuestFile)) return found?.map((one) => ({ ...one }));
      files.set(++last, found);
      files.delete(last - MOST_FILES);
      const { name, size, mode, uid, gid, modified } = found;
      return { id: last, facts: { path: found.path, name, size, mode, uid, gid, modifiedMs: modified.getTime() } };
    },
    "disks.read": async (id, size, offset) => {
      checkArguments("read", ["number", "number", "number"], [id, size, offset]);
      const file = files.get(id as number);
      if (!file) throw new RangeError("this file was opened too long ago: open it again");
      return file.read(size as number, offset as number);
    },
  };
}
