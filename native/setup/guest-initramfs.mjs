import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { DebianPackage } from "./debian-package.mjs";
import { filesBelow } from "./fingerprint.mjs";
import { NewcArchive } from "./newc-archive.mjs";
import { places } from "./places.mjs";

const DIRECTORIES = ["bin", "dev", "modules", "proc", "sys", "tasks", "tmp"];

/**
 * Builds the guest's initramfs from busybox and native/guest.
 * @param {import("./task.mjs").Task} task
 * @param {{name: string, content: Buffer}[]} modules of the guest's kernel, in the order in which they must be loaded
 * @returns {Promise<{archive: Buffer, busybox: string}>} the compressed archive and busybox' version
 */
export async function guestInitramfs(task, modules) {
  const found = await DebianPackage.named(task, "busybox-static");
  // Debian 12 has it in /bin, Debian 13 in /usr/bin.
  const busybox = (await found.files("*bin")).find(({ path }) => basename(path) === "busybox").content;
  const archive = new NewcArchive();
  for (const name of DIRECTORIES) archive.directory(name);
  // The kernel opens it for init before init can mount devtmpfs.
  archive.characterDevice("dev/console", 5, 1);
  archive.file("bin/busybox", busybox, { executable: true });
  const programs = await buildPrograms(task, busybox);
  for (const applet of programs.applets) if (applet !== "busybox") archive.symlink(`bin/${applet}`, "busybox");
  for (const [name, content] of programs.own) archive.file(`bin/${name}`, content, { executable: true });
  for (const path of filesBelow(join(places.nativeGuest, "tasks"))) {
    archive.file(`tasks/${basename(path)}`, readFileSync(path));
  }
  for (const { name, content } of modules) archive.file(`modules/${name}.ko`, content);
  archive.file("modules/order", Buffer.from(modules.map(({ name }) => `${name}\n`).join("")));
  archive.file("banner", readFileSync(join(places.nativeGuest, "banner")));
  archive.file("init", readFileSync(join(places.nativeGuest, "init")), { executable: true });
  return { archive: gzipSync(archive.toBuffer(), { level: 9 }), busybox: await found.field("Version") };
}

/** Compiles native/guest/programs, and asks busybox for the commands it knows. */
async function buildPrograms(task, busybox) {
  mkdirSync(places.build, { recursive: true });
  const directory = mkdtempSync(join(places.build, ".programs-"));
  const own = new Map();
  try {
    for (const path of filesBelow(join(places.nativeGuest, "programs"))) {
      const name = basename(path).replace(/\.(c|sh)$/, "");
      const program = path.endsWith(".c") ? join(directory, name) : path;
      // Static, because the guest has no C library.
      if (path.endsWith(".c")) await task.run("gcc", ["-static", "-O2", "-Wall", "-Wextra", "-s", "-o", program, path]);
      own.set(name, readFileSync(program));
    }
    const copy = join(directory, "busybox");
    writeFileSync(copy, busybox, { mode: 0o755 });
    return { own, applets: (await task.run(copy, ["--list"])).split("\n").sort() };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
