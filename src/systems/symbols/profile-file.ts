import { gunzipSync, gzipSync } from "node:zlib";
import { Btf } from "./btf";
import type { Profile } from "./profile";
import { ProfileError } from "../errors";
import { type RawSymbol, SortedSymbols } from "./sorted-symbols";
import type { SymbolTable } from "./symbol-table";

const FORMAT = "rebox-profile";
const VERSION = 1;
const LONGEST_HEADER = 4096;
/** BTF and symbols of the largest kernels are below 20 MiB. */
const LARGEST_BODY = 0x10000000;
const LINE_END = 10;
const BLANK = 32;

/** The first line of a profile, as JSON; what follows is packed with gzip: the BTF, then the symbols as nm prints them. */
export interface ProfileHeader {
  readonly format: typeof FORMAT;
  readonly version: number;
  readonly buildId: string | undefined;
  readonly banner: string | undefined;
  readonly bits: 32 | 64;
  /** In bytes, unpacked. */
  readonly btfSize: number;
}

/**
 * Makes the content of a profile.
 *
 * @param kernel what the profile is for
 * @param btf the kernel's types
 * @param symbols at the addresses that the kernel was linked for
 */
export function packProfile(
  kernel: Pick<ProfileHeader, "buildId" | "banner" | "bits">,
  btf: Uint8Array,
  symbols: SymbolTable,
): Buffer {
  const header: ProfileHeader = { format: FORMAT, version: VERSION, ...kernel, btfSize: btf.length };
  const lines: string[] = [];
  for (const { address, size, type, name } of symbols.symbols()) {
    lines.push(`${address.toString(16)} ${size.toString(16)} ${type} ${name}\n`);
  }
  const body = gzipSync(Buffer.concat([btf, Buffer.from(lines.join(""), "latin1")]), { level: 9 });
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), body]);
}

/** Reads the first line of a profile; undefined when these bytes are none. */
export function findProfileHeader(bytes: Uint8Array): ProfileHeader | undefined {
  const end = bytes.subarray(0, LONGEST_HEADER).indexOf(LINE_END);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.max(0, end)).toString("utf8");
  if (!text.startsWith("{")) return undefined;
  try {
    const header = JSON.parse(text) as ProfileHeader;
    return header.format === FORMAT ? header : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Reads a profile.
 *
 * @param bytes the file
 * @param path for messages
 * @throws ProfileError
 */
export function parseProfile(bytes: Uint8Array, path: string): Profile {
  const header = findProfileHeader(bytes);
  if (!header) throw new ProfileError(path, "this is no profile of rebox; make one with: rebox profile VMLINUX");
  if (header.version !== VERSION) {
    throw new ProfileError(path, `a profile of version ${header.version}; make it anew: rebox profile VMLINUX`);
  }
  let body: Buffer;
  try {
    body = gunzipSync(bytes.subarray(bytes.indexOf(LINE_END) + 1), { maxOutputLength: LARGEST_BODY });
  } catch (error) {
    throw new ProfileError(path, `it is damaged (${(error as Error).message}); make it anew: rebox profile VMLINUX`);
  }
  const { btfSize, bits } = header;
  if (!(Number.isInteger(btfSize) && btfSize >= 0 && btfSize <= body.length) || (bits !== 32 && bits !== 64)) {
    throw new ProfileError(path, "its first line is damaged; make it anew: rebox profile VMLINUX");
  }
  return {
    origin: path,
    buildId: header.buildId,
    banner: header.banner,
    types: new Btf(body.subarray(0, btfSize), bits === 64 ? 8 : 4, path),
    symbols: new SortedSymbols(parseLines(body, btfSize)),
  };
}

/** Parses lines of an address, a size, a letter and a name. What is no such line is left out. */
function parseLines(body: Buffer, start: number): RawSymbol[] {
  const symbols: RawSymbol[] = [];
  for (let at = start; at < body.length;) {
    const end = body.indexOf(LINE_END, at);
    if (end < 0) break;
    const first = body.indexOf(BLANK, at);
    const second = body.indexOf(BLANK, first + 1);
    const address = body.toString("latin1", at, first);
    const size = body.toString("latin1", first + 1, second);
    at = end + 1;
    if (first < 0 || second < 0 || second + 3 >= end) continue;
    if (!/^[0-9a-f]{1,16}$/.test(address) || !/^[0-9a-f]{1,13}$/.test(size)) continue;
    const letter = String.fromCharCode(body[second + 1] as number);
    symbols.push({
      address: BigInt(`0x${address}`),
      size: BigInt(`0x${size}`),
      letter,
      rank: letter === letter.toUpperCase() ? 1 : 0,
      names: body,
      nameStart: second + 3,
      nameEnd: end,
    });
  }
  return symbols;
}
