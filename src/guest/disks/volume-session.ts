import type { Engine } from "../../machine/engine/engine";
import { findGuest } from "../guest";
import { listMountedVolumes, type MountedVolume } from "../../systems/linux/mounted-volume";
import { DiskPart } from "./block-source";
import type { DiskVolume } from "./disk-volumes";
import { isReadable } from "./disk-volumes";
import { DiskError } from "../errors";
import { ExtTree } from "./ext/ext-tree";
import { ExtVolume, ROOT_INODE } from "./ext/ext-volume";
import { LivingVolume } from "./living-volume";
import { openMachineDisk } from "./machine-disks";

/** A file system that is open for reading until it is closed. */
export interface VolumeSession {
  /** Makes what is seen below a directory of it; the file system's own root by default. */
  openTree(rootInode?: number): Promise<ExtTree>;
  close(): Promise<void>;
}

/**
 * Opens a file system on one of the machine's disks.
 *
 * @param mounted where the guest has it mounted: what its kernel has not written yet is seen then; undefined for the disk alone
 * @throws DiskError when it is damaged, or of a type that is not read
 */
export async function openVolume(
  engine: Engine,
  volume: DiskVolume,
  mounted: MountedVolume | undefined,
): Promise<VolumeSession> {
  if (!isReadable(volume)) {
    throw new DiskError(`the file system on ${volume.disk.name} is ${volume.type}; only ext2, ext3 and ext4 are read`);
  }
  const guest = mounted && findGuest();
  const living = guest && mounted && new LivingVolume(guest, mounted);
  const { source, close } = await openMachineDisk(engine, volume.disk);
  try {
    const part = new DiskPart(source, volume.start, volume.sizeBytes);
    const opened = await ExtVolume.open(living ? living.overDisk(part) : part);
    return {
      openTree: (rootInode = ROOT_INODE) => ExtTree.open(opened, living, rootInode),
      close: () => {
        opened.close();
        return close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Finds the guest's mounts; none when there is no guest whose kernel rebox knows. */
export function findMounts(): MountedVolume[] {
  const guest = findGuest();
  return guest ? listMountedVolumes(guest) : [];
}

/**
 * Compares a mounted file system with the one on a disk: by their ids, and by the place where it begins. A copy on another disk
 * with the same id and place cannot be told apart.
 */
export function isOnVolume(mounted: MountedVolume, { uuid, start }: DiskVolume): boolean {
  if (mounted.diskMapping === undefined || mounted.uuid !== uuid) return false;
  return mounted.diskStart === undefined || mounted.diskStart === start;
}
