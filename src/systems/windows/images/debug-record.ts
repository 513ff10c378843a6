import { formatGuid } from "../../symbols/pdb/guid";
import { PeDirectory, type PeHeader } from "./pe-header";
import type { PeSource } from "./pe-source";
import type { SymbolIdentity } from "../symbols/symbol-identity";

const ENTRY = 28;
/** An image has some five entries. */
const MOST_ENTRIES = 64;
const CODE_VIEW = 2;
const LONGEST_RECORD = 1024;
const NAME_AT = 24;
const MAGIC = Buffer.from("RSDS");
const PAGE = 0x1000;
/** The largest image that is searched, in bytes. */
const LARGEST_IMAGE = 0x4000000;

/** Finds an image's record by its debug directory; where that is not in memory, by its first four letters. */
export function findDebugRecord(header: PeHeader, source: PeSource): SymbolIdentity | undefined {
  const { rva, size } = header.directories[PeDirectory.debug] ?? { rva: 0, size: 0 };
  const count = Math.min(Math.floor(size / ENTRY), MOST_ENTRIES);
  const entries = rva === 0 || count === 0 ? undefined : source.read(rva, count * ENTRY);
  if (entries === undefined) return rva === 0 || count === 0 ? undefined : searchRecord(header, source);
  const view = new DataView(entries.buffer, entries.byteOffset, entries.length);
  for (let at = 0; at + ENTRY <= entries.length; at += ENTRY) {
    if (view.getUint32(at + 12, true) !== CODE_VIEW) continue;
    const length = Math.min(view.getUint32(at + 16, true), LONGEST_RECORD);
    const bytes = source.read(view.getUint32(at + 20, true), length);
    const found = bytes && parseRecord(bytes);
    if (found) return found;
  }
  return searchRecord(header, source);
}

/** A record may reach into the next page; one that lies across a page that is missing is not found. */
function searchRecord({ imageSize }: PeHeader, source: PeSource): SymbolIdentity | undefined {
  for (let rva = 0; rva < Math.min(imageSize, LARGEST_IMAGE); rva += PAGE) {
    const page = source.read(rva, PAGE);
    if (page === undefined) continue;
    const bytes = Buffer.from(page.buffer, page.byteOffset, page.length);
    for (let at = bytes.indexOf(MAGIC); at >= 0; at = bytes.indexOf(MAGIC, at + 1)) {
      const rest = source.read(rva + at, LONGEST_RECORD) ?? bytes.subarray(at);
      const found = parseRecord(rest);
      if (found && /^[\w .+-]+\.pdb$/i.test(found.name)) return found;
    }
  }
  return undefined;
}

/** Parses a record; undefined when it is another, as the older NB10, or has no end. */
function parseRecord(bytes: Uint8Array): SymbolIdentity | undefined {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (record.length <= NAME_AT || !record.subarray(0, 4).equals(MAGIC)) return undefined;
  const end = record.indexOf(0, NAME_AT);
  const path = record.toString("utf8", NAME_AT, end < 0 ? record.length : end);
  const name = path.split(/[\\/]/).at(-1) as string;
  return name === "" ? undefined : { name, guid: formatGuid(record.subarray(4, 20)), age: record.readUInt32LE(20) };
}
