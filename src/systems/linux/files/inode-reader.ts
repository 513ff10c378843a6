import type { LinuxKernel } from "../structs/linux-kernel";
import type { StructCursor } from "../../structs/struct-cursor";
import { walkHashList, walkList } from "../../structs/kernel-list";

/** fs/inode.c: hash(); GOLDEN_RATIO_64 of include/linux/hash.h, L1_CACHE_BYTES of x86. */
const GOLDEN_RATIO = 0x61c8864680b583ebn;
const CACHE_LINE = 64n;
const LONGEST_CHAIN = 100_000;
const LONGEST_NAME = 255;

/** The attributes of a file, as the kernel has them at this moment. */
export interface InodeFacts {
  /** The address of its struct inode. */
  readonly kaddr: bigint;
  readonly number: bigint;
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly modifiedNs: bigint;
  /** The address of the struct address_space with its content. */
  readonly mapping: bigint;
}

/** Reads what is known of an inode. @throws AddressError */
export function readInode(inode: StructCursor): InodeFacts {
  return {
    kaddr: inode.address,
    number: inode.value("i_ino"),
    mode: inode.number("i_mode"),
    links: inode.number("i_nlink", "__i_nlink"),
    uid: inode.number("i_uid.val"),
    gid: inode.number("i_gid.val"),
    size: inode.number("i_size"),
    // One struct until 6.6, renamed in 6.7, two members since 6.11.
    modifiedNs:
      inode.value("i_mtime_sec", "__i_mtime.tv_sec", "i_mtime.tv_sec") * 1_000_000_000n +
      inode.value("i_mtime_nsec", "__i_mtime.tv_nsec", "i_mtime.tv_nsec"),
    mapping: inode.value("i_mapping"),
  };
}

/** Reads the time of the last change of an inode, in nanoseconds since 1970: programs cannot set it (inode(7): ctime). */
export function readChangeNs(inode: StructCursor): bigint {
  return (
    inode.value("i_ctime_sec", "__i_ctime.tv_sec", "i_ctime.tv_sec") * 1_000_000_000n +
    (inode.value("i_ctime_nsec", "__i_ctime.tv_nsec", "i_ctime.tv_nsec") & 0x3fff_ffffn)
  );
}

/** Makes a text that is another one after each change of a file's content or attributes. */
export function readInodeStamp(inode: StructCursor, { size, modifiedNs }: InodeFacts): string {
  return `${readChangeNs(inode)} ${modifiedNs} ${size}`;
}

/**
 * Finds an inode that the kernel has in memory.
 *
 * @param superBlock the address of its file system's struct super_block
 * @returns undefined when it is not in memory, or this kernel does not say where it keeps them
 * @throws AddressError, KernelDataError when the table is damaged
 */
export function findInode(kernel: LinuxKernel, superBlock: bigint, number: number): InodeFacts | undefined {
  const place = findChain(kernel, superBlock, BigInt(number));
  if (place === undefined) return undefined;
  let left = LONGEST_CHAIN;
  const entries = walkHashList(kernel.memory, place, "a chain of inodes", kernel.offset("inode", "i_hash"));
  for (const address of entries) {
    const inode = kernel.at("inode", address);
    if (inode.value("i_ino") === BigInt(number) && inode.value("i_sb") === superBlock) return readInode(inode);
    if (--left === 0) break;
  }
  return undefined;
}

function findChain(kernel: LinuxKernel, superBlock: bigint, number: bigint): bigint | undefined {
  const { memory, bits } = kernel;
  const [table, mask, shift] = ["inode_hashtable", "i_hash_mask", "i_hash_shift"].map((name) =>
    kernel.findSymbol(name),
  );
  if (bits !== 64 || table === undefined || mask === undefined || shift === undefined) return undefined;
  const wrap = (value: bigint): bigint => BigInt.asUintN(64, value);
  let hash = wrap(number * superBlock) ^ (wrap(GOLDEN_RATIO + number) / CACHE_LINE);
  hash ^= wrap(hash ^ GOLDEN_RATIO) >> BigInt(memory.u32(shift));
  return memory.pointer(table) + 8n * (hash & BigInt(memory.u32(mask)));
}

/** A name in a directory, of which the kernel remembers what it stands for. */
export interface CachedEntry {
  readonly name: Buffer;
  /** The address of its struct dentry. */
  readonly dentry: bigint;
  /** Undefined for a name that is known not to exist. */
  readonly inode: InodeFacts | undefined;
}

/**
 * Lists the names of a directory that the kernel has in memory. Of file systems that are in memory alone, that is all of them.
 *
 * @param dentry the address of the directory's struct dentry
 * @throws KernelDataError, AddressError when the list is damaged
 */
export function* listCachedEntries(kernel: LinuxKernel, dentry: bigint): Iterable<CachedEntry> {
  const directory = kernel.at("dentry", dentry);
  // Since 6.8 the children are a hash list.
  const children = directory.has("d_children")
    ? walkHashList(kernel.memory, directory.addressOf("d_children"), "a directory", kernel.offset("dentry", "d_sib"))
    : walkList(kernel.memory, directory.addressOf("d_subdirs"), "a directory", kernel.offset("dentry", "d_child"));
  for (const address of children) {
    const child = kernel.at("dentry", address);
    // A file that was removed while somebody has it open keeps its place, and nobody finds it by its name.
    if (child.value("d_parent") !== dentry || child.value("d_hash.pprev") === 0n) continue;
    const size = child.number("d_name.len");
    if (size === 0 || size > LONGEST_NAME) continue;
    const name = Buffer.from(kernel.memory.readSome(child.value("d_name.name"), size));
    const inode = child.follow("d_inode");
    yield { name, dentry: address, inode: inode && readInode(inode) };
  }
}
