import { posix } from "node:path";
import { Engine } from "../../machine/engine/engine";
import { findGuest } from "../guest";
import type { MountedVolume } from "../../systems/linux/mounted-volume";
import { CacheTree } from "./cache-tree";
import { DiskError } from "../errors";
import { type DiskVolume, isReadable, listDiskVolumes } from "./disk-volumes";
import { type FileNode, type FileSource, type FileTree, kindOf, nameToText } from "./file-tree";
import type { NodeFacts } from "./file-tree";
import { type PathSteps, resolvePath } from "./guest-path";
import { findMounts, isOnVolume, openVolume, type VolumeSession } from "./volume-session";
import type { FileKind } from "../../systems/linux/files/file-mode";

/** File systems whose files have no content of their own. */
const MADE_BY_KERNEL = /^(proc|sysfs)$/;

/** A file as the guest's first process would find it. */
export interface GuestPlace {
  /** Without symbolic links on the way. */
  readonly path: string;
  readonly kind: FileKind;
  readonly facts: NodeFacts;
  /** The source that its file system is read from. */
  readonly source: FileSource;
  /** A key that no other file of the same mount has, by whichever name it is reached. */
  readonly identity: string;
}

/** The files in a directory, and the reason why some are missing. */
export interface PlaceList {
  readonly places: readonly GuestPlace[];
  readonly problems: readonly string[];
}

/** Where the guest's files are read from. */
export interface GuestFilesOptions {
  /**
   * "guest", the default: what the guest's programs would see, from its disks and from memory; "memory": what its kernel has in
   * memory; "disk": one file system of a disk, as it is there.
   */
  readonly source?: "guest" | "memory" | "disk";
  /** For "disk": which, as getFilesystems() lists them; by default what the guest has mounted as its root, or the first. */
  readonly filesystem?: number | undefined;
}

interface Found extends GuestPlace {
  readonly node: FileNode;
  readonly tree: FileTree;
  /** The path as bytes: names may be no text. */
  readonly way: string;
}

/** All files of the guest, across its mounts, while it runs. To be closed at the end. */
export class GuestFiles {
  readonly #sessions = new Map<DiskVolume, Promise<VolumeSession>>();
  readonly #trees = new Map<string, Promise<FileTree>>();
  readonly #sources = new Set<FileSource>();

  private constructor(
    private readonly mounts: ReadonlyMap<string, MountedVolume>,
    private readonly volumes: readonly DiskVolume[],
    private readonly root: DiskVolume | undefined,
    /** The places that could not be looked at so far. */
    readonly problems: string[],
  ) {}

  /**
   * Opens the guest's files.
   *
   * @throws DiskError when nothing can be read
   */
  static async open({ source = "guest", filesystem }: GuestFilesOptions = {}): Promise<GuestFiles> {
    const problems: string[] = [];
    const mounts = findMounts();
    const engine = source === "memory" ? undefined : Engine.find();
    const volumes = engine ? await listDiskVolumes(engine, (problem) => problems.push(problem)) : [];
    if (source !== "disk" && findGuest()) {
      // The file system that was mounted last over a path is the one that shows.
      const byPath = new Map(mounts.map((mounted) => [mounted.mount.path, mounted]));
      return new GuestFiles(byPath, volumes, undefined, problems);
    }
    if (source === "memory")
      throw new DiskError("no kernel is known in the guest, so nothing of its memory can be read as files");
    if (source === "guest") problems.push("no kernel is known in the guest: only its disk is read");
    const files = new GuestFiles(new Map(), volumes, chooseRoot(volumes, mounts, filesystem, problems), problems);
    // There is nothing else to read, so a failure is reported at once.
    await files.find("/").catch(async (error: unknown) => {
      await files.close();
      throw error;
    });
    return files;
  }

  /** The sources of all that was looked at. */
  get sources(): FileSource[] {
    return [...this.#sources].sort();
  }

  /**
   * Finds a file by its absolute path.
   *
   * @param followsLast whether a symbolic link at the path's end is followed
   * @throws DiskError when links lead around in circles, or something on the way is damaged
   */
  async find(path: string, followsLast = true): Promise<GuestPlace | undefined> {
    return this.#walk(Buffer.from(path).toString("latin1"), followsLast);
  }

  /**
   * Finds what a symbolic link leads to.
   *
   * @returns undefined when it leads to nothing
   * @throws DiskError as find() does
   */
  async follow(link: GuestPlace): Promise<GuestPlace | undefined> {
    const { way } = link as Found;
    return this.#walk(way, true);
  }

  /** Tells whether a symbolic link leads to files that the guest's kernel makes when they are read: /proc/self/mounts. */
  async leadsIntoKernel(link: GuestPlace): Promise<boolean> {
    const { way, tree, node } = link as Found;
    const target = posix.resolve(posix.dirname(way), (await tree.readLink(node)).toString("latin1"));
    const above = [...this.mounts.keys()].filter((path) => target === path || target.startsWith(`${path}/`));
    const mount = this.mounts.get(above.toSorted((a, b) => b.length - a.length)[0] ?? "");
    return MADE_BY_KERNEL.test(mount?.mount.fileSystem ?? "") || /^\/(proc|sys)\//.test(target);
  }

  /** Lists a directory as far as it can be read. */
  async list(directory: GuestPlace): Promise<PlaceList> {
    const parent = directory as Found;
    const { entries, problem } = await parent.tree.list(parent.node);
    const places: GuestPlace[] = [];
    const problems = problem === undefined ? [] : [`${parent.path}: ${problem}`];
    for (const { name, node } of entries) {
      if (node) places.push(await this.#enter(parent, name.toString("latin1"), node));
      else problems.push(`${parent.path}: the entry ${JSON.stringify(nameToText(name))} is damaged`);
    }
    return { places, problems };
  }

  /** Reads a piece of a file: fewer bytes at its end. @throws DiskError when it cannot be read */
  read(place: GuestPlace, offset: number, size: number): Promise<Buffer> {
    const { tree, node } = place as Found;
    return tree.read(node, offset, size);
  }

  /** Ends everything that was opened. */
  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await session.then(({ close }) => close()).catch(() => undefined);
    this.#sessions.clear();
  }

  /** @param path bytes, in latin1 */
  async #walk(path: string, followsLast: boolean): Promise<Found | undefined> {
    const steps: PathSteps<Found> = {
      kindOf: ({ kind }) => kind,
      find: async (directory, name) => {
        const node = await directory.tree.find(directory.node, name);
        return node && this.#enter(directory, name.toString("latin1"), node);
      },
      readLink: ({ tree, node }) => tree.readLink(node),
    };
    return resolvePath(await this.#openRoot(), Buffer.from(path, "latin1"), steps, followsLast);
  }

  /** Replaces a directory by the file system that is mounted on it. */
  async #enter(parent: Found, name: string, node: FileNode): Promise<Found> {
    const way = parent.way === "/" ? `/${name}` : `${parent.way}/${name}`;
    const path = nameToText(Buffer.from(way, "latin1"));
    const mounted = kindOf(node.facts) === "directory" ? this.mounts.get(path) : undefined;
    const mount = parent.identity.slice(0, parent.identity.lastIndexOf(" "));
    if (!mounted) return makeFound(way, path, node, parent.tree, mount);
    const tree = await this.#openTree(mounted);
    return makeFound(way, path, tree.root, tree, path);
  }

  async #openRoot(): Promise<Found> {
    const mounted = this.mounts.get("/");
    let tree: FileTree;
    if (mounted) tree = await this.#openTree(mounted);
    else if (this.root) tree = await this.#openDisk("/", this.root, undefined);
    else throw new DiskError("the guest has no root directory yet");
    return makeFound("/", "/", tree.root, tree, "/");
  }

  #openTree(mounted: MountedVolume): Promise<FileTree> {
    const volume = this.volumes.find((one) => isReadable(one) && isOnVolume(mounted, one));
    const { path } = mounted.mount;
    if (volume) return this.#openDisk(path, volume, mounted);
    return this.#remember(path, async () => this.#openCache(mounted));
  }

  #openDisk(path: string, volume: DiskVolume, mounted: MountedVolume | undefined): Promise<FileTree> {
    return this.#remember(path, async () => {
      try {
        let session = this.#sessions.get(volume);
        if (!session) this.#sessions.set(volume, (session = openVolume(Engine.get(), volume, mounted)));
        return await (await session).openTree(mounted && Number(mounted.rootInode));
      } catch (error) {
        if (!mounted) throw error;
        this.problems.push(`${path}: only what is in memory is seen: ${(error as Error).message}`);
        return this.#openCache(mounted);
      }
    });
  }

  #openCache(mounted: MountedVolume): FileTree {
    const guest = findGuest();
    if (!guest) throw new DiskError("the guest's kernel is gone");
    return new CacheTree(guest, mounted);
  }

  #remember(path: string, open: () => Promise<FileTree>): Promise<FileTree> {
    let tree = this.#trees.get(path);
    if (!tree) {
      tree = open().then((opened) => {
        this.#sources.add(opened.source);
        return opened;
      });
      this.#trees.set(path, tree);
    }
    return tree;
  }
}

function makeFound(way: string, path: string, node: FileNode, tree: FileTree, mount: string): Found {
  const { facts, handle } = node;
  return { way, path, node, tree, kind: kindOf(facts), facts, source: tree.source, identity: `${mount} ${handle}` };
}

function chooseRoot(
  volumes: readonly DiskVolume[],
  mounts: readonly MountedVolume[],
  index: number | undefined,
  problems: readonly string[],
): DiskVolume {
  if (index !== undefined) {
    const chosen = volumes[index];
    if (chosen) return chosen;
    throw new DiskError(`there is no file system ${index}: the disks have ${volumes.length}`);
  }
  const root = mounts.find(({ mount }) => mount.path === "/");
  const chosen = volumes.find((one) => root && isOnVolume(root, one)) ?? volumes.find(isReadable);
  if (chosen) return chosen;
  throw new DiskError(["there is no file system on the guest's disks that can be read", ...problems].join("; "));
}
