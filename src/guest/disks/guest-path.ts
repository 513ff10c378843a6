import { DiskError } from "./disk-error";
import { type FileNode, type FileTree, kindOf } from "./file-tree";

/** As the kernel has it (MAXSYMLINKS). */
const MOST_LINKS = 40;
const LONGEST_PATH = 4096;

/**
 * Finds a file of a file system by its path from the file system's root. Symbolic links are followed within it.
 *
 * @throws DiskError when links lead around in circles, or something on the way is damaged
 */
export async function findPath(tree: FileTree, path: string): Promise<FileNode | undefined> {
  let left = split(Buffer.from(path));
  const way: FileNode[] = [tree.root];
  for (let links = 0; left.length > 0;) {
    const name = left.shift() as Buffer;
    const directory = way[way.length - 1] as FileNode;
    if (name.equals(Buffer.from("..")) && way.length > 1) way.pop();
    if (name.equals(Buffer.from("..")) || name.equals(Buffer.from("."))) continue;
    if (kindOf(directory.facts) !== "directory") return undefined;
    const node = await tree.find(directory, name);
    if (!node) return undefined;
    if (kindOf(node.facts) !== "link") {
      way.push(node);
      continue;
    }
    if (++links > MOST_LINKS) throw new DiskError(`${path}: more than ${MOST_LINKS} symbolic links follow each other`);
    const target = await tree.readLink(node);
    if (target[0] === 0x2f) way.length = 1;
    left = [...split(target), ...left];
    if (left.length > LONGEST_PATH) throw new DiskError(`${path}: the path that links make of it does not end`);
  }
  return way[way.length - 1];
}

function split(path: Buffer): Buffer[] {
  const names: Buffer[] = [];
  for (let at = 0; at <= path.length;) {
    const end = path.indexOf(0x2f, at) < 0 ? path.length : path.indexOf(0x2f, at);
    if (end > at) names.push(path.subarray(at, end));
    at = end + 1;
  }
  return names;
}
