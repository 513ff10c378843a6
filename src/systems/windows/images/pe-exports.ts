import { PeError } from "../../errors";
import { PeDirectory, type PeHeader } from "./pe-header";
import type { PeSource } from "./pe-source";

/** A name, or a number alone, that an image offers to others. */
export interface PeExport {
  /** Empty for one that has a number only. */
  readonly name: string;
  readonly ordinal: number;
  readonly rva: number;
  /** Where another image has it: "NTDLL.RtlAllocateHeap", or "NTDLL.#12"; else undefined. */
  readonly forwarder: string | undefined;
}

const DIRECTORY = 40;
const MOST_EXPORTS = 65536;
const LONGEST_NAME = 512;
/** The smallest piece of a text that is read at once: names lie close to each other. */
const PIECE = 64;

/** The exports of an image, read when they are first asked for. */
export class PeExports {
  readonly #entries: readonly PeExport[];
  #byName: Map<string, PeExport> | undefined;

  /** @throws PeError when the tables are damaged, or not in memory */
  constructor(header: PeHeader, source: PeSource) {
    const directory = header.directories[PeDirectory.exports] ?? { rva: 0, size: 0 };
    this.#entries = directory.rva === 0 ? [] : readExports(directory, source);
  }

  /** Lists the exports in the order of their numbers, each name of a number by itself. */
  list(): readonly PeExport[] {
    return this.#entries;
  }

  /** Finds an export by its name. */
  find(name: string): PeExport | undefined {
    this.#byName ??= new Map(this.#entries.filter((entry) => entry.name !== "").map((entry) => [entry.name, entry]));
    return this.#byName.get(name);
  }
}

function readExports({ rva: start, size }: { rva: number; size: number }, source: PeSource): PeExport[] {
  const head = readTable(source, start, DIRECTORY, "directory");
  const [base, functionCount, nameCount, functionsAt, namesAt, ordinalsAt] = [16, 20, 24, 28, 32, 36].map((at) =>
    head.getUint32(at, true),
  ) as [number, number, number, number, number, number];
  if (functionCount > MOST_EXPORTS || nameCount > MOST_EXPORTS) {
    throw new PeError(`an image with ${functionCount} exports and ${nameCount} names of them: it is damaged`);
  }
  const functions = readTable(source, functionsAt, functionCount * 4, "addresses");
  const names = readTable(source, namesAt, nameCount * 4, "names");
  const ordinals = readTable(source, ordinalsAt, nameCount * 2, "numbers");
  const named = new Map<number, string[]>();
  for (let index = 0; index < nameCount; index++) {
    const place = ordinals.getUint16(index * 2, true);
    const name = readText(source, names.getUint32(index * 4, true));
    if (name === undefined || place >= functionCount) continue;
    const list = named.get(place);
    if (list) list.push(name);
    else named.set(place, [name]);
  }
  const entries: PeExport[] = [];
  for (let place = 0; place < functionCount; place++) {
    const rva = functions.getUint32(place * 4, true);
    // Numbers need not follow each other.
    if (rva === 0) continue;
    const isForwarder = rva >= start && rva < start + size;
    const forwarder = isForwarder ? readText(source, rva) : undefined;
    for (const name of named.get(place) ?? [""]) entries.push({ name, ordinal: base + place, rva, forwarder });
  }
  return entries;
}

function readTable(source: PeSource, rva: number, size: number, what: string): DataView {
  const bytes = size === 0 ? new Uint8Array() : source.read(rva, size);
  if (bytes === undefined) {
    throw new PeError(`the ${what} of the image's exports, at RVA 0x${rva.toString(16)}, cannot be read`);
  }
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Reads a text up to its zero; undefined when it cannot be read, or is longer than any name. */
function readText(source: PeSource, rva: number): string | undefined {
  let text = "";
  for (let done = 0; done < LONGEST_NAME;) {
    // Up to a multiple of the piece's size: a text at the end of memory is not asked for more than its piece.
    const part = PIECE - ((rva + done) % PIECE);
    const bytes = source.read(rva + done, part) ?? source.read(rva + done, 1);
    if (bytes === undefined) return undefined;
    const end = bytes.indexOf(0);
    text += Buffer.from(bytes.buffer, bytes.byteOffset, end < 0 ? bytes.length : end).toString("latin1");
    if (end >= 0) return text;
    done += bytes.length;
  }
  return undefined;
}
