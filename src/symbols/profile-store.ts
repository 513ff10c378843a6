import { execFileSync } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { parseIsfProfile } from "./isf";
import type { Profile } from "./profile";
import { ProfileError } from "./profile-error";
import { findProfileHeader, parseProfile } from "./profile-file";

const LARGEST_ISF = 0x40000000;
const HEADER_SIZE = 4096;
const SUFFIXES = [".profile", ".json", ".json.xz"];

/** Says where profiles are kept: the folder of the user's data (XDG base directory specification). */
export function profileFolder(): string {
  return join(process.env.XDG_DATA_HOME || join(homedir(), ".local/share"), "rebox/profiles");
}

/**
 * Reads a profile: one of rebox, or an ISF file, which may be packed with xz.
 *
 * @param path the file
 * @throws ProfileError
 */
export function readProfile(path: string): Profile {
  let bytes: Buffer;
  try {
    bytes = path.endsWith(".xz") ? unpackXz(path) : readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" && existsSync(path))
      throw new ProfileError(path, "xz is not installed: apt install xz-utils");
    throw new ProfileError(path, code === "ENOENT" ? "there is no such file" : (error as Error).message);
  }
  return findProfileHeader(bytes) ? parseProfile(bytes, path) : parseIsfProfile(bytes.toString("utf8"), path);
}

/**
 * Finds the profile of a kernel among those that are kept: the one named after its build id, or one that says its banner.
 *
 * @param buildIds in hexadecimal; what looks like one in the kernel's memory
 * @param banner what /proc/version prints
 * @throws ProfileError when it is there and cannot be read
 */
export function findProfile(
  buildIds: readonly string[],
  banner: string,
  folder: string = profileFolder(),
): Profile | undefined {
  for (const buildId of buildIds) {
    for (const suffix of SUFFIXES) {
      const path = join(folder, `${buildId}${suffix}`);
      if (existsSync(path)) return readProfile(path);
    }
  }
  if (banner === "" || !existsSync(folder)) return undefined;
  const named = readdirSync(folder)
    .filter((name) => name.endsWith(".profile"))
    .map((name) => join(folder, name))
    .find((path) => readHeader(path)?.banner === banner);
  return named === undefined ? undefined : readProfile(named);
}

function readHeader(path: string): ReturnType<typeof findProfileHeader> {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(HEADER_SIZE);
    return findProfileHeader(bytes.subarray(0, readSync(file, bytes, 0, HEADER_SIZE, 0)));
  } finally {
    closeSync(file);
  }
}

function unpackXz(path: string): Buffer {
  return execFileSync("xz", ["--decompress", "--stdout", "--", path], {
    maxBuffer: LARGEST_ISF,
    stdio: ["ignore", "pipe", "pipe"],
  });
}
