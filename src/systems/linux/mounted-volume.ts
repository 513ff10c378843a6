import { KernelDataError } from "../errors";
import { readInode } from "./files/inode-reader";
import type { LinuxGuest } from "./linux-guest";
import type { Mount } from "./files/mount";

const SECTOR = 512;

/** A mount, with what its file system is made of. */
export interface MountedVolume {
  readonly mount: Mount;
  /** The address of the struct super_block. */
  readonly superBlock: bigint;
  /** The address of the struct dentry of the directory that is mounted: a part of the file system, for a bind mount. */
  readonly root: bigint;
  readonly rootInode: bigint;
  /** As blkid(8) prints it; all zeros when it has none. */
  readonly uuid: string;
  /** The address of the struct address_space of the disk that it is on; undefined when there is none. */
  readonly diskMapping: bigint | undefined;
  /** Its start on the machine's disk, in bytes; undefined when it is on none, or the kernel does not say. */
  readonly diskStart: number | undefined;
}

/**
 * Lists what is mounted as the first process sees it; what was mounted over something else comes after it.
 *
 * @throws KernelDataError when the mounts are damaged
 */
export function listMountedVolumes(guest: LinuxGuest): MountedVolume[] {
  const { kernel } = guest;
  const init = guest.getProcessList().find(({ pid }) => pid === 1);
  return (init?.mounts ?? []).flatMap((mount) => {
    try {
      return readVolume(guest, mount);
    } catch (error) {
      throw KernelDataError.from(error, "a mount", mount.kaddr);
    }
  });

  function readVolume({ kernel: { memory } }: LinuxGuest, mount: Mount): MountedVolume[] {
    const root = kernel.at("mount", mount.kaddr).follow("mnt.mnt_root");
    const superBlock = root?.follow("d_sb");
    const inode = root?.follow("d_inode");
    if (!root || !superBlock || !inode) return [];
    const uuid = Buffer.from(memory.read(superBlock.addressOf("s_uuid"), 16)).toString("hex");
    const disk = superBlock.follow("s_bdev");
    // The mapping moved into block_device itself in 6.10.
    const mapping = disk?.has("bd_mapping") ? disk.value("bd_mapping") : disk?.follow("bd_inode")?.value("i_mapping");
    return [
      {
        mount,
        superBlock: superBlock.address,
        root: root.address,
        rootInode: readInode(inode).number,
        uuid: uuid.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"),
        diskMapping: mapping,
        // Since 5.11; a member of hd_struct before.
        diskStart: disk?.has("bd_start_sect") ? disk.number("bd_start_sect") * SECTOR : undefined,
      },
    ];
  }
}
