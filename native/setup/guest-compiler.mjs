import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { DebianPackage } from "./debian-package.mjs";
import { places } from "./places.mjs";

// Unpacked, not installed: gcc-multilib and Debian's cross compilers exclude each other, and this machine may have either.
const SYSROOT_PACKAGES = ["libc6", "libc6-dev", "libgcc-12-dev", "linux-libc-dev"].map(
  (name) => `${name}:i386/bookworm`,
);

/** Compiles C programs for a guest with this machine's gcc. */
export class GuestCompiler {
  #task;
  #flags;

  constructor(task, flags) {
    this.#task = task;
    this.#flags = flags;
  }

  /**
   * Makes the compiler for an architecture; the 32-bit C library comes from Debian's packages.
   * @param {import("./task.mjs").Task} task
   * @param {"amd64" | "i386"} architecture
   */
  static async of(task, architecture) {
    if (architecture === "amd64") return new GuestCompiler(task, []);
    const sysroot = await sysrootDirectory(task);
    const gcc = join(sysroot, "usr/lib/gcc/i686-linux-gnu");
    const startFiles = [join(gcc, readdirSync(gcc)[0]), join(sysroot, "usr/lib/i386-linux-gnu")];
    return new GuestCompiler(task, [
      ...["-m32", "-march=i686", `--sysroot=${sysroot}`, "-isystem", join(sysroot, "usr/include/i386-linux-gnu")],
      ...startFiles.flatMap((path) => ["-B", `${path}/`, `-L${path}`]),
    ]);
  }

  /** Compiles one C file with gcc's further flags. */
  async compile(source, output, ...flags) {
    await this.#task.run("gcc", [...this.#flags, "-O2", "-Wall", "-Wextra", "-o", output, source, ...flags]);
  }

  /**
   * Returns where the dynamic loader and the C library for the guest are.
   * @returns {Promise<string[]>} paths whose file names are the ones that programs ask for
   */
  async runtimeLibraries() {
    const is32Bit = this.#flags.includes("-m32");
    const names = [is32Bit ? "ld-linux.so.2" : "ld-linux-x86-64.so.2", "libc.so.6"];
    const find = (name) => this.#task.run("gcc", [...this.#flags, `-print-file-name=${name}`]);
    return Promise.all(names.map(async (name) => (await find(name)).trim()));
  }
}

async function sysrootDirectory(task) {
  const packages = [];
  for (const name of SYSROOT_PACKAGES) packages.push(await DebianPackage.named(task, name));
  const libc = packages.find(({ path }) => basename(path).startsWith("libc6_"));
  const directory = join(places.cachedGuest, `sysroot-${basename(libc.path, ".deb")}`);
  if (existsSync(directory)) return directory;
  const temporary = `${directory}.${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  for (const one of packages) await one.unpack(temporary, "lib/*", "usr/lib/*", "usr/include/*");
  renameSync(temporary, directory);
  return directory;
}
