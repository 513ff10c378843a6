import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { filesBelow } from "./fingerprint.mjs";
import { mesonPython } from "./meson.mjs";
import { places } from "./places.mjs";
import { applyPatches } from "./qemu-patches.mjs";
import { isNotSource } from "./qemu-source.mjs";

/** A patched QEMU source with its build directory, kept for incremental builds. */
export class QemuTree {
  #task;

  /**
   * @param {import("./task.mjs").Task} task
   * @param {string} directory holds source/ and build/
   */
  constructor(task, directory) {
    this.#task = task;
    this.source = join(directory, "source");
    this.build = join(directory, "build");
  }

  /** Unpacks and patches the source unless that has been done. */
  async unpack(origin, patches) {
    if (existsSync(this.source)) return;
    this.#task.say(`unpacking ${basename(origin)} and applying ${patches.length} patch(es)`);
    const temporary = `${this.source}.${process.pid}`;
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary, { recursive: true });
    try {
      if (statSync(origin).isDirectory()) {
        const filter = (path) => dirname(path) !== origin || !isNotSource(basename(path));
        cpSync(origin, temporary, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true, filter });
      } else {
        await this.#task.run("tar", ["-xf", origin, "-C", temporary, "--strip-components=1", "--no-same-owner"]);
      }
      await applyPatches(this.#task, patches, temporary);
      renameSync(temporary, this.source);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
      // A tree that never came to be must not count as one of the trees that are kept.
      if (!existsSync(this.source)) rmSync(dirname(this.source), { recursive: true, force: true });
    }
  }

  /** Returns the version that the source states. */
  get version() {
    return readFileSync(join(this.source, "VERSION"), "utf8").trim();
  }

  /**
   * Makes <source>/rebox the same as native/qemu, and leaves equal files alone so that ninja does too. QEMU's schema can
   * include files of its own folder only, so the schemas of native/qemu/monitor/qapi go there too.
   */
  addNativeQemu({ sanitize }) {
    const target = join(this.source, "rebox");
    const wanted = new Map(
      filesBelow(places.nativeQemu).map((path) => [relative(places.nativeQemu, path), readFileSync(path)]),
    );
    // native/qemu/meson.build asks whether this file exists.
    if (sanitize) wanted.set("sanitize", Buffer.alloc(0));
    for (const path of filesBelow(target)) if (!wanted.has(relative(target, path))) rmSync(path);
    const schemas = [...wanted.keys()].filter((name) => dirname(name) === "monitor/qapi");
    const files = [...wanted].map(([name, content]) => [join(target, name), content]);
    for (const name of schemas) files.push([join(this.source, "qapi", basename(name)), wanted.get(name)]);
    for (const [path, content] of files) {
      if (existsSync(path) && readFileSync(path).equals(content)) continue;
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
    }
  }

  /** Configures the build directory unless it is configured. */
  async configure(args) {
    if (existsSync(join(this.build, "build.ninja"))) return;
    // What a configure that failed half way leaves behind confuses the next one.
    rmSync(this.build, { recursive: true, force: true });
    mkdirSync(this.build, { recursive: true });
    const python = await mesonPython(this.#task);
    this.#task.say("configuring");
    await this.#task.run(join(this.source, "configure"), [`--python=${python}`, ...args], {
      cwd: this.build,
      env: { ...compilerCache(), CC: existsSync("/usr/bin/ccache") ? "ccache gcc" : "gcc" },
    });
  }

  /** Builds targets, with progress. */
  async ninja(...targets) {
    await this.#task.run("ninja", targets, {
      cwd: this.build,
      env: { ...compilerCache(), NINJA_STATUS: "[%f/%t] " },
      onLine: (line) => {
        const counts = /^\[(\d+)\/(\d+)\]/.exec(line);
        if (counts) this.#task.progress(Number(counts[1]), Number(counts[2]));
      },
    });
  }
}

/** Lets ccache recognise a file in another tree of ours: paths below the cache are seen as relative to the build. */
function compilerCache() {
  return { CCACHE_BASEDIR: places.cache, CCACHE_NOHASHDIR: "1" };
}
