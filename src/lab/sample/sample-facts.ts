import { createHash } from "node:crypto";
import { closeSync, createReadStream, fstatSync, openSync, readSync } from "node:fs";
import { basename, dirname } from "node:path";
import { ElfError } from "../../systems/errors";
import { computeEntropy, type FoundStrings, listStrings } from "./byte-facts";
import { type ElfFacts, readElfFacts } from "./elf-facts";
import { describeFiles, type FileType } from "./file-types";

/** Of a larger file only the beginning is looked into; the hashes are of all. */
const MOST_BYTES = 256 << 20;
const STRING_LIMITS = { shortest: 6, longest: 200, most: 2000 };

/** The facts of a file that is analysed, out of its bytes alone. */
export interface SampleFacts {
  readonly size: number;
  readonly md5: string;
  readonly sha1: string;
  readonly sha256: string;
  /** The type, as libmagic says it; undefined where the program `file` is missing. */
  readonly type: FileType | undefined;
  /** Of all that was looked into, 0 to 8. */
  readonly entropy: number;
  readonly strings: FoundStrings;
  /** Of an ELF file. */
  readonly elf: ElfFacts | undefined;
  /** Why something is missing. */
  readonly problems: readonly string[];
}

/** Reads the facts of a sample. @throws Error of node:fs when it cannot be read */
export async function readSampleFacts(path: string): Promise<SampleFacts> {
  const problems: string[] = [];
  const hashes = await hashFile(path);
  const { bytes, size } = readBeginning(path);
  if (size > bytes.length) problems.push(`strings, entropy and parts are of the first ${bytes.length} bytes`);
  const types = await describeFiles(dirname(path), [basename(path)], (text) => problems.push(text));
  return {
    size,
    ...hashes,
    type: types[basename(path)],
    entropy: bytes.length === 0 ? 0 : computeEntropy(bytes),
    strings: listStrings(bytes, STRING_LIMITS),
    elf: findElfFacts(bytes, problems),
    problems,
  };
}

function findElfFacts(bytes: Buffer, problems: string[]): ElfFacts | undefined {
  if (bytes.toString("latin1", 0, 4) !== "\x7fELF") return undefined;
  try {
    return readElfFacts(bytes);
  } catch (error) {
    // Damaged on purpose, maybe: its header says more than it has.
    if (!(error instanceof ElfError || error instanceof RangeError)) throw error;
    problems.push(error.message);
    return undefined;
  }
}

async function hashFile(path: string): Promise<Pick<SampleFacts, "md5" | "sha1" | "sha256">> {
  const [md5, sha1, sha256] = ["md5", "sha1", "sha256"].map((name) => createHash(name)) as [Hash, Hash, Hash];
  for await (const chunk of createReadStream(path))
    for (const hash of [md5, sha1, sha256]) hash.update(chunk as Buffer);
  return { md5: md5.digest("hex"), sha1: sha1.digest("hex"), sha256: sha256.digest("hex") };
}

type Hash = ReturnType<typeof createHash>;

function readBeginning(path: string): { readonly bytes: Buffer; readonly size: number } {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(Math.min(size, MOST_BYTES));
    let done = 0;
    while (done < bytes.length) {
      const count = readSync(file, bytes, done, bytes.length - done, done);
      if (count === 0) break;
      done += count;
    }
    return { bytes: bytes.subarray(0, done), size };
  } finally {
    closeSync(file);
  }
}
