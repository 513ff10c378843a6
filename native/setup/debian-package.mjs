import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { DebianArchive } from "./debian-archive.mjs";
import { filesBelow } from "./fingerprint.mjs";
import { places } from "./places.mjs";
import { qemuUpstream } from "./qemu-upstream.mjs";
import { SetupError } from "./setup-error.mjs";

/** A Debian package whose files are taken out of it; it is never installed on this machine. */
export class DebianPackage {
  #task;

  /**
   * @param {import("./task.mjs").Task} task
   * @param {string} path a .deb file
   */
  constructor(task, path) {
    this.#task = task;
    this.path = path;
  }

  /**
   * Finds a package in the cache, or fetches it.
   * @param {import("./task.mjs").Task} task
   * @param {string} name a package's name; that of a metapackage stands for the kernel it depends on
   */
  static async named(task, name) {
    // Which file a name stood for: without this, each change of native/guest would ask the mirror again.
    const note = join(places.cachedGuest, `${name}.txt`);
    const known = existsSync(note) && join(places.cachedGuest, readFileSync(note, "utf8").trim());
    if (known && existsSync(known)) return new DebianPackage(task, known);
    mkdirSync(places.cachedGuest, { recursive: true });
    const archive = new DebianArchive(task, qemuUpstream().suite);
    const dependency = /\blinux-image-\d\S*/.exec(await archive.packageField(name, "Depends"))?.[0];
    const wanted = /^linux-image-[a-z]/.test(name) && dependency ? dependency : name;
    task.say(`fetching the package ${wanted}`);
    const path = await archive.fetchPackage(wanted, places.cachedGuest);
    writeFileSync(`${note}.new`, `${basename(path)}\n`);
    renameSync(`${note}.new`, note);
    return new DebianPackage(task, path);
  }

  /** Returns a field of the package's control file. */
  async field(name) {
    return (await this.#task.run("dpkg-deb", ["--field", this.path, name])).trim();
  }

  /**
   * Returns the files below the folders of the package that a pattern matches.
   * @param {string} folder
   * @returns {Promise<{path: string, content: Buffer}[]>}
   */
  async files(folder) {
    const temporary = join(places.build, `.unpacked-${process.pid}`);
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary, { recursive: true });
    try {
      // Only the folder: a kernel's modules are a hundred times the size of the kernel.
      const script = 'dpkg-deb --fsys-tarfile "$1" | tar -xf - -C "$2" --wildcards "./$3/*"';
      await this.#task.run("sh", ["-c", script, "sh", this.path, temporary, folder]);
      // Links repeat a file under a second name; where they lead outside the folder there is nothing to read.
      const files = filesBelow(temporary).filter((path) => existsSync(path));
      return files.map((path) => ({ path: relative(temporary, path), content: readFileSync(path) }));
    } catch (error) {
      throw new SetupError(`cannot read ${folder}/ of ${this.path}: ${error.message}`, { logHelps: true });
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }

  /**
   * Returns those of some kernel modules that the package has as files, in the order of the names.
   * @param {string[]} names
   * @returns {Promise<{name: string, content: Buffer}[]>}
   */
  async kernelModules(names) {
    const temporary = join(places.build, `.modules-${process.pid}`);
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary, { recursive: true });
    try {
      // tar complains about each name that it does not find: that module is part of the kernel itself.
      const script =
        'package=$1; cd "$2" || exit; shift 2; dpkg-deb --fsys-tarfile "$package" | tar -xf - --wildcards "$@"; ' +
        'find . -name "*.ko.xz" -exec xz -d {} +';
      const patterns = names.map((name) => `*/${name}.ko*`);
      await this.#task.run("sh", ["-c", script, "sh", this.path, temporary, ...patterns]);
      const files = filesBelow(temporary);
      return names.flatMap((name) => {
        const path = files.find((file) => basename(file) === `${name}.ko`);
        return path ? [{ name, content: readFileSync(path) }] : [];
      });
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }
}
