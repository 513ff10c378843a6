import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { filesBelow } from "./fingerprint.mjs";
import { GuestCompiler } from "./guest-compiler.mjs";
import { places } from "./places.mjs";

const SOURCES = join(places.nativeGuest, "programs");
const TARGETS = join(places.nativeGuest, "targets");

/**
 * Compiles native/guest/programs. Those in portable/ are for every guest, those in dynamic/ too, but linked with shared
 * libraries; a dynamic/lib*.c is such a library. All others are static programs for 64-bit guests.
 * @param {import("./task.mjs").Task} task
 * @param {"amd64" | "i386"} architecture
 * @returns {Promise<{programs: Map<string, Buffer>, libraries: Map<string, Buffer>, targets: Map<string, Buffer>}>} by name; the
 *   libraries with what they need; the targets, static programs of native/guest/targets, which are not in the guest
 */
export async function guestPrograms(task, architecture) {
  const compiler = await GuestCompiler.of(task, architecture);
  mkdirSync(places.build, { recursive: true });
  const directory = mkdtempSync(join(places.build, ".programs-"));
  const programs = new Map();
  const libraries = new Map();
  try {
    const sources = filesBelow(SOURCES)
      .filter((path) => /\.(c|sh)$/.test(path))
      .filter((path) => architecture === "amd64" || isPortable(path));
    const isLibrary = (path) => basename(path).startsWith("lib") && isDynamic(path);
    for (const path of sources.filter(isLibrary)) {
      const name = basename(path, ".c");
      const file = join(directory, `${name}.so`);
      // A library for the programs is linked by its name, one for dlopen is not; both have a soname with a version.
      await compiler.compile(path, file, "-shared", "-fPIC", "-static-libgcc", `-Wl,-soname,${name}.so.1`);
      libraries.set(`${name}.so.1`, readFileSync(file));
    }
    for (const path of sources.filter((one) => !isLibrary(one))) {
      const name = basename(path).replace(/\.(c|sh)$/, "");
      if (path.endsWith(".sh")) {
        programs.set(name, readFileSync(path));
        continue;
      }
      const file = join(directory, name);
      // Static, because busybox' guest has no C library; the others bring it, and keep their table of symbols for tests.
      const link = isDynamic(path) ? ["-static-libgcc", `-L${directory}`, "-lgreeting"] : ["-static", "-s"];
      await compiler.compile(path, file, ...link);
      programs.set(name, readFileSync(file));
    }
    for (const path of await compiler.runtimeLibraries()) libraries.set(basename(path), readFileSync(path));
    const targets = new Map();
    for (const path of filesBelow(TARGETS)) {
      const name = basename(path, ".c");
      const file = join(directory, name);
      await compiler.compile(path, file, "-static", "-s");
      targets.set(name, readFileSync(file));
    }
    return { programs, libraries, targets };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Asks a busybox for the commands it knows.
 * @param {import("./task.mjs").Task} task
 * @param {Buffer} busybox one that this machine can run
 * @returns {Promise<string[]>}
 */
export async function busyboxApplets(task, busybox) {
  const directory = mkdtempSync(join(places.build, ".busybox-"));
  try {
    const copy = join(directory, "busybox");
    writeFileSync(copy, busybox, { mode: 0o755 });
    return (await task.run(copy, ["--list"])).split("\n").sort();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function isPortable(path) {
  return path.endsWith(".sh") || path.startsWith(join(SOURCES, "portable/")) || isDynamic(path);
}

function isDynamic(path) {
  return path.startsWith(join(SOURCES, "dynamic/"));
}
