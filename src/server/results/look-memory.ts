import { closeSync, openSync, readSync } from "node:fs";
import { type CoreMapping, type CoreSegment, readCoreFile } from "./core-file";
import { type FoundString, findStrings, SHOWN_BYTES } from "./look-file";

const STRING_BYTES = 64 << 10;

/** A part of the memory of a process. */
export interface MemoryLook {
  /** Of the first byte: the address that was asked for, or the next one of which there are bytes. */
  readonly address: bigint;
  readonly bytes: Uint8Array;
  /** The mapping that it belongs to. */
  readonly mapping: CoreMapping | undefined;
  /** In their order, of a stretch that begins with the bytes and is longer than they are; their offsets are those from its address. */
  readonly strings: readonly FoundString[];
  /** Exclusive: of the stretch that strings were looked for in. */
  readonly stringsEnd: bigint;
  /** Where the parts before and behind it begin; undefined where there is nothing. */
  readonly before: bigint | undefined;
  readonly next: bigint | undefined;
}

/**
 * Reads a part of the memory of a process out of its core.
 *
 * @param path of the core
 * @param address undefined for the place that was executed at the end
 * @returns undefined when it is no core, or has nothing from this address on
 */
export function lookIntoMemory(path: string, address: bigint | undefined): MemoryLook | undefined {
  const core = readCoreFile(path);
  if (core === undefined) return undefined;
  const runs = joinRuns(core.segments);
  const wanted = address ?? core.threads[0]?.registers.rip ?? 0n;
  const isIn = (run: Run) => wanted >= run.start && wanted < run.end;
  const run = runs.find(isIn) ?? runs.find(({ start }) => start > wanted) ?? (address === undefined ? runs[0] : undefined); // prettier-ignore
  if (run === undefined) return undefined;
  const from = isIn(run) ? wanted : run.start;
  const stretch = readRun(path, run, from);
  const end = from + BigInt(Math.min(SHOWN_BYTES, stretch.length));
  const others = { before: runs[runs.indexOf(run) - 1], next: runs[runs.indexOf(run) + 1] };
  const step = BigInt(SHOWN_BYTES);
  const lastOf = ({ start, end: last }: Run) => (last - start > step ? last - step : start);
  return {
    ...{ address: from, bytes: stretch.subarray(0, SHOWN_BYTES), strings: findStrings(stretch, 0) },
    mapping: core.mappings.find((each) => from >= each.start && from < each.end),
    stringsEnd: from + BigInt(stretch.length),
    before: from > run.start ? (from - run.start > step ? from - step : run.start) : others.before && lastOf(others.before), // prettier-ignore
    next: end < run.end ? end : others.next?.start,
  };
}

/** Addresses behind each other of which there are bytes, behind each other in the file as well. */
interface Run {
  readonly start: bigint;
  end: bigint;
  readonly offset: number;
}

function joinRuns(segments: readonly CoreSegment[]): Run[] {
  const runs: Run[] = [];
  for (const { start, offset, size } of segments) {
    if (size === 0) continue;
    const last = runs.at(-1);
    const isNext = last?.end === start && last.offset + Number(last.end - last.start) === offset;
    if (isNext) last.end += BigInt(size);
    else runs.push({ start, end: start + BigInt(size), offset });
  }
  return runs;
}

function readRun(path: string, { start, end, offset }: Run, from: bigint): Buffer {
  const descriptor = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(Math.min(STRING_BYTES, Number(end - from)));
    return buffer.subarray(0, readSync(descriptor, buffer, 0, buffer.length, offset + Number(from - start)));
  } finally {
    closeSync(descriptor);
  }
}
