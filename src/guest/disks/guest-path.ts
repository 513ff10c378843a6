import type { FileKind } from "../../systems/linux/files/file-mode";
import { DiskError } from "../errors";

/** As the kernel has it (MAXSYMLINKS). */
const MOST_LINKS = 40;
/** Names that may be left to resolve: links that contain links multiply them. */
const MOST_NAMES = 4096;

/** The steps that resolving a path takes in some tree of files. */
export interface PathSteps<Place> {
  kindOf(place: Place): FileKind;
  /** Finds what a name in a directory stands for, whatever kind it is of; undefined when there is no such name. */
  find(directory: Place, name: Buffer): Promise<Place | undefined>;
  /** Reads what a symbolic link says. @throws DiskError */
  readLink(link: Place): Promise<Buffer>;
}

/**
 * Resolves a path as the kernel does: name by name, through symbolic links, where ".." is the directory above (above the root
 * it is the root itself).
 *
 * @param root where absolute paths begin, those of links too
 * @param path from the root, as bytes, with or without a slash in front
 * @param followsLast whether a symbolic link at the path's end is followed
 * @returns undefined when there is nothing of this name
 * @throws DiskError when links lead around in circles, or something on the way is damaged
 */
export async function resolvePath<Place>(
  root: Place,
  path: Buffer,
  steps: PathSteps<Place>,
  followsLast = true,
): Promise<Place | undefined> {
  const way: Place[] = [root];
  let left = split(path);
  for (let links = 0; left.length > 0;) {
    const name = left.shift() as Buffer;
    const here = way[way.length - 1] as Place;
    if (steps.kindOf(here) !== "directory") return undefined;
    if (isName(name, "..") && way.length > 1) way.pop();
    if (isName(name, "..") || isName(name, ".")) continue;
    const next = await steps.find(here, name);
    if (next === undefined) return undefined;
    if (steps.kindOf(next) !== "link" || (left.length === 0 && !followsLast)) {
      way.push(next);
      continue;
    }
    if (++links > MOST_LINKS) {
      throw new DiskError(`${path.toString()}: more than ${MOST_LINKS} symbolic links follow each other`);
    }
    const target = await steps.readLink(next);
    if (target[0] === SLASH) way.length = 1;
    left = [...split(target), ...left];
    if (left.length > MOST_NAMES) {
      throw new DiskError(`${path.toString()}: the path that links make of it does not end`);
    }
  }
  return way[way.length - 1];
}

const SLASH = 0x2f;

function isName(name: Buffer, text: string): boolean {
  return name.equals(Buffer.from(text));
}

/** Splits at slashes and leaves out empty names. Names are bytes, which may be no text. */
function split(path: Buffer): Buffer[] {
  const names: Buffer[] = [];
  for (let at = 0; at <= path.length;) {
    const slash = path.indexOf(SLASH, at);
    const end = slash < 0 ? path.length : slash;
    if (end > at) names.push(path.subarray(at, end));
    at = end + 1;
  }
  return names;
}
