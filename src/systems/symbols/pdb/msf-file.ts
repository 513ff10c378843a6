import { PdbError } from "../../errors";
import { PdbBytes } from "./pdb-bytes";
import type { PdbSource } from "./pdb-source";

const MAGIC = Buffer.from("Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0", "latin1");
/** Visual C++ 6 and before: small pages, and no GUID inside. */
const OLD_MAGIC = Buffer.from("Microsoft C/C++ program database 2.00", "latin1");
const BLOCK_SIZE = 32;
const BLOCK_COUNT = 40;
const DIRECTORY_SIZE = 44;
/** The end of the superblock: the blocks in which the list of the directory's blocks lies. */
const DIRECTORY_MAP = 52;
const SMALLEST_BLOCK = 512;
const LARGEST_BLOCK = 65536;
/** The size of a stream that was deleted. */
const NO_STREAM = 0xffffffff;

/**
 * The container of a PDB file, multi-stream format 7: a file of blocks, in which streams are lists of blocks
 * (https://llvm.org/docs/PDB/MsfFile.html).
 *
 * Nothing in the file is trusted: all streams together are at most as large as the file, so that reading any of them is
 * bounded by it. Stream 0 is left out: it is an old directory, whose blocks others may have by now.
 */
export class MsfFile {
  readonly blockSize: number;
  readonly #source: PdbSource;
  readonly #blockCount: number;
  /** Of each stream, its size in bytes. */
  readonly #sizes: number[] = [];
  /** Of each stream, where its list of blocks begins in the directory. */
  readonly #lists: number[] = [];
  readonly #directory: PdbBytes;

  /** @throws PdbError when the source is no such file, or a damaged one */
  constructor(source: PdbSource) {
    this.#source = source;
    const start = source.read(0, Math.min(source.size, LARGEST_BLOCK)) ?? new Uint8Array();
    const isOld = OLD_MAGIC.equals(start.subarray(0, OLD_MAGIC.length));
    if (isOld) throw new PdbError("it is a PDB file of Visual C++ 6 or before: only format 7 is known");
    if (!MAGIC.equals(start.subarray(0, MAGIC.length))) throw new PdbError("it does not begin as a PDB file does");
    const header = new PdbBytes(start, "the superblock");
    this.blockSize = header.u32(BLOCK_SIZE);
    this.#blockCount = header.u32(BLOCK_COUNT);
    const isPower = (this.blockSize & (this.blockSize - 1)) === 0;
    if (!isPower || this.blockSize < SMALLEST_BLOCK || this.blockSize > LARGEST_BLOCK) {
      throw new PdbError(`its blocks have ${this.blockSize} bytes: it is damaged`);
    }
    if (this.#blockCount > Math.ceil(source.size / this.blockSize)) {
      throw new PdbError(`it has ${this.#blockCount} blocks of ${this.blockSize} bytes, but ${source.size} bytes`);
    }
    this.#directory = this.#readDirectory(header, header.u32(DIRECTORY_SIZE));
    this.#listStreams();
  }

  /** Counts the streams, those that were deleted included. */
  get streamCount(): number {
    return this.#sizes.length;
  }

  /** Gets the size of a stream in bytes; 0 for one that does not exist. */
  streamSize(stream: number): number {
    return this.#sizes[stream] ?? 0;
  }

  /**
   * Reads a stream.
   *
   * @param what for messages
   * @throws PdbError when there is no such stream, or the file ends before it
   */
  readStream(stream: number, what: string): PdbBytes {
    const size = this.#sizes[stream];
    const list = this.#lists[stream];
    if (size === undefined || list === undefined) throw new PdbError(`it has no stream ${stream} for ${what}`);
    const count = Math.ceil(size / this.blockSize);
    return this.#readBlocks(size, what, (index) => {
      if (index >= count) throw new PdbError(`${what} has ${count} blocks`);
      return this.#directory.u32(list + index * 4);
    });
  }

  #readDirectory(header: PdbBytes, size: number): PdbBytes {
    if (size > this.#source.size) throw new PdbError(`its directory has ${size} bytes, more than the file`);
    const mapSize = Math.ceil(size / this.blockSize) * 4;
    const map = this.#readBlocks(mapSize, "the map of the directory", (index) => {
      const at = DIRECTORY_MAP + index * 4;
      if (at + 4 > this.blockSize) throw new PdbError("the map of the directory does not fit into the superblock");
      return header.u32(at);
    });
    return this.#readBlocks(size, "the directory", (index) => map.u32(index * 4));
  }

  #listStreams(): void {
    const count = this.#directory.u32(0);
    let list = 4 + count * 4;
    if (list > this.#directory.size) throw new PdbError(`its directory is too small for ${count} streams`);
    let blocks = 0;
    for (let stream = 0; stream < count; stream++) {
      const said = this.#directory.u32(4 + stream * 4);
      const size = said === NO_STREAM ? 0 : said;
      this.#sizes.push(size);
      this.#lists.push(list);
      const own = Math.ceil(size / this.blockSize);
      list += own * 4;
      if (stream > 0) blocks += own;
    }
    if (list > this.#directory.size || blocks > this.#blockCount) {
      throw new PdbError(`its streams have ${blocks} blocks together, more than the file or its directory`);
    }
  }

  /** Blocks that follow each other are read as one piece. */
  #readBlocks(size: number, what: string, blockAt: (index: number) => number): PdbBytes {
    const bytes = Buffer.allocUnsafe(size);
    const { blockSize } = this;
    for (let done = 0; done < size;) {
      const first = blockAt(done / blockSize);
      let length = Math.min(blockSize, size - done);
      let next = first + 1;
      while (done + length < size && blockAt((done + length) / blockSize) === next) {
        length += Math.min(blockSize, size - done - length);
        next++;
      }
      const piece = next <= this.#blockCount ? this.#source.read(first * blockSize, length) : undefined;
      if (!piece) throw new PdbError(`${what} lies in block ${first}, behind the end of the file: it was cut off`);
      bytes.set(piece, done);
      done += length;
    }
    return new PdbBytes(bytes, what);
  }
}
