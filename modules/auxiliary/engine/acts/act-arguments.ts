/** Reads what system calls are given. */
import { posix } from "node:path";
import { findGuest, type LinuxProcess, readVa } from "rebox";

/** PATH_MAX of include/uapi/linux/limits.h. */
const LONGEST_PATH = 4096;
const PAGE = 4096;
/** AT_FDCWD of include/uapi/linux/fcntl.h. */
const CURRENT_FOLDER = -100;
// include/linux/socket.h
const AF_INET = 2;
const AF_INET6 = 10;
const LONGEST_ADDRESS = 128;

/** Reads a path of a program; undefined when it is not in memory. */
export function readPath(pgd: bigint, address: bigint): string | undefined {
  const parts: Buffer[] = [];
  let at = address;
  try {
    for (let left = LONGEST_PATH; left > 0;) {
      const bytes = readVa(pgd, at, Math.min(left, PAGE - Number(at & 0xfffn)));
      const end = bytes.indexOf(0);
      if (end >= 0) return Buffer.concat([...parts, bytes.subarray(0, end)]).toString("utf8");
      parts.push(Buffer.from(bytes));
      left -= bytes.length;
      at += BigInt(bytes.length);
    }
  } catch {
    // Not mapped, or not in memory at the moment.
  }
  return undefined;
}

/** Reads a number of 64 bits; 0 when it is not in memory. */
export function readNumber(pgd: bigint, address: bigint): bigint {
  try {
    return readVa(pgd, address, 8).readBigUInt64LE(0);
  } catch {
    return 0n;
  }
}

/**
 * Makes a path absolute, and leaves out of it what leads nowhere else: "//", "/./" and a slash at its end. What "..", symbolic links
 * and /proc/self/root lead to is not looked up.
 *
 * @param folder the descriptor that it is relative to; undefined for the process' own folder
 */
export function resolvePath(
  process: LinuxProcess | undefined,
  folder: bigint | undefined,
  path: string | undefined,
): string {
  if (path === undefined) return "?";
  if (process === undefined) return tidy(path);
  const descriptor = folder === undefined ? CURRENT_FOLDER : Number(BigInt.asIntN(32, folder));
  const base = path.startsWith("/")
    ? readFolder(process, "root")
    : descriptor === CURRENT_FOLDER
      ? readFolder(process, "pwd")
      : process.findOpenFile(descriptor)?.path;
  // As the program has written it, where its root is the system's.
  if (base === undefined || !base.startsWith("/") || (base === "/" && path.startsWith("/"))) return tidy(path);
  return tidy(posix.join(base, path));
}

function tidy(path: string): string {
  return path.replaceAll(/\/(?:\.?\/)+/g, "/").replace(/(?<=.)\/\.?$/, "");
}

/** Reads a folder of a process, its own or its root, by the whole system's path. */
function readFolder({ livingThread: { kaddr } }: LinuxProcess, which: "pwd" | "root"): string | undefined {
  const guest = findGuest();
  const fs = guest?.kernel.at("task_struct", kaddr).follow("fs");
  return fs && guest?.paths.readPath(guest.kernel.at("path", fs.addressOf(which)));
}

/** Reads an internet address that a program gives; undefined for one of another family. */
export function readAddress(
  pgd: bigint,
  address: bigint,
  size: bigint,
): { readonly address: string; readonly port: number } | undefined {
  const length = Number(size < LONGEST_ADDRESS ? size : LONGEST_ADDRESS);
  if (length < 8) return undefined;
  let bytes: Buffer;
  try {
    bytes = readVa(pgd, address, length);
  } catch {
    return undefined;
  }
  const family = bytes.readUInt16LE(0);
  const port = bytes.readUInt16BE(2);
  if (family === AF_INET) return { address: bytes.subarray(4, 8).join("."), port };
  if (family !== AF_INET6 || bytes.length < 24) return undefined;
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(8 + index * 2).toString(16));
  return { address: new URL(`http://[${words.join(":")}]`).hostname.slice(1, -1), port };
}
