import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const HAS_TOOLS = ["clang", "lld-link", "llvm-pdbutil"].every((tool) => spawnSync(tool, ["--version"]).status === 0);

/** Why tests that build images for Windows are left out, or false. */
export const WITHOUT_WINDOWS_TOOLS = HAS_TOOLS ? false : "there is no compiler for Windows: apt install clang lld llvm";

/** An image for Windows with its debug information, as clang and lld-link made them. */
export interface BuiltImage {
  readonly exe: string;
  readonly pdb: string;
}

/** How an image is built. */
export interface ImageOptions {
  readonly bits: 32 | 64;
  /** The file's name without its suffix. */
  readonly name: string;
  readonly language?: "c" | "c++";
  /** More words for lld-link. */
  readonly link?: readonly string[];
}

/** Where the images are linked for. */
export const IMAGE_BASE = { 32: 0x400000n, 64: 0x140000000n };

/** Compiles and links an image whose entry is `start`, without any library or header of Windows. */
export function buildImage(folder: string, source: string, options: ImageOptions): BuiltImage {
  const { bits, name, language = "c", link = [] } = options;
  const [text, object] = [join(folder, `${name}.${language === "c" ? "c" : "cc"}`), join(folder, `${name}.obj`)];
  const [exe, pdb] = [join(folder, `${name}.exe`), join(folder, `${name}.pdb`)];
  writeFileSync(text, source);
  const target = `--target=${bits === 64 ? "x86_64" : "i686"}-pc-windows-msvc`;
  const flags = [
    "-ffreestanding",
    "-fno-exceptions",
    "-fno-rtti",
    "-fasynchronous-unwind-tables",
    "-O1",
    "-g",
    "-gcodeview",
  ];
  const noRtti = language === "c" ? flags.filter((flag) => flag !== "-fno-rtti") : flags;
  execFileSync("clang", [target, ...noRtti, "-Wno-everything", "-c", text, "-o", object]);
  execFileSync("lld-link", [
    ...["/nodefaultlib", "/subsystem:native", "/driver", "/entry:start", `/base:0x${IMAGE_BASE[bits].toString(16)}`],
    ...["/dynamicbase", "/debug", `/pdb:${pdb}`, `/pdbaltpath:${name}.pdb`, `/out:${exe}`, ...link, object],
  ]);
  return { exe, pdb };
}
