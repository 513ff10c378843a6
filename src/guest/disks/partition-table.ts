import type { BlockSource } from "./block-source";

const SECTOR = 512;
/** Disks whose sectors have 4096 bytes have their GPT at such a distance. */
const SECTOR_SIZES = [512, 4096];
const MBR_TABLE = 446;
const MBR_ENTRY = 16;
const EXTENDED_TYPES = [0x05, 0x0f, 0x85];
const PROTECTIVE_TYPE = 0xee;
/** Logical partitions; the chain of them may loop. */
const MOST_LOGICAL = 128;
/** UEFI wants at least 128; what says that it has more than this is made up. */
const MOST_GPT_ENTRIES = 1024;
const LARGEST_GPT_ENTRY = 4096;
const GPT_SIGNATURE = "EFI PART";
const GPT_HEADER = 92;

/** A partition as the table on the disk says. */
export interface Partition {
  /** From 1, as Linux numbers it: logical ones of an MBR from 5. */
  readonly number: number;
  /** In bytes. */
  readonly start: number;
  readonly sizeBytes: number;
}

/**
 * Reads a disk's partition table: MBR with logical partitions, or GPT, also the copy at the disk's end. What is not within the
 * disk is left out.
 *
 * @returns no partitions when there is no table
 * @throws DiskError when the disk cannot be read
 */
export async function readPartitions(disk: BlockSource): Promise<Partition[]> {
  if (disk.sizeBytes < 2 * SECTOR) return [];
  const first = Buffer.from(await disk.read(0, SECTOR));
  if (!hasSignature(first)) return [];
  const entries = readEntries(first);
  if (entries.some(({ type }) => type === PROTECTIVE_TYPE)) return readGpt(disk);
  const primary = entries.flatMap(({ start, size }, index) => fit(disk, index + 1, start * SECTOR, size * SECTOR));
  const isExtended = ({ type }: Entry): boolean => EXTENDED_TYPES.includes(type);
  const extended = entries.find(isExtended);
  return [
    ...primary.filter(({ number }) => !isExtended(entries[number - 1] as Entry)),
    ...(extended ? await readLogical(disk, extended.start) : []),
  ];
}

interface Entry {
  readonly type: number;
  /** In sectors. */
  readonly start: number;
  readonly size: number;
}

function hasSignature(sector: Buffer): boolean {
  return sector.readUInt16LE(510) === 0xaa55;
}

function readEntries(sector: Buffer): Entry[] {
  return [0, 1, 2, 3].map((index) => {
    const at = MBR_TABLE + index * MBR_ENTRY;
    return { type: sector.readUInt8(at + 4), start: sector.readUInt32LE(at + 8), size: sector.readUInt32LE(at + 12) };
  });
}

function fit(disk: BlockSource, number: number, start: number, sizeBytes: number): Partition[] {
  const isWithin = start > 0 && sizeBytes > 0 && start + sizeBytes <= disk.sizeBytes;
  return isWithin ? [{ number, start, sizeBytes }] : [];
}

/** Each logical partition has a table of its own, whose second entry leads to the next one. */
async function readLogical(disk: BlockSource, outer: number): Promise<Partition[]> {
  const found: Partition[] = [];
  const seen = new Set<number>();
  for (let at = outer; found.length < MOST_LOGICAL && seen.size < MOST_LOGICAL && !seen.has(at);) {
    seen.add(at);
    if ((at + 1) * SECTOR > disk.sizeBytes) break;
    const sector = Buffer.from(await disk.read(at * SECTOR, SECTOR));
    if (!hasSignature(sector)) break;
    const [own, next] = readEntries(sector) as [Entry, Entry];
    if (own.type !== 0) found.push(...fit(disk, 5 + found.length, (at + own.start) * SECTOR, own.size * SECTOR));
    if (!EXTENDED_TYPES.includes(next.type)) break;
    at = outer + next.start;
  }
  return found;
}

/** UEFI Specification 2.10, 5.3: the header is in the second sector, and once more in the last. */
async function readGpt(disk: BlockSource): Promise<Partition[]> {
  for (const sector of SECTOR_SIZES) {
    for (const at of [sector, disk.sizeBytes - sector]) {
      if (at < sector || at + sector > disk.sizeBytes) continue;
      const header = Buffer.from(await disk.read(at, GPT_HEADER));
      if (header.toString("latin1", 0, 8) !== GPT_SIGNATURE) continue;
      return readGptEntries(disk, header, sector);
    }
  }
  return [];
}

async function readGptEntries(disk: BlockSource, header: Buffer, sector: number): Promise<Partition[]> {
  const start = Number(header.readBigUInt64LE(72)) * sector;
  const count = Math.min(header.readUInt32LE(80), MOST_GPT_ENTRIES);
  const size = header.readUInt32LE(84);
  if (size < 128 || size > LARGEST_GPT_ENTRY || !(start + count * size <= disk.sizeBytes)) return [];
  const table = Buffer.from(await disk.read(start, count * size));
  return Array.from({ length: count }, (_, index) => table.subarray(index * size, (index + 1) * size)).flatMap(
    (entry, index) => {
      // An entry that is not used has no type.
      if (entry.subarray(0, 16).every((byte) => byte === 0)) return [];
      const [first, last] = [Number(entry.readBigUInt64LE(32)), Number(entry.readBigUInt64LE(40))];
      return fit(disk, index + 1, first * sector, (last - first + 1) * sector);
    },
  );
}
