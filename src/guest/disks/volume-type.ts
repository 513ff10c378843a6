import type { BlockSource } from "./block-source";

/** The bytes that mark a volume of each type, with their offsets; the first entry that fits counts. */
const MARKS: readonly (readonly [type: string, offset: number, mark: Buffer])[] = [
  // fs/ext4/ext4.h: s_magic of the super block, which begins at 1024.
  ["ext4", 1080, Buffer.from([0x53, 0xef])],
  ["xfs", 0, Buffer.from("XFSB")],
  ["btrfs", 0x10040, Buffer.from("_BHRfS_M")],
  ["ntfs", 3, Buffer.from("NTFS    ")],
  ["vfat", 82, Buffer.from("FAT32   ")],
  ["vfat", 54, Buffer.from("FAT1")],
  ["exfat", 3, Buffer.from("EXFAT   ")],
  ["iso9660", 32769, Buffer.from("CD001")],
  ["squashfs", 0, Buffer.from("hsqs")],
  ["crypto_LUKS", 0, Buffer.from("LUKS\xba\xbe", "latin1")],
  ["LVM2_member", 536, Buffer.from("LVM2 001")],
  ["swap", 4086, Buffer.from("SWAPSPACE2")],
];

const EXT_COMPAT = 1024 + 92;
const COMPAT_HAS_JOURNAL = 4;
/** INCOMPAT_EXTENTS, _64BIT, _FLEX_BG: what only ext4 has. */
const INCOMPAT_EXT4 = 0x40 | 0x80 | 0x200;

/**
 * Recognises what is on a volume by its marks.
 *
 * @returns the name that blkid(8) has for it; undefined when it is none of those that are known
 * @throws DiskError when the volume cannot be read
 */
export async function findVolumeType(volume: BlockSource): Promise<string | undefined> {
  for (const [type, offset, mark] of MARKS) {
    if (offset + mark.length > volume.sizeBytes) continue;
    if (mark.equals(await volume.read(offset, mark.length))) return type === "ext4" ? findExtVersion(volume) : type;
  }
  return undefined;
}

async function findExtVersion(volume: BlockSource): Promise<string> {
  if (volume.sizeBytes < EXT_COMPAT + 8) return "ext2";
  const features = Buffer.from(await volume.read(EXT_COMPAT, 8));
  if ((features.readUInt32LE(4) & INCOMPAT_EXT4) !== 0) return "ext4";
  return (features.readUInt32LE(0) & COMPAT_HAS_JOURNAL) !== 0 ? "ext3" : "ext2";
}
