import { CachedContent } from "../../systems/linux/files/cached-content";
import { type InodeFacts, listCachedEntries, readInode } from "../../systems/linux/files/inode-reader";
import { AddressError, KernelDataError } from "../../systems/errors";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { MountedVolume } from "../../systems/linux/mounted-volume";
import { DiskError } from "../errors";
import { type FileNode, type FileSource, type FileTree, kindOf, type NamedNode, type NodeList } from "./file-tree";
import { Turn } from "./turn";

/** File systems whose files are in memory alone: what their cache does not have is zeros. */
const MEMORY_ONLY = ["ramfs", "rootfs", "tmpfs", "devtmpfs"];
const PAGE = 4096;
const MOST_ENTRIES = 1_000_000;
const LARGEST_FILE = 2 ** 36;
const LONGEST_LINK = 4096;

/** A file system as far as the guest's kernel has it in memory. */
export class CacheTree implements FileTree {
  readonly source: FileSource = "memory";
  readonly root: FileNode;
  readonly #content: CachedContent;
  readonly #isWhole: boolean;

  /** @throws KernelDataError when the root is damaged */
  constructor(
    private readonly guest: LinuxGuest,
    { mount, root }: MountedVolume,
  ) {
    this.#content = new CachedContent(guest.kernel, guest.pageCache);
    this.#isWhole = MEMORY_ONLY.includes(mount.fileSystem);
    this.root = this.#readNode(root);
  }

  async list({ handle }: FileNode): Promise<NodeList> {
    const entries: NamedNode[] = [];
    const problem = (text: string): NodeList => ({ entries, problem: text });
    const turn = new Turn();
    try {
      for (const { name, dentry, inode } of listCachedEntries(this.guest.kernel, handle)) {
        if (entries.length >= MOST_ENTRIES) return problem(`it has more than ${MOST_ENTRIES} names`);
        if (inode) entries.push({ name, node: toNode(dentry, inode) });
        await turn.pass();
      }
    } catch (error) {
      if (!(error instanceof AddressError || error instanceof KernelDataError)) throw error;
      return problem(error.message);
    }
    return { entries, problem: undefined };
  }

  async find(directory: FileNode, wanted: Buffer): Promise<FileNode | undefined> {
    return (await this.list(directory)).entries.find(({ name }) => wanted.equals(name))?.node;
  }

  async read({ handle, facts }: FileNode, offset: number, size: number): Promise<Buffer> {
    if (kindOf(facts) !== "file") throw new DiskError(`it is a ${kindOf(facts)}, no file with content`);
    if (facts.size > LARGEST_FILE) throw new DiskError(`it says that it has ${facts.size} bytes`);
    const wanted = Math.min(size, facts.size - offset);
    if (wanted <= 0) return Buffer.alloc(0);
    const bytes = Buffer.alloc(wanted);
    const { mapping } = this.#readInode(handle);
    const known = this.#content.overlay(mapping, offset, bytes);
    if (known < wanted && !this.#isWhole) {
      throw new DiskError(`${wanted - known} of ${wanted} bytes at ${offset} are not in memory`);
    }
    return bytes;
  }

  async readLink({ handle, facts }: FileNode): Promise<Buffer> {
    const { kernel } = this.guest;
    const inode = kernel.at("inode", this.#readInode(handle).kaddr);
    const size = Math.min(facts.size, LONGEST_LINK);
    const short = inode.value("i_link");
    if (short !== 0n) return Buffer.from(kernel.memory.readSome(short, size));
    // Longer ones are the content of a page.
    const bytes = Buffer.alloc(Math.min(size, PAGE));
    if (this.#content.overlay(inode.value("i_mapping"), 0, bytes) === bytes.length) return bytes;
    throw new DiskError("where it leads is not in memory");
  }

  #readNode(dentry: bigint): FileNode {
    return toNode(dentry, this.#readInode(dentry));
  }

  #readInode(dentry: bigint): InodeFacts {
    try {
      const inode = this.guest.kernel.at("dentry", dentry).follow("d_inode");
      if (inode) return readInode(inode);
    } catch (error) {
      throw KernelDataError.from(error, "a directory entry", dentry);
    }
    throw new KernelDataError("a directory entry", dentry, "its file is gone");
  }
}

function toNode(dentry: bigint, { number, ...facts }: InodeFacts): FileNode {
  return { handle: dentry, facts: { ...facts, inode: Number(number) } };
}
