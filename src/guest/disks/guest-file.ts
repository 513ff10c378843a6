import type { FileNode, FileTree } from "./file-tree";

const LARGEST_READ = 256 * 1024 * 1024;

/** A file of the guest, read from outside. */
export class GuestFile {
  #offset = 0;

  /**
   * @param path where it was asked for
   * @param withTree opens the file system while something is read
   */
  constructor(
    readonly path: string,
    private readonly node: FileNode,
    private readonly withTree: <Result>(act: (tree: FileTree) => Promise<Result>) => Promise<Result>,
  ) {}

  /** The last part of its path. */
  get name(): string {
    return (
      this.path
        .split("/")
        .filter((part) => part !== "")
        .pop() ?? "/"
    );
  }

  /** In bytes, when it was opened. */
  get size(): number {
    return this.node.facts.size;
  }

  /** As stat(2) has it. */
  get mode(): number {
    return this.node.facts.mode;
  }

  get uid(): number {
    return this.node.facts.uid;
  }

  get gid(): number {
    return this.node.facts.gid;
  }

  /** The time at which its content was changed last. */
  get modified(): Date {
    return new Date(Number(this.node.facts.modifiedNs / 1_000_000n));
  }

  /** The offset at which the next read() begins, in bytes. */
  get offset(): number {
    return this.#offset;
  }

  /** Sets where the next read() begins. @throws RangeError */
  seek(offset: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`${offset} is no place in a file`);
    this.#offset = offset;
  }

  /**
   * Reads a piece of the file, and moves on behind it.
   *
   * @param size in bytes, at most 256 MiB; the rest of the file by default
   * @param offset where to begin; behind the last piece by default
   * @returns fewer bytes at the end of the file
   * @throws DiskError when it cannot be read, RangeError when it is too much at once
   */
  async read(size = Math.max(0, this.size - this.#offset), offset = this.#offset): Promise<Buffer> {
    this.seek(offset);
    if (!Number.isSafeInteger(size) || size < 0 || size > LARGEST_READ) {
      throw new RangeError(`${size} bytes of ${this.path}: read at most ${LARGEST_READ} at once`);
    }
    const bytes = await this.withTree((tree) => tree.read(this.node, offset, size));
    this.#offset = offset + bytes.length;
    return bytes;
  }
}
