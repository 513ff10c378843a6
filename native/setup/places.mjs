import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const build = join(root, "build");
// The rule of getCacheFolder() in src/config/folders.ts, which is not compiled yet when set-up runs.
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "rebox");

/** Where set-up reads and writes: the checkout, its build directory, and the cache that all checkouts share. */
export const places = {
  root,
  build,
  logs: join(build, "logs"),
  stamps: join(build, "stamps"),
  patches: join(root, "qemu-patches"),
  nativeQemu: join(root, "native/qemu"),
  nativeAddon: join(root, "native/addon"),
  nativeGuest: join(root, "native/guest"),
  cache,
  cachedSource: join(cache, "source"),
  cachedApt: join(cache, "apt"),
  cachedFirmware: join(cache, "firmware"),
  cachedMeson: join(cache, "meson"),
  cachedWork: join(cache, "work"),
  cachedGuest: join(cache, "guest"),
  cachedDrgn: join(cache, "drgn"),
};
