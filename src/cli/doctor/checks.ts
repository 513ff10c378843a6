import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statfsSync } from "node:fs";
import { join, relative, dirname } from "node:path";
import { getBuiltFolder, getCacheFolder } from "../../config/folders";
import { findHostProblems, findNamespaceProblem } from "../../lab/network/network-host";
import { findBuiltQemu, getQemuFolder, getBuildSuffix, getOldestNode, isNewEnough } from "../versions";

/** The result of one check of `rebox doctor`. */
export interface CheckResult {
  readonly name: string;
  readonly status: "ok" | "warn" | "fail";
  /** The state that the check has found. */
  readonly detail: string;
  /** The next step for the user; only when the status is not ok. */
  readonly advice?: string;
}

/**
 * Checks that Node is new enough and the platform is supported.
 *
 * @param version Node's version, such as "v20.1.0"
 * @param platform such as "linux-x64"
 */
export function checkNode(
  version: string = process.version,
  platform: string = `${process.platform}-${process.arch}`,
): CheckResult {
  const name = "Node";
  const detail = `${version} on ${platform}`;
  if (!isNewEnough(version)) {
    return { name, status: "fail", detail, advice: `install Node ${getOldestNode()} or newer` };
  }
  if (platform !== "linux-x64") {
    return { name, status: "fail", detail, advice: "use a 64-bit x86 Linux; nothing else is supported" };
  }
  return { name, status: "ok", detail };
}

const QEMU_LIBRARY = "libqemu-system-x86_64.so";

/**
 * Checks that the QEMU library is built, and that what is known about it can be read.
 *
 * @param projectFolder rebox's own folder
 */
export function checkQemu(projectFolder: string): CheckResult {
  const name = "QEMU";
  const folder = getQemuFolder(projectFolder);
  const shown = relative(projectFolder, folder);
  const advice = "build it: npm run setup (7 to 8 minutes on two cores, the first time)";
  if (!existsSync(join(folder, QEMU_LIBRARY))) {
    return { name, status: "fail", detail: `${shown}/${QEMU_LIBRARY} is missing`, advice };
  }
  const qemu = findBuiltQemu(projectFolder);
  if (qemu === undefined) {
    return { name, status: "fail", detail: `${shown}/info.json is missing or damaged`, advice };
  }
  return { name, status: "ok", detail: `${qemu.version} as a library in ${shown}` };
}

/**
 * Checks that the QEMU library was built with the patches that are in qemu-patches now, in the same order.
 *
 * @param projectFolder rebox's own folder
 */
export function checkPatches(projectFolder: string): CheckResult {
  const name = "patches";
  const folder = join(projectFolder, "qemu-patches");
  const series = join(folder, "series");
  if (!existsSync(series)) {
    return {
      name,
      status: "fail",
      detail: "qemu-patches/series is missing",
      advice: "restore it: git checkout qemu-patches",
    };
  }
  const names = readFileSync(series, "utf8")
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line !== "");
  const absent = names.find((patch) => !existsSync(join(folder, patch)));
  if (absent !== undefined) {
    const advice = "restore it: git checkout qemu-patches; or drop its line from the series";
    return { name, status: "fail", detail: `qemu-patches/series names ${absent}, which is missing`, advice };
  }
  const built = findBuiltQemu(projectFolder)?.patches;
  if (built === undefined) {
    return {
      name,
      status: "warn",
      detail: "there is no built QEMU to compare with",
      advice: "build it: npm run setup",
    };
  }
  const differing = findDifference(
    built.map((patch) => `${patch.name} ${patch.sha256}`),
    names.map(
      (patch) =>
        `${patch} ${createHash("sha256")
          .update(readFileSync(join(folder, patch)))
          .digest("hex")}`,
    ),
  );
  if (differing === undefined) return { name, status: "ok", detail: `${names.length}, as built` };
  const detail = `QEMU was built with other patches (${differing.split(" ")[0]} differs)`;
  return { name, status: "fail", detail, advice: "build QEMU again: npm run setup" };
}

/** Returns the first element that the lists do not share. */
function findDifference(built: readonly string[], wanted: readonly string[]): string | undefined {
  const at = wanted.findIndex((item, index) => item !== built[index]);
  return at === -1 ? built[wanted.length] : wanted[at];
}

const LOAD_LIMIT_MS = 30_000;

/**
 * Checks that the addon is there and loads. It is loaded in a process of its own, so that even a crash is a result.
 *
 * @param projectFolder rebox's own folder
 */
export function checkAddon(projectFolder: string): CheckResult {
  const name = "addon";
  const file = join(getBuiltFolder("addon", projectFolder, getBuildSuffix()), "Release", "rebox.node");
  const shown = relative(projectFolder, file);
  if (!existsSync(file)) {
    return { name, status: "fail", detail: `${shown} is missing`, advice: "build it: npm run setup" };
  }
  const load = `require(${JSON.stringify(file)}); process.exit(0);`;
  const child = spawnSync(process.execPath, ["-e", load], { encoding: "utf8", timeout: LOAD_LIMIT_MS });
  if (child.status === 0) return { name, status: "ok", detail: `${shown} loads` };
  const reason =
    child.stderr.split("\n").find((line) => /error/i.test(line)) ??
    (child.signal === null ? `exit status ${child.status}` : `signal ${child.signal}`);
  const advice =
    "build it again: npm run setup; if that does not help, the message names the missing library or symbol";
  return { name, status: "fail", detail: `${shown} does not load: ${reason.trim()}`, advice };
}

const FIRMWARE_FOLDERS = ["/usr/share/qemu", "/usr/share/seabios", "/usr/lib/ipxe/qemu"];

/** The files that a PC needs to boot from disk, from a kernel file, and with the usual network card; each with its package. */
const FIRMWARE_FILES: ReadonlyMap<string, string> = new Map([
  ["bios-256k.bin", "seabios"],
  ["vgabios-stdvga.bin", "seabios"],
  ["linuxboot_dma.bin", "qemu-system-data"],
  ["kvmvapic.bin", "qemu-system-data"],
  ["efi-e1000.rom", "ipxe-qemu"],
]);

/** That of rebox's package, where there is one, before those of the system. */
function getFirmwareFolders(): string[] {
  const own = getBuiltFolder("firmware");
  return [...(existsSync(own) ? [own] : []), ...FIRMWARE_FOLDERS];
}

/**
 * Checks that QEMU finds its firmware.
 *
 * @param folders the folders in which QEMU looks
 */
export function checkFirmware(folders: readonly string[] = getFirmwareFolders()): CheckResult {
  const name = "firmware";
  const missing = [...FIRMWARE_FILES].filter(([file]) => !folders.some((folder) => existsSync(join(folder, file))));
  if (missing.length === 0)
    return { name, status: "ok", detail: `${FIRMWARE_FILES.size} files in ${folders.join(", ")}` };
  const packages = [...new Set(missing.map(([, packageName]) => packageName))].join(" ");
  const detail = `missing in ${folders.join(", ")}: ${missing.map(([file]) => file).join(", ")}`;
  return { name, status: "fail", detail, advice: `apt-get install ${packages}, or npm run setup` };
}

const GUEST_FILES = ["vmlinuz", "initramfs.cpio.gz"];

/**
 * Checks that the guest kit of the demo and the tests is there. A missing one is a warning: own guests need none of it.
 *
 * @param projectFolder rebox's own folder
 */
export function checkGuest(projectFolder: string): CheckResult {
  const name = "guest kit";
  const folder = getBuiltFolder("guest", projectFolder);
  const missing = GUEST_FILES.filter((file) => !existsSync(join(folder, file)));
  if (missing.length === 0)
    return { name, status: "ok", detail: `${relative(projectFolder, folder)}: ${GUEST_FILES.join(", ")}` };
  const detail = `missing in ${relative(projectFolder, folder)}: ${missing.join(", ")}`;
  return { name, status: "warn", detail, advice: "for demo and tests: npm run guest" };
}

/** Checks that this host can make simulated networks for machines of a lab. A missing part is a warning: others need none. */
export function checkNetworks(): CheckResult {
  const name = "networks";
  const problems = findHostProblems();
  // Without its programs none can be made, whatever the host allows.
  const namespaces = problems.length > 0 ? undefined : findNamespaceProblem();
  const all = namespaces === undefined ? problems : [namespaces];
  if (all.length === 0) return { name, status: "ok", detail: "simulated networks can be made for analyses" };
  const detail = `no simulated networks: ${all.map(({ problem }) => problem).join("; ")}`;
  return { name, status: "warn", detail, advice: all.map(({ advice }) => advice).join("; ") };
}

const GIB = 1024 ** 3;
const NEEDED_GIB = 6;

/**
 * Checks that a build of QEMU fits on the disk. Too little space is a warning: a finished build needs no more.
 *
 * @param folder the folder of builds; it need not exist yet
 */
export function checkDisk(folder: string = getCacheFolder()): CheckResult {
  const name = "disk space";
  let existing = folder;
  while (!existsSync(existing)) existing = dirname(existing);
  const { bavail, bsize } = statfsSync(existing);
  const freeGib = (bavail * bsize) / GIB;
  const detail = `${freeGib.toFixed(1)} GiB free for ${folder}`;
  if (freeGib >= NEEDED_GIB) return { name, status: "ok", detail };
  const advice = `a build of QEMU needs ${NEEDED_GIB} GiB: free some, or set XDG_CACHE_HOME to a folder on a larger disk`;
  return { name, status: "warn", detail, advice };
}
