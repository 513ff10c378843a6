import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { DebianPackage } from "./debian-package.mjs";
import { filesBelow } from "./fingerprint.mjs";
import { busyboxApplets, guestPrograms } from "./guest-programs.mjs";
import { NewcArchive } from "./newc-archive.mjs";
import { places } from "./places.mjs";

const DIRECTORIES = ["bin", "dev", "lib", "lib64", "modules", "proc", "sys", "tasks", "tmp"];

/**
 * Builds the guest's initramfs from busybox and native/guest.
 * @param {import("./task.mjs").Task} task
 * @param {"amd64" | "i386"} architecture of the kernel and all programs
 * @param {{name: string, content: Buffer, use: string}[]} modules of the guest's kernel, in the order in which they must
 *   be loaded
 * @returns {Promise<{archive: Buffer, busybox: string, targets: Map<string, Buffer>}>} the compressed archive, busybox' version and
 *   the programs that come to a guest as targets of analyses
 */
export async function guestInitramfs(task, architecture, modules) {
  const found = await DebianPackage.named(task, "busybox-static");
  const foreign = architecture === "i386" && (await DebianPackage.named(task, "busybox-static:i386/bookworm"));
  const archive = new NewcArchive();
  for (const name of DIRECTORIES) archive.directory(name);
  // The kernel opens it for init before init can mount devtmpfs.
  archive.characterDevice("dev/console", 5, 1);
  archive.file("bin/busybox", await busyboxOf(foreign || found), { executable: true });
  // Of this machine's own: it cannot always run a 32-bit one.
  const applets = await busyboxApplets(task, await busyboxOf(found));
  const { programs, libraries, targets } = await guestPrograms(task, architecture);
  for (const applet of applets) if (applet !== "busybox") archive.symlink(`bin/${applet}`, "busybox");
  for (const [name, content] of programs) archive.file(`bin/${name}`, content, { executable: true });
  for (const [name, content] of libraries) archive.file(`lib/${name}`, content, { executable: true });
  // Where 64-bit programs look for the dynamic loader.
  archive.symlink("lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-x86-64.so.2");
  for (const path of filesBelow(join(places.nativeGuest, "tasks"))) {
    archive.file(`tasks/${basename(path)}`, readFileSync(path));
  }
  for (const { name, content } of modules) archive.file(`modules/${name}.ko`, content);
  const list = (names) => Buffer.from(names.map(({ name }) => `${name}\n`).join(""));
  const ofUse = (...uses) => list(modules.filter(({ use }) => uses.includes(use)));
  archive.file("modules/order", ofUse("network"));
  archive.file("modules/disc", ofUse("disc"));
  archive.file("modules/disk", ofUse("network", "disc", "spare"));
  archive.file("modules/spare", ofUse("spare"));
  archive.file("banner", readFileSync(join(places.nativeGuest, "banner")));
  archive.file("init", readFileSync(join(places.nativeGuest, "init")), { executable: true });
  return { archive: gzipSync(archive.toBuffer(), { level: 9 }), busybox: await found.field("Version"), targets };
}

// Debian 12 has it in /bin, Debian 13 in /usr/bin.
async function busyboxOf(found) {
  return (await found.files("*bin/*")).find(({ path }) => basename(path) === "busybox").content;
}
