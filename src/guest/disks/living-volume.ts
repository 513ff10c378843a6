import { CachedContent } from "../../systems/linux/files/cached-content";
import { findInode, type InodeFacts } from "../../systems/linux/files/inode-reader";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { MountedVolume } from "../../systems/linux/mounted-volume";
import { AddressError, KernelDataError } from "../../systems/errors";
import type { BlockSource } from "./block-source";

/** The part of a mounted file system that the guest's kernel has in memory: it is newer than the disk. */
export class LivingVolume {
  readonly #content: CachedContent;

  constructor(
    readonly guest: LinuxGuest,
    readonly mounted: MountedVolume,
  ) {
    this.#content = new CachedContent(guest.kernel, guest.pageCache);
  }

  /** Wraps the disk, so that blocks that the kernel has in memory are read from there. */
  overDisk(disk: BlockSource): BlockSource {
    const { diskMapping } = this.mounted;
    if (diskMapping === undefined) return disk;
    const read = async (offset: number, size: number): Promise<Uint8Array> => {
      const bytes = await disk.read(offset, size);
      this.#content.overlay(diskMapping, offset, bytes);
      return bytes;
    };
    return { sizeBytes: disk.sizeBytes, read };
  }

  /** Finds what the kernel knows of a file at this moment; undefined when it does not have it in memory. */
  findInode(number: number): InodeFacts | undefined {
    try {
      return findInode(this.guest.kernel, this.mounted.superBlock, number);
    } catch (error) {
      // A table that is damaged, or just changing: the disk's word stands.
      if (error instanceof AddressError || error instanceof KernelDataError) return undefined;
      throw error;
    }
  }

  /** Writes over a piece of a file's content what memory knows better. @returns how many bytes are from memory */
  overlay(mapping: bigint, offset: number, bytes: Uint8Array): number {
    return this.#content.overlay(mapping, offset, bytes);
  }
}
