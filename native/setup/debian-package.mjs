import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { DebianArchive } from "./debian-archive.mjs";
import { debianFileName, debianName } from "./debian-name.mjs";
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

  /** Finds a package in the cache, or fetches it: name[:architecture][/release]. */
  static async named(task, name) {
    return (await DebianPackage.allNamed(task, name))[0];
  }

  /**
   * Finds a package in the cache, or fetches it.
   * @param {import("./task.mjs").Task} task
   * @param {string} name name[:architecture][/release]; a metapackage stands for the kernel that it depends on
   * @returns {Promise<DebianPackage[]>} one; or a kernel's image and modules, where Debian packs them apart
   */
  static async allNamed(task, name) {
    // Which files a name stood for: without this, each change of native/guest would ask the mirror again.
    const note = join(places.cachedGuest, `${debianFileName(name)}.txt`);
    const known = existsSync(note) ? readFileSync(note, "utf8").trim().split("\n") : [];
    const inCache = (file) => join(places.cachedGuest, file);
    if (known.length > 0 && known.every((file) => existsSync(inCache(file)))) {
      return known.map((file) => new DebianPackage(task, inCache(file)));
    }
    mkdirSync(places.cachedGuest, { recursive: true });
    const { name: base, architecture, release } = debianName(name);
    const archive =
      architecture || release
        ? DebianArchive.ofMachine(task, {
            suite: release ?? qemuUpstream().suite,
            architecture: architecture ?? "amd64",
          })
        : new DebianArchive(task, qemuUpstream().suite);
    const paths = [];
    for (const wanted of await packagesBehind(archive, base)) {
      task.say(`fetching the package ${wanted}`);
      paths.push(await archive.fetchPackage(wanted, places.cachedGuest));
    }
    writeFileSync(`${note}.new`, paths.map((path) => `${basename(path)}\n`).join(""));
    renameSync(`${note}.new`, note);
    return paths.map((path) => new DebianPackage(task, path));
  }

  /** Returns a field of the package's control file. */
  async field(name) {
    return (await this.#task.run("dpkg-deb", ["--field", this.path, name])).trim();
  }

  /**
   * Returns the files of the package whose path one of some patterns matches.
   * @param {...string} patterns tar's wildcards, without a leading "./"
   * @returns {Promise<{path: string, content: Buffer}[]>}
   */
  async files(...patterns) {
    const temporary = join(places.build, `.unpacked-${process.pid}`);
    rmSync(temporary, { recursive: true, force: true });
    try {
      await this.unpack(temporary, ...patterns);
      // Links repeat a file under a second name; where they lead outside the folder there is nothing to read.
      const files = filesBelow(temporary).filter((path) => existsSync(path));
      return files.map((path) => ({ path: relative(temporary, path), content: readFileSync(path) }));
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }

  /**
   * Unpacks those files of the package whose path one of some patterns matches; one that matches nothing is no error.
   * @param {string} directory
   * @param {...string} patterns tar's wildcards, without a leading "./"; none for all files
   */
  async unpack(directory, ...patterns) {
    mkdirSync(directory, { recursive: true });
    // Only these: a kernel's modules are a hundred times the size of the kernel. tar complains about each pattern that it does
    // not find, with status 2, as about a broken archive: dpkg-deb's own status tells the two apart.
    const script =
      'package=$1; cd "$2" || exit; shift 2; { dpkg-deb --fsys-tarfile "$package" && echo whole >&3; } 3> .whole | ' +
      'tar -xf - --wildcards "$@"; grep -q whole .whole && rm .whole';
    try {
      await this.#task.run("sh", [
        "-c",
        script,
        "sh",
        this.path,
        directory,
        ...patterns.map((pattern) => `./${pattern}`),
      ]);
    } catch (error) {
      throw new SetupError(`cannot unpack ${this.path}: ${error.message}`, { logHelps: true });
    }
  }
}

/** Returns the packages with the files that a name promises. */
async function packagesBehind(archive, name) {
  const dependencies = async (of, prefix) =>
    (await archive.packageField(of, "Depends"))
      .split(/[,|]\s*/)
      .map((text) => text.split(" ")[0])
      .filter((text) => text.startsWith(prefix));
  if (!name.startsWith("linux-image-")) return [name];
  const image =
    (/^linux-image-(?:[a-z]|\d+(?:-|$))/.test(name) && (await dependencies(name, "linux-image-"))[0]) || name;
  // Since 7.2 a kernel's image and its modules are packages of their own.
  const parts = [...(await dependencies(image, "linux-binary-")), ...(await dependencies(image, "linux-modules-"))];
  return parts.length > 0 ? parts : [image];
}
