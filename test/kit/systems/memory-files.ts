import { DiskError } from "../../../src/guest/errors";
import type { GuestPlace } from "../../../src/guest/disks/guest-files";
import type { SearchableFiles } from "../../../src/guest/disks/search/read-content";

/** A file's content, a directory's entries, where a link leads, or why something cannot be read. */
export type MemoryFile =
  | { readonly content: Buffer; readonly mode?: number; readonly modifiedNs?: bigint }
  | { readonly entries: Readonly<Record<string, MemoryFile>> }
  | { readonly target: string }
  | { readonly broken: string };

interface MemoryPlace extends GuestPlace {
  readonly file: MemoryFile;
}

/** Files for tests of searches. Links lead to absolute paths. */
export class MemoryFiles implements SearchableFiles {
  /** How often each path was read, in pieces. */
  readonly reads: string[] = [];

  constructor(private readonly root: MemoryFile) {}

  find(path: string, followsLast = true): Promise<GuestPlace | undefined> {
    const names = path.split("/").filter((name) => name !== "");
    let at: MemoryFile | undefined = this.root;
    for (const name of names) at = at && "entries" in at ? at.entries[name] : undefined;
    if (at === undefined) return Promise.resolve(undefined);
    if ("target" in at && followsLast) {
      if (at.target === path) throw new DiskError(`${path}: more than 40 symbolic links follow each other`);
      return this.find(at.target);
    }
    return Promise.resolve(place(`/${names.join("/")}`, at));
  }

  async follow({ path }: GuestPlace): Promise<GuestPlace | undefined> {
    return this.find(path);
  }

  leadsIntoKernel(link: GuestPlace): Promise<boolean> {
    const { file } = link as MemoryPlace;
    return Promise.resolve("target" in file && file.target.startsWith("/proc/"));
  }

  list(directory: GuestPlace): Promise<{ places: GuestPlace[]; problems: string[] }> {
    const { path, file } = directory as MemoryPlace;
    const entries = "entries" in file ? file.entries : {};
    const places = Object.entries(entries).map(([name, one]) => place(`${path === "/" ? "" : path}/${name}`, one));
    return Promise.resolve({ places, problems: [] });
  }

  async read({ path, file }: GuestPlace & { file?: MemoryFile }, offset: number, size: number): Promise<Buffer> {
    this.reads.push(path);
    if (file && "broken" in file) throw new DiskError(file.broken);
    const content = file && "content" in file ? file.content : Buffer.alloc(0);
    return Promise.resolve(content.subarray(offset, offset + size));
  }
}

function place(path: string, file: MemoryFile): MemoryPlace {
  const kind = "entries" in file ? "directory" : "target" in file ? "link" : "file";
  const facts = {
    ...{ inode: 1, links: 1, uid: 0, gid: 0 },
    mode: "content" in file && file.mode !== undefined ? file.mode : 0o100644,
    size: "content" in file ? file.content.length : 0,
    modifiedNs: "content" in file && file.modifiedNs !== undefined ? file.modifiedNs : 0n,
  };
  return { path, kind, facts, source: "disk", identity: path, file };
}
