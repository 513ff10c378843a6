import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { Fingerprint } from "./fingerprint.mjs";
import { places } from "./places.mjs";
import { qemuConfiguration } from "./qemu-configuration.mjs";
import { qemuPatches } from "./qemu-patches.mjs";
import { qemuUpstream } from "./qemu-upstream.mjs";
import { ResultStore } from "./result-store.mjs";
import { SetupError } from "./setup-error.mjs";

const NAME = "rebox-engine-linux-x64";
const LIBRARY = "libqemu-system-x86_64.so";
/** The parts of the package that a checkout takes, with those of a package of its own: it builds the addon itself. */
const PARTS = ["qemu", "lib", "firmware", "licences", "bill-of-materials.json"];
/** Those of them that rebox looks for in the folder of the build. */
const LINKED = ["qemu", "firmware"];

/**
 * Computes the hash of all that makes an engine what it is, wherever it is built: QEMU's source, patches, configuration, and native/qemu.
 *
 * @param {string} sourceHash the sha256 of the source's tarball
 */
export function engineContent(sourceHash) {
  const configuration = qemuConfiguration({ library: true }).map((argument) =>
    argument.replaceAll(places.cachedFirmware, "FIRMWARE"),
  );
  const fingerprint = new Fingerprint().text("source", sourceHash).text("configuration", configuration.join("\n"));
  for (const patch of qemuPatches()) fingerprint.text(patch.name, patch.text);
  return fingerprint.tree(places.nativeQemu).digest.slice(0, 16);
}

/** The engine of an installed package, in place of one that set-up builds. */
export class PackagedEngine {
  #build;
  #store;

  /** @param {{build: string, cache: string}} folders of the checkout's build, and of the cache */
  constructor(folders = places) {
    this.#build = folders.build;
    this.#store = new ResultStore("engine", "engine", folders);
  }

  /**
   * Tells whether the checkout uses a package's engine, and its content is still that of the checkout.
   *
   * @param {string | undefined} sourceHash of QEMU's source, when it is known
   */
  isUsed(sourceHash) {
    try {
      const [used, info] = [join(this.#build, "qemu"), this.#readInfo(join(this.#build, "engine"))];
      const content = engineContent(sourceHash ?? info.sourceHash);
      return this.#store.isLinked(content) && realpathSync(used) === realpathSync(join(this.#build, "engine/qemu"));
    } catch {
      return false;
    }
  }

  /**
   * Takes the engine of a package that is installed globally, or that REBOX_ENGINE names, when its content is the checkout's.
   *
   * @param {{say(text: string): void}} task is told why a package is not taken
   * @param {string | undefined} sourceHash of QEMU's source, when it is known
   * @param {string | undefined} setting a folder with the package; "no" takes none
   * @returns {string | undefined} the package that was taken; undefined when there is none
   * @throws {SetupError} when the setting's package is not there, or cannot be taken
   */
  take(task, sourceHash, setting = process.env.REBOX_ENGINE) {
    if (setting === "no") return undefined;
    const folder = findPackage(setting ? [resolve(setting)] : globalFolders());
    if (folder === undefined) {
      if (setting) throw new SetupError(`REBOX_ENGINE: there is no package ${NAME} in ${resolve(setting)}`);
      return undefined;
    }
    const info = this.#readInfo(folder);
    const name = `${NAME} ${JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version} in ${folder}`;
    const problem = findProblem(folder, info, sourceHash);
    if (problem !== undefined) {
      if (setting) throw new SetupError(`${name} cannot be taken: ${problem}; without REBOX_ENGINE, QEMU is built`);
      task.say(`${name} is not taken: ${problem}`);
      return undefined;
    }
    if (!this.#store.has(info.content)) {
      const parts = PARTS.map((part) => join(folder, part)).filter((part) => existsSync(part));
      this.#store.add(info.content, parts, { package: name, content: info.content });
    }
    this.#store.use(info.content);
    for (const part of LINKED) this.#link(part);
    return name;
  }

  /** Finds the folder with the parts of the package that is used; undefined when the engine was built here. */
  findParts() {
    const folder = join(this.#build, "engine");
    return existsSync(folder) ? realpathSync(folder) : undefined;
  }

  /** Ends the use of a package's engine, before one that was built is used. */
  leave() {
    for (const part of ["firmware", "engine"]) removeLink(join(this.#build, part));
  }

  #link(part) {
    mkdirSync(this.#build, { recursive: true });
    removeLink(join(this.#build, part));
    symlinkSync(join("engine", part), join(this.#build, part));
  }

  #readInfo(folder) {
    return JSON.parse(readFileSync(join(folder, "qemu/info.json"), "utf8"));
  }
}

/** Says why a package's engine is not that of this checkout, or does not run on this system; undefined when all is well. */
function findProblem(folder, { version, content, sourceHash: ownSourceHash }, sourceHash = ownSourceHash) {
  const { series } = qemuUpstream();
  if (!version.startsWith(`${series}.`)) return `it is QEMU ${version}, and this checkout has patches for ${series}`;
  const wanted = sourceHash === undefined ? undefined : engineContent(sourceHash);
  if (content === undefined || content !== wanted) {
    return `its content is ${content ?? "not known"}, and that of this checkout is ${wanted ?? "another one"}`;
  }
  const { stdout, stderr } = spawnSync("ldd", [join(folder, "qemu", LIBRARY)], { encoding: "utf8" });
  const missing = `${stdout}${stderr}`.split("\n").find((line) => line.includes("not found"));
  return missing === undefined ? undefined : `it does not run on this system: ${missing.trim()}`;
}

/** Finds the package in one of some folders, each of which is the package itself, or has it. */
function findPackage(folders) {
  const places = folders.flatMap((folder) => [folder, join(folder, NAME), join(folder, "node_modules", NAME)]);
  return places.find((place) => isPackage(place));
}

function isPackage(folder) {
  const file = join(folder, "package.json");
  return existsSync(file) && JSON.parse(readFileSync(file, "utf8")).name === NAME;
}

/** Lists where npm installs packages for all projects. */
function globalFolders() {
  try {
    return [
      execFileSync("npm", ["root", "--global"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim(),
    ];
  } catch {
    return [];
  }
}

function removeLink(path) {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(path);
}
