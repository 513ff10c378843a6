import { randomBytes } from "node:crypto";
import { createReadStream, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { WayInError } from "../errors";
import { runProgram } from "../machinery/processes/run-program";
import type { ScriptResult } from "./guest-way";

/** Writing it takes no longer, in milliseconds. */
const LIMIT_MS = 120_000;
const LONGEST_NAME = 64;

/** A disc with one file or folder. Its bytes are a tar archive: a guest reads it from the drive itself, without a file system. */
export interface GuestDisc {
  /** The file with the disc. */
  readonly path: string;
  /** The folder on it that has the file; by its name a guest knows the disc. */
  readonly folder: string;
  /** The file's name on it. */
  readonly name: string;
  /** Absolute path of the file or folder that it was made of. */
  readonly source: string;
}

/**
 * Makes a disc for a guest.
 *
 * @param source absolute path of the file or folder
 * @param folder where the disc is made
 * @throws MachineryError when it cannot be written
 */
export async function makeGuestDisc(source: string, folder: string, signal: AbortSignal): Promise<GuestDisc> {
  const inside = `rebox-${randomBytes(8).toString("hex")}`;
  const name = nameOf(source);
  const path = join(folder, `${inside}.disc`);
  const staging = join(folder, ".disc");
  rmSync(path, { force: true });
  mkdirSync(join(staging, inside), { recursive: true });
  try {
    symlinkSync(resolve(source), join(staging, inside, name));
    const owner = ["--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwx,go=rx"];
    // Its blocks of 10240 bytes are whole sectors of a CD.
    const args = ["--create", "--format=gnu", "--dereference", "--blocking-factor=20", ...owner, `--file=${path}`];
    const options = { signal, timeoutMs: LIMIT_MS, packageName: "tar" };
    await runProgram("tar", [...args, `--directory=${staging}`, inside], options);
    return { path, folder: inside, name, source: resolve(source) };
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** Reads a disc in pieces that are not larger than `size`, in bytes. */
export function readDisc({ path }: GuestDisc, size: number): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: size });
}

/**
 * Writes the commands for sh that unpack a disc in the guest. Its file may be executed then: that is in the archive.
 *
 * @param packed the path in the guest of the file that it was sent as, which is removed; undefined when it is the script's input
 */
export function writeUnpacking(packed: string | undefined): string {
  const removal = packed === undefined ? "" : ` && rm ${packed}`;
  return `(cd /tmp && umask 022 && tar xf ${packed ?? "-"}${removal})`;
}

/** @throws WayInError with the guest's words, when it could not unpack a disc */
export function checkUnpacked({ name }: GuestDisc, { status, output }: ScriptResult): void {
  if (status !== 0) throw new WayInError(`the guest cannot unpack ${name} in /tmp: ${output.trim().slice(-300)}`);
}

/** Returns a name that no shell and no tool in the guest takes for something else. */
function nameOf(source: string): string {
  const name = basename(source).replace(/[^\w.-]/g, "_");
  return (/^\w/.test(name) ? name : `_${name}`).slice(-LONGEST_NAME);
}
