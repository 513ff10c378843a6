import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { engineContent, PackagedEngine } from "../packaged-engine.mjs";
import { places } from "../places.mjs";
import { knownQemuSource } from "../qemu-source.mjs";
import { StagedPackage } from "./staged-package.mjs";

/** The libraries of every Linux with Node.js: the C library, and the C++ library that Node itself needs. */
const GIVEN = /^(linux-vdso|ld-linux-x86-64|lib(c|m|dl|rt|pthread|resolv|stdc\+\+|gcc_s))\.so/;
/** The firmware of other processors than a guest of rebox can have. */
const FOREIGN_FIRMWARE =
  /ppc|sparc|hppa|s390|npcm|u-boot|skiboot|slof|palcode|bamboo|canyonlands|cgthree|tcx|linux-user|packages\.json/i;

/** Makes the tarball of the engine: QEMU as a library, the addon, their shared libraries and firmware, qemu-img and the ext4 reader. */
export function packEngine() {
  const staged = new StagedPackage("rebox-engine-linux-x64");
  const own = [
    staged.copy(join(places.build, "addon/Release/rebox.node"), "addon/Release/rebox.node"),
    staged.copy(join(places.build, "ext4/ext4_reader"), "ext4/ext4_reader"),
    staged.copy(join(places.build, "network/tap_launcher"), "network/tap_launcher"),
  ];
  const taken = new PackagedEngine().findParts();
  if (taken === undefined) stageBuilt(staged, own);
  else stageTaken(staged, taken);
  const [addon, reader] = own;
  point(addon, "$ORIGIN/../../qemu:$ORIGIN/../../lib");
  point(reader, "$ORIGIN/../lib");
  staged.copy(join(places.root, "LICENSE"), "LICENSE");
  const { version } = JSON.parse(readFileSync(join(staged.folder, "qemu/info.json"), "utf8"));
  staged.write(
    "README.md",
    `The engine of rebox for 64-bit x86 Linux: QEMU ${version} with the patches in rebox's qemu-patches, as a library, and what it\n` +
      `loads. It needs the C library ${findOldestLibc(staged.folder)} or newer. bill-of-materials.json names the parts, their versions and sources,\n` +
      "and licences has their licences.\n",
  );
  return staged.pack({ description: "The engine of rebox, for 64-bit x86 Linux" });
}

/** Takes the engine over from the package that set-up has taken it from. */
function stageTaken(staged, folder) {
  for (const part of ["qemu", "lib", "firmware", "licences"]) staged.copy(join(folder, part), part);
  staged.takeComponents(JSON.parse(readFileSync(join(folder, "bill-of-materials.json"), "utf8")));
}

/** Stages the engine that was built here, with the libraries of this system that it needs. */
function stageBuilt(staged, own) {
  const qemu = realpathSync(join(places.build, "qemu"));
  const [library, image] = ["libqemu-system-x86_64.so", "qemu-img"].map((name) =>
    staged.copy(join(qemu, name), `qemu/${name}`),
  );
  const programs = [library, image, ...own];
  const libraries = new Map(programs.flatMap((program) => listLibraries(program, qemu)));
  for (const [name, path] of libraries) staged.copy(path, `lib/${name}`);
  for (const name of libraries.keys()) point(join(staged.folder, "lib", name), "$ORIGIN");
  for (const program of [library, image]) point(program, "$ORIGIN/../lib");
  staged.copy(places.cachedFirmware, "firmware", (path) => !FOREIGN_FIRMWARE.test(basename(path)));
  // Of a source that somebody has chosen only its place is known.
  const sourceHash = process.env.REBOX_QEMU_SOURCE ? undefined : knownQemuSource()?.identity;
  const info = JSON.parse(readFileSync(join(qemu, "info.json"), "utf8"));
  // No path of this machine: the name of the source, and of the build, by which golden states know their QEMU.
  const described = {
    version: info.version,
    source: basename(info.source),
    build: basename(qemu),
    patches: info.patches,
    // By these a checkout knows an engine that it need not build.
    ...(sourceHash === undefined ? {} : { sourceHash, content: engineContent(sourceHash) }),
  };
  staged.write("qemu/info.json", `${JSON.stringify(described, undefined, 2)}\n`);
  staged.addComponent({ name: "qemu", version: info.version, licence: "GPL-2.0-only", source: basename(info.source) });
  for (const path of libraries.values()) noteDebianPackage(staged, path);
}

/** Lists the shared libraries that a program loads, beside those that every system has, by name and path. */
function listLibraries(program, qemu) {
  const env = { ...process.env, LD_LIBRARY_PATH: qemu };
  const lines = execFileSync("ldd", [program], { encoding: "utf8", env }).split("\n");
  return lines.flatMap((line) => {
    const [, name, path] = /^\s*(\S+) => (\/\S+)/.exec(line) ?? [];
    return name === undefined || GIVEN.test(name) || name.startsWith("libqemu") ? [] : [[name, realpathSync(path)]];
  });
}

/** Has a program or library look for others in folders beside it, and drops what only a debugger needs. */
function point(file, folders) {
  execFileSync("strip", ["--strip-debug", file]);
  execFileSync("patchelf", ["--set-rpath", folders, file]);
}

/** Notes the Debian package that a library comes from, and copies its licences. */
function noteDebianPackage(staged, path) {
  const asked = [path, path.replace(/^\/usr/, "")].map((file) => {
    try {
      return execFileSync("dpkg-query", ["-S", file], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    } catch {
      return undefined;
    }
  });
  const owner = asked.find((text) => text !== undefined)?.split(": ")[0];
  if (owner === undefined) return staged.addComponent({ name: basename(path) });
  const format = "${Package} ${Version} ${source:Package}";
  const [name, version, source] = execFileSync("dpkg-query", ["-W", "-f", format, owner], { encoding: "utf8" }).split(
    " ",
  );
  const copyright = join("/usr/share/doc", name, "copyright");
  if (existsSync(copyright)) staged.copy(copyright, `licences/${name}.txt`);
  staged.addComponent({ name, version, source: `Debian source package ${source}` });
}

/** Finds the oldest C library that has all that the package's files ask for, such as "2.36". */
function findOldestLibc(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.so|\.node$|qemu-img|ext4_reader|tap_launcher/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  const text = files
    .map((file) => execFileSync("objdump", ["-T", file], { encoding: "utf8", maxBuffer: 1 << 28 }))
    .join("");
  const versions = [...text.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
  return `2.${versions.reduce((most, minor) => Math.max(most, minor), 0)}`;
}
