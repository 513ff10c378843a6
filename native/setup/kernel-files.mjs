import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { filesBelow, Fingerprint } from "./fingerprint.mjs";
import { places } from "./places.mjs";

/**
 * Returns a kernel's image and some of its modules; what was taken out of packages once stays in the cache, because
 * unpacking a hundred megabytes takes longer than booting the kernel.
 * @param {import("./task.mjs").Task} task
 * @param {import("./debian-package.mjs").DebianPackage[]} packages
 * @param {string[]} names the modules; one that the kernel has built in, or does not know, is left out
 * @returns {Promise<{image?: Buffer, systemMap?: Buffer, modules: {name: string, content: Buffer}[]}>} modules in the order of names
 */
export async function kernelFiles(task, packages, names) {
  const wanted = new Fingerprint().text("modules", names.join("\n"));
  // A package that somebody built may be replaced under its name.
  for (const { path } of packages) wanted.text(path, `${statSync(path).size} ${statSync(path).mtimeMs}`);
  const directory = join(places.cachedGuest, `${basename(packages[0].path, ".deb")}-${wanted.digest.slice(0, 12)}`);
  if (!existsSync(directory)) await unpack(task, packages, names, directory);
  const read = (name) => {
    const path = join(directory, name);
    return existsSync(path) ? readFileSync(path) : undefined;
  };
  return {
    image: read("vmlinuz"),
    systemMap: read("System.map"),
    modules: names.flatMap((name) => {
      const content = read(`${name}.ko`);
      return content ? [{ name, content }] : [];
    }),
  };
}

async function unpack(task, packages, names, directory) {
  const temporary = `${directory}.${process.pid}`;
  const unpacked = join(temporary, "unpacked");
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(unpacked, { recursive: true });
  try {
    for (const one of packages) {
      await one.unpack(
        unpacked,
        "boot/vmlinuz-*",
        "boot/System.map-*",
        "*/vmlinuz",
        ...names.map((name) => `*/${name}.ko*`),
      );
    }
    await task.run("find", [unpacked, "-name", "*.ko.xz", "-exec", "xz", "-d", "{}", "+"]);
    for (const path of filesBelow(unpacked)) {
      const name = basename(path).replace(/^(vmlinuz|System\.map)-.*/, "$1");
      writeFileSync(join(temporary, name), readFileSync(path));
    }
    rmSync(unpacked, { recursive: true, force: true });
    renameSync(temporary, directory);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
