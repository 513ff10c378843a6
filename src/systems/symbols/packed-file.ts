import { execFileSync } from "node:child_process";
import { gunzipSync } from "node:zlib";

/** The content of a file is at most this large, packed or not. */
const LARGEST = 0x40000000;
const GZIP = Buffer.from([0x1f, 0x8b]);
const XZ = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const CABINET = Buffer.from("MSCF\0\0\0\0", "latin1");

/** The program that unpacks a kind of file, and the package that has it. */
const PROGRAMS = {
  xz: { words: ["xz", "--decompress", "--stdout", "--"], package: "xz-utils" },
  cabextract: { words: ["cabextract", "--quiet", "--pipe", "--"], package: "cabextract" },
} as const;

/**
 * Unpacks a file that gzip, xz or Microsoft's cabinets have packed, as its first bytes say; others stay as they are.
 *
 * @param bytes the file
 * @param path where it lies: the unpacking programs read it there
 * @throws Error that says which program is missing, or that the file is damaged
 */
export function unpackFile(bytes: Buffer, path: string): Buffer {
  const begins = (magic: Buffer): boolean => bytes.subarray(0, magic.length).equals(magic);
  if (begins(GZIP)) return gunzipSync(bytes, { maxOutputLength: LARGEST });
  if (begins(XZ)) return run("xz", path);
  return begins(CABINET) ? run("cabextract", path) : bytes;
}

function run(program: keyof typeof PROGRAMS, path: string): Buffer {
  const { words, package: name } = PROGRAMS[program];
  const [command, ...rest] = words;
  try {
    return execFileSync(command, [...rest, path], { maxBuffer: LARGEST, stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { readonly stderr?: Buffer };
    if (code === "ENOENT") throw new Error(`${command} is not installed: apt install ${name}`, { cause: error });
    const reason = stderr?.toString().trim().split("\n").at(-1) || (error as Error).message;
    throw new Error(`it cannot be unpacked: ${reason}`, { cause: error });
  }
}
