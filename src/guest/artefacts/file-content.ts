import { Engine } from "../../machine/engine/engine";
import { CachedContent } from "../../systems/linux/files/cached-content";
import type { InodeFacts } from "../../systems/linux/files/inode-reader";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { MountedVolume } from "../../systems/linux/mounted-volume";
import type { StructCursor } from "../../systems/structs/struct-cursor";
import { listDiskVolumes } from "../disks/disk-volumes";
import { findMounts, isOnVolume, openVolume } from "../disks/volume-session";

/** File systems whose files are in memory alone: what their cache does not have is zeros. */
const MEMORY_ONLY = new Set(["ramfs", "rootfs", "tmpfs", "devtmpfs"]);

/** The content of a file at one moment. */
export interface FileContent {
  readonly bytes: Buffer;
  /** The number of bytes that neither memory nor a disk that is read has: they are zeros in `bytes`. */
  readonly missing: number;
}

/** Reads files by their inodes, whatever their names are: from the page cache, which is newest, and from the disk below it. */
export class FileContents {
  readonly #guest: LinuxGuest;
  readonly #cached: CachedContent;

  /** @throws MissingTypeError */
  constructor(guest: LinuxGuest) {
    this.#guest = guest;
    this.#cached = new CachedContent(guest.kernel, guest.pageCache);
  }

  /**
   * Reads a file as it is now.
   *
   * @param inode of a regular file whose size is one that fits into memory
   * @returns a promise when the disk is needed: the guest is to be held until it has settled
   * @throws AddressError when the inode is damaged
   */
  read(inode: InodeFacts): FileContent | Promise<FileContent> {
    const bytes = Buffer.alloc(inode.size);
    const missing = inode.size - this.#cached.overlay(inode.mapping, 0, bytes);
    if (missing === 0) return { bytes, missing };
    const cursor = this.#guest.kernel.at("inode", inode.kaddr);
    if (isInMemoryAlone(cursor)) return { bytes, missing: 0 };
    return this.#readDisk(inode, cursor.value("i_sb"), bytes, missing);
  }

  /** Pages that are not in memory are on the disk, or holes of the file. */
  async #readDisk(inode: InodeFacts, superBlock: bigint, bytes: Buffer, missing: number): Promise<FileContent> {
    try {
      const mounted = findMounts().find((one) => one.superBlock === superBlock);
      const onDisk = mounted && (await this.#readVolume(inode, mounted));
      if (onDisk === undefined) return { bytes, missing };
      // The last writes may have no place on the disk yet.
      onDisk.copy(bytes);
      this.#cached.overlay(inode.mapping, 0, bytes);
      return { bytes, missing: 0 };
    } catch {
      return { bytes, missing };
    }
  }

  async #readVolume(inode: InodeFacts, mounted: MountedVolume): Promise<Buffer | undefined> {
    const engine = Engine.get();
    const volume = (await listDiskVolumes(engine, () => undefined)).find((one) => isOnVolume(mounted, one));
    if (volume === undefined) return undefined;
    const session = await openVolume(engine, volume, mounted);
    try {
      const tree = await session.openTree(Number(inode.number));
      const { handle, facts } = tree.root;
      return await tree.read({ handle, facts: { ...facts, size: inode.size } }, 0, inode.size);
    } finally {
      await session.close();
    }
  }
}

/** Returns whether a file is on a file system that is in memory alone. */
export function isInMemoryAlone(inode: StructCursor): boolean {
  return MEMORY_ONLY.has(inode.follow("i_sb")?.follow("s_type")?.text(32, "name") ?? "");
}
