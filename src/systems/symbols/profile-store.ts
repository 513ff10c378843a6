import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join, resolve } from "node:path";
import { getProfileFolder } from "../../config/folders";
import { parseIsfProfile } from "./isf/isf";
import type { KernelIdentity, Profile } from "./profile";
import { ProfileError } from "../errors";
import { unpackFile } from "./packed-file";
import { findProfileHeader, parseProfile } from "./profile-file";

const HEADER_SIZE = 4096;
const SUFFIXES = [".profile", ".json", ".json.xz", ".json.gz"];

/**
 * Finds the file that a profile's name stands for.
 *
 * @param name a path, or the name of a file in the profile folder, with or without its suffix
 * @param folder what a relative path begins at
 * @returns its path; when there is none, the path at which it should be
 */
export function resolveProfile(name: string, folder: string): string {
  const path = resolve(folder, name);
  const kept = ["", ...SUFFIXES].map((suffix) => join(getProfileFolder(), `${name}${suffix}`));
  return [path, ...kept].find((one) => existsSync(one)) ?? path;
}

/**
 * Reads a profile: one of rebox, or an ISF file, which may be packed with xz or gzip.
 *
 * @param path the file
 * @throws ProfileError
 */
export function readProfile(path: string): Profile {
  let bytes: Buffer;
  try {
    bytes = unpackFile(readFileSync(path), path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new ProfileError(path, code === "ENOENT" ? "there is no such file" : (error as Error).message);
  }
  return findProfileHeader(bytes) ? parseProfile(bytes, path) : parseIsfProfile(bytes.toString("utf8"), path);
}

/**
 * Finds the profile of a kernel among those that are kept: the one named after its build id, or one that says its banner.
 *
 * @throws ProfileError when it is there and cannot be read
 */
export function findProfile({ buildIds, banner }: KernelIdentity, folder = getProfileFolder()): Profile | undefined {
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

/**
 * Makes sure that a profile is for a kernel. One that does not say which it is for is taken at its word.
 *
 * @throws ProfileError when it is for another one
 */
export function checkProfile(profile: Profile, { buildIds, banner }: KernelIdentity): void {
  const isBuild = profile.buildId !== undefined && buildIds.includes(profile.buildId);
  const isOther = profile.banner !== undefined && banner !== "" && profile.banner !== banner;
  if (!isBuild && isOther) {
    throw new ProfileError(profile.origin, `this is a profile of "${profile.banner}", but the guest is "${banner}"`);
  }
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
