/** A stretch of a machine's memory, whose beginning and size are whole pages. */
export interface CrashRange {
  readonly address: number;
  readonly bytes: Buffer;
}

/** What a crash dump of Windows is to hold. */
export interface CrashDumpFacts {
  readonly bits: 32 | 64;
  /** DumpType: 1 complete, 2 kernel as before Windows 8, 5 complete with a bitmap, 6 kernel with a bitmap; others as they are. */
  readonly type: number;
  readonly ranges: readonly CrashRange[];
  readonly tables: bigint;
  readonly modules: bigint;
  readonly machine?: number;
  readonly rip?: bigint;
}

const PAGE = 0x1000;

/** Makes a crash dump of Windows, by the structs DUMP_HEADER32, DUMP_HEADER64 and SUMMARY_DUMP of the WDK. */
export function makeCrashDump(facts: CrashDumpFacts): Buffer {
  const ranges = facts.ranges.toSorted((a, b) => a.address - b.address);
  const header = makeHeader(facts, ranges);
  const memory = ranges.map(({ bytes }) => bytes);
  if (facts.type === 1) return Buffer.concat([header, ...memory]);
  return Buffer.concat([header, makeMap(facts, ranges, header.length), ...memory]);
}

function makeHeader(
  { bits, type, tables, modules, machine, rip }: CrashDumpFacts,
  ranges: readonly CrashRange[],
): Buffer {
  const wide = bits === 64;
  const header = Buffer.alloc(wide ? 0x2000 : 0x1000, "PAGE");
  header.write(wide ? "PAGEDU64" : "PAGEDUMP", "latin1");
  const word = (value: bigint, at: number): unknown =>
    wide ? header.writeBigUInt64LE(value, at) : header.writeUInt32LE(Number(value), at);
  header.writeUInt32LE(15, 8);
  header.writeUInt32LE(19041, 12);
  word(tables, 0x10);
  word(modules, wide ? 0x20 : 0x18);
  header.writeUInt32LE(machine ?? (wide ? 0x8664 : 0x14c), wide ? 0x30 : 0x20);
  header.writeUInt32LE(1, wide ? 0x34 : 0x24);
  if (!wide) header[0x5c] = 1;
  const block = wide ? 0x88 : 0x64;
  header.writeUInt32LE(ranges.length, block);
  word(BigInt(ranges.reduce((sum, { bytes }) => sum + bytes.length / PAGE, 0)), block + (wide ? 8 : 4));
  const size = wide ? 8 : 4;
  ranges.slice(0, 40).forEach(({ address, bytes }, index) => {
    word(BigInt(address / PAGE), block + size * (2 + index * 2));
    word(BigInt(bytes.length / PAGE), block + size * (3 + index * 2));
  });
  const context = wide ? 0x348 : 0x320;
  header.fill(0, context, context + (wide ? 1232 : 716));
  header.writeUInt16LE(wide ? 0x10 : 0x8, context + (wide ? 0x38 : 0xbc));
  word(rip ?? 0n, context + (wide ? 0xf8 : 0xb8));
  header.writeUInt32LE(type, wide ? 0xf98 : 0xf88);
  return header;
}

function makeMap({ bits, type }: CrashDumpFacts, ranges: readonly CrashRange[], at: number): Buffer {
  const last = ranges.at(-1);
  const pages = ranges.reduce((sum, { bytes }) => sum + bytes.length / PAGE, 0);
  // A few pages behind the last, as the highest of a machine need not be in it.
  const count = last ? (last.address + last.bytes.length) / PAGE + 3 : 0;
  const narrow = type === 2;
  const mapAt = narrow ? (bits === 64 ? 0x28 : 0x20) : 0x38;
  const map = Buffer.alloc(Math.ceil((mapAt + Math.ceil(count / 32) * 4) / PAGE) * PAGE);
  map.write(type === 5 ? "FDMPDUMP" : "SDMPDUMP", "latin1");
  const memoryAt = at + map.length;
  if (narrow) {
    map.writeUInt32LE(memoryAt, 0xc);
    map.writeUInt32LE(count, 0x10);
    map.writeUInt32LE(pages, 0x14);
    map.writeUInt32LE(count, 0x18);
  } else {
    map.writeBigUInt64LE(BigInt(memoryAt), 0x20);
    map.writeBigUInt64LE(BigInt(pages), 0x28);
    map.writeBigUInt64LE(BigInt(count), 0x30);
  }
  for (const { address, bytes } of ranges) {
    for (let page = address / PAGE; page < (address + bytes.length) / PAGE; page++) {
      const byte = mapAt + Math.floor(page / 8);
      map[byte] = (map[byte] as number) | (1 << (page % 8));
    }
  }
  return map;
}
