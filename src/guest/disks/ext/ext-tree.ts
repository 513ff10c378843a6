import { DiskError } from "../../errors";
import { type FileNode, type FileSource, type FileTree, kindOf, type NodeFacts, type NodeList } from "../file-tree";
import type { LivingVolume } from "../living-volume";
import { Turn } from "../turn";
import type { FileFacts } from "./ext-messages";
import type { ExtVolume } from "./ext-volume";

const LONGEST_LINK = 4095;

/** An ext file system on a disk; of one that the guest has mounted, with what its kernel has in memory. */
export class ExtTree implements FileTree {
  private constructor(
    private readonly volume: ExtVolume,
    private readonly living: LivingVolume | undefined,
    readonly root: FileNode,
  ) {}

  /**
   * Opens a directory of the file system as the root of what is seen of it.
   *
   * @param rootInode the directory that is mounted
   * @throws DiskError when it is damaged
   */
  static async open(volume: ExtVolume, living: LivingVolume | undefined, rootInode: number): Promise<ExtTree> {
    const { facts } = await volume.readInode(rootInode);
    return new ExtTree(volume, living, { facts, handle: BigInt(rootInode) });
  }

  get source(): FileSource {
    return this.living ? "disk+memory" : "disk";
  }

  async list({ handle }: FileNode): Promise<NodeList> {
    const { entries, problem } = await this.volume.list(Number(handle));
    const turn = new Turn();
    const nodes = [];
    for (const { name, facts } of entries) {
      nodes.push({ name, node: facts && this.#node(facts) });
      await turn.pass();
    }
    return { entries: nodes, problem };
  }

  async find(directory: FileNode, name: Buffer): Promise<FileNode | undefined> {
    const inode = await this.volume.findInode(Number(directory.handle), name);
    return inode === undefined ? undefined : this.#node((await this.volume.readInode(inode)).facts);
  }

  async read({ handle, facts }: FileNode, offset: number, size: number): Promise<Buffer> {
    if ("isEncrypted" in facts && facts.isEncrypted === true) throw new DiskError("it is encrypted");
    // A device's inode holds no blocks.
    if (kindOf(facts) !== "file") throw new DiskError(`it is a ${kindOf(facts)}, no file with content`);
    if (facts.size > this.volume.sizeBytes) {
      throw new DiskError(`it says that it has ${facts.size} bytes, and its disk has ${this.volume.sizeBytes}`);
    }
    const wanted = Math.min(size, facts.size - offset);
    if (wanted <= 0) return Buffer.alloc(0);
    const known = this.living?.findInode(Number(handle));
    if (!known) return this.volume.read(Number(handle), offset, wanted);
    // A file that is in memory as a whole needs no reading of the disk.
    const bytes = Buffer.alloc(wanted);
    if (this.living?.overlay(known.mapping, offset, bytes) === wanted) return bytes;
    // The last writes may not have a place on the disk yet: there the file ends earlier.
    (await this.volume.read(Number(handle), offset, wanted)).copy(bytes);
    this.living?.overlay(known.mapping, offset, bytes);
    return bytes;
  }

  async readLink({ handle }: FileNode): Promise<Buffer> {
    return (await this.volume.readInode(Number(handle))).target.subarray(0, LONGEST_LINK);
  }

  #node(facts: FileFacts): FileNode {
    const known = this.living?.findInode(facts.inode);
    return { handle: BigInt(facts.inode), facts: known ? merge(facts, known) : facts };
  }
}

/** The size of what was not written yet, and times, are in memory first. */
function merge(facts: FileFacts, { mode, links, uid, gid, size, modifiedNs }: Omit<NodeFacts, "inode">): FileFacts {
  return { ...facts, mode, links, uid, gid, size, modifiedNs };
}
