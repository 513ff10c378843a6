import type { BlockSource } from "../block-source";
import { DiskError } from "../../errors";
import { type DirectoryEntry, FACTS_SIZE, type FileFacts, parseEntries, parseFacts, parseVolume } from "./ext-messages";
import type { VolumeFacts } from "./ext-messages";
import { ExtProcess } from "./ext-process";

/** EXT4_ROOT_INO. */
export const ROOT_INODE = 2;
/** Of a directory with more names, only a part is returned. */
const MOST_ENTRIES = 1_000_000;
const LARGEST_READ = 512 * 1024;
const LONGEST_NAME = 255;

/** The names in a directory. */
export interface DirectoryListing {
  readonly entries: readonly DirectoryEntry[];
  /** The reason why some are missing; undefined when none is. */
  readonly problem: string | undefined;
}

/** An ext2, ext3 or ext4 file system, read only. */
export class ExtVolume {
  readonly #process: ExtProcess;
  #facts: VolumeFacts | undefined;

  private constructor(private readonly source: BlockSource) {
    this.#process = new ExtProcess(source);
  }

  /**
   * Opens the file system of a volume.
   *
   * @throws DiskError when it is damaged, or what reads it is not built
   */
  static async open(source: BlockSource): Promise<ExtVolume> {
    const volume = new ExtVolume(source);
    try {
      await volume.renew();
    } catch (error) {
      volume.close();
      throw error;
    }
    return volume;
  }

  get facts(): VolumeFacts {
    if (!this.#facts) throw new DiskError("the file system is not open");
    return this.#facts;
  }

  get sizeBytes(): number {
    return this.source.sizeBytes;
  }

  /** Reads everything anew from now on: what has been read is remembered otherwise. */
  async renew(): Promise<void> {
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(this.source.sizeBytes));
    this.#facts = parseVolume(await this.#process.execute("O", size));
  }

  /** Reads an inode. @throws DiskError when it is damaged */
  async readInode(inode: number): Promise<{ readonly facts: FileFacts; readonly target: Buffer }> {
    const answer = await this.#process.execute("I", numbers(inode));
    return { facts: parseFacts(answer), target: answer.subarray(FACTS_SIZE) };
  }

  /** Lists a directory as far as it is readable. */
  async list(inode: number): Promise<DirectoryListing> {
    const entries: DirectoryEntry[] = [];
    try {
      const onEntries = (batch: Buffer): void => void entries.push(...parseEntries(batch));
      const isCut = await this.#process.execute("D", numbers(inode, MOST_ENTRIES), onEntries);
      return { entries, problem: isCut[0] === 0 ? undefined : `it has more than ${MOST_ENTRIES} names` };
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      return { entries, problem: error.message };
    }
  }

  /** Finds the inode of a name in a directory. @throws DiskError when the directory is damaged */
  async findInode(directory: number, name: Buffer): Promise<number | undefined> {
    if (name.length === 0 || name.length > LONGEST_NAME) return undefined;
    const inode = (await this.#process.execute("L", Buffer.concat([numbers(directory), name]))).readUInt32LE(0);
    return inode === 0 ? undefined : inode;
  }

  /**
   * Reads a piece of a file.
   *
   * @returns fewer bytes at its end
   * @throws DiskError when it cannot be read
   */
  async read(inode: number, offset: number, size: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let done = 0; done < size;) {
      const payload = Buffer.alloc(16);
      payload.writeUInt32LE(inode, 0);
      payload.writeBigUInt64LE(BigInt(offset + done), 4);
      payload.writeUInt32LE(Math.min(LARGEST_READ, size - done), 12);
      const piece = await this.#process.execute("F", payload);
      if (piece.length === 0) break;
      pieces.push(piece);
      done += piece.length;
    }
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
  }

  close(): void {
    this.#process.close();
  }
}

function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32LE(value, 4 * index));
  return bytes;
}
