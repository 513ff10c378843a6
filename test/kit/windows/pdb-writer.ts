const MAGIC = "Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0";

/** Takes the streams out of a PDB file that is known to be sound. */
export function takeStreams(file: Buffer): Buffer[] {
  const blockSize = file.readUInt32LE(32);
  const at = (block: number): number => block * blockSize;
  const blocksOf = (size: number): number => Math.ceil(size / blockSize);
  const join = (size: number, list: readonly number[]): Buffer =>
    Buffer.concat(list.map((block) => file.subarray(at(block), at(block + 1)))).subarray(0, size);
  const size = file.readUInt32LE(44);
  const map = at(file.readUInt32LE(52));
  const list = Array.from({ length: blocksOf(size) }, (_, index) => file.readUInt32LE(map + index * 4));
  const directory = join(size, list);
  const count = directory.readUInt32LE(0);
  let next = 4 + count * 4;
  return Array.from({ length: count }, (_, stream) => {
    const said = directory.readUInt32LE(4 + stream * 4);
    const streamSize = said === 0xffffffff ? 0 : said;
    const blocks = Array.from({ length: blocksOf(streamSize) }, (_, index) => directory.readUInt32LE(next + index * 4));
    next += blocks.length * 4;
    return join(streamSize, blocks);
  });
}

/** Writes a PDB file of these streams: blocks of 512 bytes, those of each stream in reverse, so that none follow each other. */
export function writeStreams(streams: readonly Buffer[], blockSize = 512): Buffer {
  const blocks: Buffer[] = [Buffer.alloc(blockSize), Buffer.alloc(blockSize), Buffer.alloc(blockSize)];
  const place = (bytes: Buffer): number[] => {
    const count = Math.ceil(bytes.length / blockSize);
    const first = blocks.length;
    for (let index = count - 1; index >= 0; index--) {
      const block = Buffer.alloc(blockSize);
      bytes.copy(block, 0, index * blockSize, (index + 1) * blockSize);
      blocks.push(block);
    }
    return Array.from({ length: count }, (_, index) => first + count - 1 - index);
  };
  const lists = streams.map(place);
  const directory = words([streams.length, ...streams.map(({ length }) => length), ...lists.flat()]);
  const map = place(words(place(directory)));
  const header = blocks[0]!;
  header.write(MAGIC, "latin1");
  words([blockSize, 1, blocks.length, directory.length, 0, ...map]).copy(header, 32);
  return Buffer.concat(blocks);
}

/** Makes bytes of numbers of 32 bits. */
export function words(numbers: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(numbers).buffer);
}
