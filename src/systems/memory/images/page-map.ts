import { ImageError } from "../../errors";
import type { FileBytes, ImagePart } from "./image-layout";

const PAGE = 0x1000;
/** The largest map that is read: of 16 TiB of memory, more than any x86 machine has that Windows runs on. */
const MOST_BITS = 2 ** 32;
/** No two runs touch, and each is a view of its own. */
const MOST_RUNS = 1_000_000;

/**
 * The form of a map of pages (SUMMARY_DUMP of the WDK): with fields of 64 bits, as dumps with a bitmap have it since Windows 8,
 * or with fields of 32 bits, as kernel dumps had it before on 32 and 64 bits.
 */
export type PageMapForm = "wide" | "narrow-32" | "narrow-64";

interface Fields {
  /** Of the first page, in the file. */
  readonly memoryAt: number;
  readonly pages: number;
  /** The number of pages that the map speaks of. */
  readonly bits: number;
  /** Of the map, behind the fields' start. */
  readonly bitsAt: number;
}

/**
 * Reads a map of the pages that a crash dump holds: bit n stands for the page at n times 4 KiB, and the pages whose bit is set
 * follow each other in the file.
 *
 * @param at of the map's fields in the file
 * @throws ImageError when it is cut off or does not fit together
 */
export function readPageMap(file: FileBytes, at: number, form: PageMapForm): ImagePart[] {
  if (at + 56 > file.size)
    throw new ImageError(`the crash dump is cut off: it ends at ${file.size}, before its map of pages`);
  const head = file.read(at, 56);
  const signature = head.toString("latin1", 0, 8);
  if (signature !== "SDMPDUMP" && signature !== "FDMPDUMP") {
    throw new ImageError(`the crash dump is damaged: there is no map of pages at byte ${at}`);
  }
  const { memoryAt, pages, bits, bitsAt } = readFields(head, form);
  if (!(bits > 0 && bits <= MOST_BITS)) {
    throw new ImageError(`the crash dump is damaged: its map speaks of ${bits} pages`);
  }
  const mapSize = Math.ceil(bits / 8);
  if (at + bitsAt + mapSize > file.size || memoryAt < at + bitsAt + mapSize) {
    throw new ImageError(
      `the crash dump is damaged or cut off: its map of ${bits} pages ends behind ${Math.min(memoryAt, file.size)}`,
    );
  }
  const parts = listRuns(file, at + bitsAt, bits, memoryAt);
  const held = parts.reduce((sum, { size }) => sum + size / PAGE, 0);
  if (held !== pages) {
    throw new ImageError(`the crash dump is damaged: its map has ${held} pages, and it says that they are ${pages}`);
  }
  return parts;
}

function readFields(head: Buffer, form: PageMapForm): Fields {
  if (form === "wide") {
    const [memoryAt, pages, bits] = [0x20, 0x28, 0x30].map((at) => Number(head.readBigUInt64LE(at)));
    return { memoryAt: memoryAt!, pages: pages!, bits: bits!, bitsAt: 0x38 };
  }
  const [memoryAt, bits, pages] = [0xc, 0x10, 0x14].map((at) => head.readUInt32LE(at));
  return { memoryAt: memoryAt!, pages: pages!, bits: bits!, bitsAt: form === "narrow-32" ? 0x20 : 0x28 };
}

function listRuns(file: FileBytes, mapAt: number, bits: number, memoryAt: number): ImagePart[] {
  const parts: ImagePart[] = [];
  let [offset, start] = [memoryAt, -1];
  const end = (page: number): void => {
    if (start < 0) return;
    if (parts.length === MOST_RUNS) throw new ImageError(`the crash dump has more than ${MOST_RUNS} runs of pages`);
    const size = (page - start) * PAGE;
    parts.push({ address: start * PAGE, offset, size });
    offset += size;
    start = -1;
  };
  const step = 0x100000;
  for (let first = 0; first < bits; first += step * 8) {
    const map = file.read(mapAt + first / 8, Math.min(step, Math.ceil((bits - first) / 8)));
    for (let index = 0; index < map.length; index++) {
      const byte = map[index]!;
      const page = first + index * 8;
      // Most bytes change nothing.
      if (byte === 0 && start < 0) continue;
      if (byte === 0xff && start >= 0 && page + 8 <= bits) continue;
      for (let bit = 0; bit < 8; bit++) {
        const isSet = page + bit < bits && (byte & (1 << bit)) !== 0;
        if (!isSet) end(page + bit);
        else if (start < 0) start = page + bit;
      }
    }
  }
  end(bits);
  return parts;
}
