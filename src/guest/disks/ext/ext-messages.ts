import { DiskError } from "../../errors";

/** Bytes of the facts of an inode in a message of native/ext4/ext4_reader.c. */
export const FACTS_SIZE = 52;

/** EXT4_ENCRYPT_FL: names and content are not readable without a key. */
const ENCRYPTED = 0x800;

/** The facts of a file that its inode holds. */
export interface FileFacts {
  readonly inode: number;
  /** As stat(2) has it, with the kind of file. */
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Of the last change of the content, since 1970. */
  readonly modifiedNs: bigint;
  readonly isEncrypted: boolean;
}

/** A name in a directory, with what its inode says. */
export interface DirectoryEntry {
  /** As it is in the directory: any bytes. */
  readonly name: Buffer;
  /** Undefined when the inode is damaged. */
  readonly facts: FileFacts | undefined;
}

/** The facts of a file system that its super block holds. */
export interface VolumeFacts {
  readonly blockSize: number;
  readonly blockCount: number;
  /** As blkid(8) prints it. */
  readonly uuid: string;
  readonly label: string;
}

/** Reads the facts of an inode. @throws DiskError when there are too few bytes */
export function parseFacts(bytes: Buffer): FileFacts {
  if (bytes.length < FACTS_SIZE) throw new DiskError("an inode's facts are cut off");
  return {
    inode: bytes.readUInt32LE(0),
    mode: bytes.readUInt16LE(4),
    links: bytes.readUInt16LE(6),
    uid: bytes.readUInt32LE(8),
    gid: bytes.readUInt32LE(12),
    size: Number(bytes.readBigUInt64LE(16)),
    modifiedNs: bytes.readBigInt64LE(24) * 1_000_000_000n + BigInt(bytes.readUInt32LE(32)),
    isEncrypted: (bytes.readUInt32LE(36) & ENCRYPTED) !== 0,
  };
}

/** Reads a batch of directory entries. @throws DiskError when it is cut off */
export function parseEntries(bytes: Buffer): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  for (let at = 0; at < bytes.length;) {
    const facts = parseFacts(bytes.subarray(at));
    const size = bytes.readUInt16LE(at + FACTS_SIZE);
    const start = at + FACTS_SIZE + 2;
    if (start + size > bytes.length) throw new DiskError("a directory's entries are cut off");
    entries.push({ name: bytes.subarray(start, start + size), facts: facts.mode === 0 ? undefined : facts });
    at = start + size;
  }
  return entries;
}

/** Reads what a file system says of itself. */
export function parseVolume(bytes: Buffer): VolumeFacts {
  const uuid = bytes.toString("hex", 28, 44).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  const label = bytes.subarray(44, 60);
  const end = label.indexOf(0);
  return {
    blockSize: bytes.readUInt32LE(0),
    blockCount: Number(bytes.readBigUInt64LE(4)),
    uuid,
    label: label.toString("utf8", 0, end < 0 ? label.length : end),
  };
}
