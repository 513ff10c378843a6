import { type InodeFacts, readInode } from "./inode-reader";
import { walkHashList, walkList } from "../structs/kernel-list";
import type { LinuxKernel } from "../structs/linux-kernel";

const LONGEST_NAME = 255;

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
    // A file that was removed while somebody has it open keeps its place, but nobody finds it by its name.
    if (child.value("d_parent") !== dentry || child.value("d_hash.pprev") === 0n) continue;
    const size = child.number("d_name.len");
    if (size === 0 || size > LONGEST_NAME) continue;
    const name = Buffer.from(kernel.memory.readSome(child.value("d_name.name"), size));
    const inode = child.follow("d_inode");
    yield { name, dentry: address, inode: inode && readInode(inode) };
  }
}
