import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { PROJECT } from "../project";
import { declareLayout, NT_SOURCES, type NtLayout, readLayout } from "./nt-layout";

/** The test kernel, built: a folder with its images and their PDB files. */
export interface NtKernel {
  readonly folder: string;
  readonly layout: NtLayout;
}

const KERNEL_SOURCES = [
  "ntos.c",
  "processes.c",
  "images.c",
  "objects.c",
  "truth.c",
  "memory.c",
  "registry.c",
  "services.c",
  "callbacks.c",
  "entry.S",
];
const SOURCES = join(NT_SOURCES, "kernel");
const TARGET = ["--target=x86_64-pc-windows-msvc", "-ffreestanding", "-mno-red-zone", "-mgeneral-regs-only"];
const NARROW = ["--target=i686-pc-windows-msvc", "-ffreestanding", "-mgeneral-regs-only"];
const COMPILE = [
  "-O1",
  "-fno-stack-protector",
  "-mno-stack-arg-probe",
  "-fno-builtin",
  // As Windows has them: the stack of every function can be undone.
  "-fasynchronous-unwind-tables",
  "-g",
  "-gcodeview",
  "-Wall",
  "-Wno-microsoft-anon-tag",
];

/** The images beside the kernel: their sources, and where they are linked for. */
const IMAGES: readonly {
  readonly name: string;
  /** The name of its PDB file, where it is another than its own. */
  readonly pdb?: string;
  readonly source: string;
  readonly base: bigint;
  /** 64 unless it says so. */
  readonly bits?: 32;
  readonly link: readonly string[];
}[] = [
  { name: "ntdll.dll", source: "ntdll.c", base: 0x7ffb10000000n, link: ["/dll", "/entry:DllMain"] },
  { name: "program.exe", source: "program.c", base: 0x7ff700000000n, link: ["/entry:start", "/subsystem:console"] },
  // A process of this name runs it.
  { name: "actor.exe", source: "actor.c", base: 0x7ff700000000n, link: ["/entry:start", "/subsystem:console"] },
  { name: "library.dll", source: "library.c", base: 0x7ffa20000000n, link: ["/dll", "/entry:start"] },
  // The programs of 32 bits are not run: their process runs what stands for the layer below them.
  { name: "wow64.dll", source: "program.c", base: 0x7ff900000000n, link: ["/dll", "/entry:start"] },
  {
    name: "program32.exe",
    source: "program.c",
    base: 0x400000n,
    bits: 32,
    link: ["/entry:start", "/subsystem:console"],
  },
  {
    name: "ntdll32.dll",
    pdb: "wntdll",
    source: "library.c",
    base: 0x77000000n,
    bits: 32,
    link: ["/dll", "/entry:start"],
  },
  { name: "disk.sys", source: "library.c", base: 0xfffff80010000000n, link: ["/driver", "/entry:start"] },
];

/**
 * Builds the test kernel with the layout of a build of Windows, once for each state of its sources.
 *
 * @param layout the name of a file of test/kit/nt/layouts
 */
export function buildNtKernel(layout = "windows-10-19041"): NtKernel {
  const laid = readLayout(layout);
  const folder = join(PROJECT, "build/guest/nt", `${layout}-${fingerprint(layout)}`);
  if (!existsSync(folder)) {
    mkdirSync(dirname(folder), { recursive: true });
    const made = mkdtempSync(`${folder}.`);
    try {
      build(made, laid);
      renameSync(made, folder);
    } catch (error) {
      rmSync(made, { recursive: true, force: true });
      // Another test has built it in the meantime.
      if (!existsSync(folder)) throw error;
    }
  }
  return { folder, layout: laid };
}

function fingerprint(layout: string): string {
  const hash = createHash("sha256").update(layout);
  for (const folder of ["kernel", "layouts", "."]) {
    const place = join(NT_SOURCES, folder);
    for (const entry of readdirSync(place, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.isFile()) hash.update(entry.name).update(readFileSync(join(place, entry.name)));
    }
  }
  return hash.digest("hex").slice(0, 16);
}

function build(folder: string, layout: NtLayout): void {
  // A compiler that is no sanitizer build must not be given the sanitizer that these tests may run with.
  const run = (program: string, ...words: readonly string[]): void =>
    void execFileSync(program, words, {
      cwd: folder,
      env: { ...process.env, LD_PRELOAD: "" },
      stdio: ["ignore", "ignore", "pipe"],
    });
  const constants = [
    `#define NT_BUILD ${layout.build}`,
    `#define NT_MAJOR ${layout.major}`,
    `#define NT_MINOR ${layout.minor}`,
    `#define NT_BUILD_LAB "${layout.build}.1.amd64fre.rebox_test.000000-0000"`,
  ];
  // Older kernels keep their drivers in the structs of libraries, and do not tell programs their build.
  if (!layout.types["_KLDR_DATA_TABLE_ENTRY"]) constants.push("#define _KLDR_DATA_TABLE_ENTRY _LDR_DATA_TABLE_ENTRY");
  // Since 10 1803 hives lie in the memory of a process of their own.
  if (layout.build >= 17134) constants.push("#define NT_HAS_REGISTRY_PROCESS");
  if (layout.types["_KUSER_SHARED_DATA"]?.members["NtBuildNumber"]) constants.push("#define NT_SHARES_BUILD");
  writeFileSync(join(folder, "nt-types.h"), `${declareLayout(layout)}${constants.join("\n")}\n`);
  const objects = KERNEL_SOURCES.map((source) => {
    const object = `${source}.obj`;
    run("clang", ...TARGET, ...COMPILE, "-I", folder, "-c", join(SOURCES, source), "-o", object);
    return object;
  });
  link(run, "ntkrnlmp", "ntoskrnl.exe", 0xfffff80000200000n, ["/driver", "/entry:KiSystemStartup"], objects);
  for (const { name, pdb, source, base, bits, link: more } of IMAGES) {
    const object = `${name}.obj`;
    run("clang", ...(bits === 32 ? NARROW : TARGET), ...COMPILE, "-c", join(SOURCES, source), "-o", object);
    const narrow = bits === 32 ? ["/safeseh:no"] : [];
    link(run, pdb ?? name.replace(/\..*/, ""), name, base, [...narrow, ...more], [object]);
  }
  const loader = [
    "--target=i386-unknown-elf",
    "-m32",
    "-ffreestanding",
    "-mgeneral-regs-only",
    "-fno-stack-protector",
    "-O1",
    "-fno-pic",
  ];
  for (const source of ["boot.S", "loader.c"])
    run("clang", ...loader, "-c", join(SOURCES, source), "-o", `${source}.o`);
  const script =
    "SECTIONS { . = 0x100000; .text : { *(.multiboot) *(.text*) } .rodata : { *(.rodata*) } .data : { *(.data*) } .bss : { *(.bss*) *(COMMON) } }";
  writeFileSync(join(folder, "loader.ld"), script);
  run("ld.lld", "-m", "elf_i386", "-T", "loader.ld", "-e", "_start", "-o", "loader.elf", "boot.S.o", "loader.c.o");
}

function link(
  run: (program: string, ...words: readonly string[]) => void,
  pdb: string,
  name: string,
  base: bigint,
  more: readonly string[],
  objects: readonly string[],
): void {
  run(
    ...([
      "lld-link",
      "/nodefaultlib",
      `/base:0x${base.toString(16)}`,
      "/dynamicbase",
      "/debug",
      "/subsystem:native",
    ] as const),
    ...[`/pdb:${pdb}.pdb`, `/pdbaltpath:${pdb}.pdb`, `/out:${name}`, ...more, ...objects],
  );
}

/** What is given to a test kernel at its start. */
export interface NtOptions {
  /** Lines of acts, as test/kit/nt/README.md lists them. */
  readonly script: readonly string[];
  /** The build of Windows whose layout it has: the name of a file of test/kit/nt/layouts. */
  readonly layout?: string;
  /** Where the loader puts the kernel: page-aligned. */
  readonly base?: bigint;
}

/** Makes QEMU's arguments that boot the test kernel. @param place a folder for the script's file */
export function ntArgs(kernel: NtKernel, place: string, serial: string, options: NtOptions): string[] {
  const { loader, modules, append } = ntBootFiles(kernel, place, options);
  return [
    ...["-m", "64", "-display", "none", "-nic", "none", "-no-reboot", "-monitor", "none", "-serial", `file:${serial}`],
    ...["-kernel", loader, "-initrd", modules, "-append", append],
  ];
}

/** What QEMU boots the test kernel from: the loader, its modules as one argument, and its command line. */
export function ntBootFiles({ folder }: NtKernel, place: string, { script, base }: NtOptions) {
  const path = join(place, "script");
  writeFileSync(path, script.map((line) => `${line}\n`).join(""));
  const files = ["ntoskrnl.exe", ...IMAGES.map(({ name }) => name)].map((name) => join(folder, name));
  const append = `base=0x${(base ?? 0xfffff80000200000n).toString(16)}`;
  return { loader: join(folder, "loader.elf"), modules: [...files, path].join(","), append };
}

/** A line of the kernel's words: an event, numbers and texts. */
export interface NtTruth {
  readonly event: string;
  readonly seq: bigint;
  readonly [key: string]: string | bigint;
}

/** Reads the kernel's words; a last line that is not whole is left out. */
export function readNtTruth(serial: string): NtTruth[] {
  return serial
    .split("\n")
    .slice(0, -1)
    .filter((line) => line.startsWith("{"))
    .map((line) => {
      const words = Object.entries(JSON.parse(line) as Record<string, string>);
      return Object.fromEntries(
        words.map(([key, text]) => [key, /^0x[0-9a-f]+$/.test(text) ? BigInt(text) : text]),
      ) as unknown as NtTruth;
    });
}
