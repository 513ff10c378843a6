import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { writeIsf } from "../kernel-types";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { cacheFolder } from "./volatility-places";

/** Changes when symbol files of the same kernel become others. */
const REVISION = 1;
/** Symbol files of one kernel, with other modules each; those that were used last are kept. */
const MOST_FILES = 4;
/** Files that were used within this time may be read by somebody, and are not removed. */
const YOUNG_MS = 3_600_000;
const FILE = /^symbols-[0-9a-f]{16}\.json$/;

/** The files of a kernel that are kept between runs. */
export interface KernelFiles {
  /** The symbol file, for the kernel with the modules that it has loaded now. */
  readonly isf: string;
  /** Volatility's own cache. */
  readonly cache: string;
}

/**
 * Gets the files of the guest's kernel in the cache folder. The symbol file is written when it is not there.
 *
 * @throws Error of the system when they cannot be written
 */
export function provideKernelFiles(guest: LinuxGuest): KernelFiles {
  const { kernel } = guest;
  const text = kernel.findSymbol("_text", "_stext") ?? 0n;
  // Two builds may have one banner; they hardly have one layout.
  const places = ["init_task", "_end", "__start_BTF", "__stop_BTF", "kallsyms_names"].map((name) => {
    const address = kernel.findSymbol(name);
    return address === undefined ? "" : String(address - text);
  });
  const folder = join(cacheFolder(), "kernels", `${safeName(kernel.release)}-${digest([kernel.banner, ...places])}`);
  const modules = guest.getKernelModules().map(({ name, size }) => `${name} ${size}`);
  const isf = join(folder, `symbols-${digest([String(REVISION), ...modules.sort()])}.json`);
  const cache = join(folder, "cache");
  mkdirSync(cache, { recursive: true });
  if (isUsable(isf)) return { isf, cache };
  writeIsf(isf, guest);
  removeOld(folder);
  return { isf, cache };
}

function isUsable(isf: string): boolean {
  try {
    utimesSync(isf, new Date(), statSync(isf).mtime);
    return true;
  } catch {
    return false;
  }
}

function removeOld(folder: string): void {
  const files = readdirSync(folder)
    .filter((name) => FILE.test(name))
    .map((name) => ({ path: join(folder, name), usedMs: statSync(join(folder, name)).atimeMs }))
    .sort((a, b) => b.usedMs - a.usedMs);
  for (const { path, usedMs } of files.slice(MOST_FILES)) {
    if (Date.now() - usedMs > YOUNG_MS) rmSync(path, { force: true });
  }
}

/** The release comes from the guest: it becomes part of a path. */
function safeName(release: string): string {
  return release
    .replace(/[^\w.+-]/g, "_")
    .replace(/^\.+/, "_")
    .slice(0, 64);
}

function digest(parts: readonly string[]): string {
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 16);
}
