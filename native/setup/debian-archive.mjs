import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianMirror } from "./debian-mirror.mjs";
import { withLock } from "./lock.mjs";
import { places } from "./places.mjs";
import { SetupError } from "./setup-error.mjs";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Debian's archive seen through an apt of our own: the machine's apt configuration and package lists stay untouched. */
export class DebianArchive {
  // One update serves all steps of a set-up.
  static #updated = new Set();
  #task;
  #directory = places.cachedApt;
  #architecture;

  /**
   * @param {import("./task.mjs").Task} task
   * @param {string} suite the release whose sources, and other releases' packages, are wanted
   */
  constructor(task, suite) {
    this.#task = task;
    this.suite = suite;
    this.release = machineRelease() ?? suite;
  }

  /**
   * Returns the archive as a machine of another release or architecture sees it: binary packages only.
   * @param {import("./task.mjs").Task} task
   * @param {{suite: string, architecture: string}} machine
   */
  static ofMachine(task, { suite, architecture }) {
    const archive = new DebianArchive(task, suite);
    archive.release = suite;
    archive.#architecture = architecture;
    // Lists of its own: when a mirror lacks this suite, or is just being renewed, the others still work.
    archive.#directory = join(places.cachedApt, `${suite}-${architecture}`);
    return archive;
  }

  /** Returns the newest version of a source package in the suite. */
  async sourceVersion(name) {
    await this.#update();
    const lines = (await this.#apt("apt-cache", "showsrc", name)).split("\n");
    const versions = lines.filter((line) => line.startsWith("Version: ")).map((line) => line.slice(9));
    if (versions.length > 0) return versions[0];
    throw new SetupError(`Debian ${this.suite} has no source package ${name}; is ${debianMirror()} a whole mirror?`);
  }

  /** Downloads the upstream tarball of a source package and returns its path. */
  async fetchTarball(name, version, directory) {
    const [tarball] = await this.#download(directory, (file) => file.includes(".orig.tar.") && !file.endsWith(".asc"), [
      "source",
      "--download-only",
      "--tar-only",
      `${name}=${version}`,
    ]);
    return tarball;
  }

  /** Downloads a binary package, as a release or else the machine's has it, and returns its path. */
  async fetchPackage(name, directory, { release } = {}) {
    await this.#update();
    const wanted = release === undefined ? name : `${name}/${release}`;
    const [path] = await this.#download(directory, (file) => file.endsWith(".deb"), ["download", wanted]);
    return path;
  }

  /** Returns the field of a binary package's newest record. */
  async packageField(name, field) {
    await this.#update();
    const record = await this.#apt("apt-cache", "show", "--no-all-versions", name).catch(() => {
      const releases = [...new Set([this.release, this.suite])].join(" and ");
      throw new SetupError(`Debian ${releases} have no package ${name}; is the name spelled as apt knows it?`);
    });
    return new RegExp(`^${field}: (.+)$`, "m").exec(record)?.[1] ?? "";
  }

  // A download goes to a directory of its own first, so that a broken one never looks like a finished file.
  async #download(directory, wanted, args) {
    const temporary = join(directory, `.download-${process.pid}`);
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary, { recursive: true });
    try {
      await this.#apt("apt-get", ...args, { cwd: temporary });
      return readdirSync(temporary)
        .filter(wanted)
        .map((name) => {
          renameSync(join(temporary, name), join(directory, name));
          return join(directory, name);
        });
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }

  async #update() {
    if (DebianArchive.#updated.has(this.#directory)) return;
    if (!existsSync(KEYRING)) {
      throw new SetupError(`${KEYRING} is missing: install the package debian-archive-keyring, then set up again`);
    }
    mkdirSync(join(this.#directory, "lists/partial"), { recursive: true });
    mkdirSync(join(this.#directory, "archives/partial"), { recursive: true });
    const line = (type, suite) => `${type} [signed-by=${KEYRING}] ${debianMirror()} ${suite} main\n`;
    const binaries = [...new Set([this.release, this.suite])].map((suite) => line("deb", suite));
    // A mirror's URI may carry a password.
    const sources = this.#architecture === undefined ? [line("deb-src", this.suite)] : [];
    writeFileSync(this.#sourcesList, [...binaries, ...sources].join(""), { mode: 0o600 });
    const onWait = (holder) => this.#task.say(`waiting for another set-up's apt (process ${holder})`);
    await withLock(join(places.cache, "locks/apt-lists"), onWait, () => this.#apt("apt-get", "update"));
    DebianArchive.#updated.add(this.#directory);
  }

  get #sourcesList() {
    return join(this.#directory, "sources.list");
  }

  #apt(command, ...args) {
    const options = typeof args.at(-1) === "object" ? args.pop() : {};
    const settings = [
      `Dir::Etc::sourcelist=${this.#sourcesList}`,
      "Dir::Etc::sourceparts=-",
      `Dir::State::lists=${join(this.#directory, "lists")}`,
      `Dir::Cache=${this.#directory}`,
      `APT::Default-Release=${this.release}`,
      "Acquire::Languages=none",
      ...(this.#architecture === undefined
        ? []
        : [`APT::Architecture=${this.#architecture}`, `APT::Architectures=${this.#architecture}`]),
      // The user _apt cannot write below a home directory; without this apt warns and does the same.
      ...(process.getuid() === 0 ? ["APT::Sandbox::User=root"] : []),
    ];
    return this.#task.run(command, ["--quiet", ...settings.flatMap((setting) => ["-o", setting]), ...args], options);
  }
}

/** Returns the Debian release of this machine, if it is one. */
export function machineRelease() {
  const text = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  return /^ID=debian$/m.test(text) ? /^VERSION_CODENAME=(\w+)$/m.exec(text)?.[1] : undefined;
}
