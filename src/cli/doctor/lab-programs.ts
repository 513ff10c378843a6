import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { VolatilityError } from "../../guest/errors";
import { findVolatilityCommand } from "../../guest/volatility/volatility-program";
import { getProgramPath } from "../../lab/network/network-host";
import type { CheckResult } from "./checks";

/** Something that a lab can do by programs of the system. */
interface LabNeed {
  readonly name: string;
  /** The use that a lab makes of it. */
  readonly purpose: string;
  /** Each program, or some that serve as well as one another, with its package in Debian and Ubuntu. */
  readonly programs: readonly (readonly [names: readonly string[], packageName: string])[];
}

const NEEDS: readonly LabNeed[] = [
  {
    name: "capture",
    purpose: "the network traffic of machines that are not rebox's own is recorded",
    programs: [[["tcpdump"], "tcpdump"]],
  },
  {
    name: "networks",
    purpose: "an analysis has a simulated network",
    programs: [
      [["unshare"], "util-linux"],
      [["mount"], "mount"],
      [["ip"], "iproute2"],
      [["nft"], "nftables"],
      [["dnsmasq"], "dnsmasq-base"],
      [["inetsim"], "inetsim"],
      [["openssl"], "openssl"],
    ],
  },
  {
    name: "QEMU",
    purpose: "machines of an ordinary QEMU, disks of all kinds",
    programs: [
      [["qemu-system-x86_64"], "qemu-system-x86"],
      [["qemu-img"], "qemu-utils"],
    ],
  },
  {
    name: "libvirt",
    purpose: "machines of libvirt",
    programs: [
      [["virsh"], "libvirt-clients"],
      [["libvirtd", "virtqemud"], "libvirt-daemon libvirt-daemon-driver-qemu"],
    ],
  },
  {
    name: "snapshots",
    purpose: "snapshots of memory that are packed",
    programs: [
      [["lz4"], "lz4"],
      [["gzip"], "gzip"],
    ],
  },
  { name: "YARA", purpose: "rules over files and memory", programs: [[["yara"], "yara"]] },
  { name: "file types", purpose: "the types of samples and artefacts", programs: [[["file"], "file"]] },
  {
    name: "archives",
    purpose: "targets in archives, and analyses as one file",
    programs: [[["7zz", "7z", "7za"], "7zip"]],
  },
  {
    name: "symbols",
    purpose: "symbol files of Windows that a server has packed",
    programs: [[["cabextract"], "cabextract"]],
  },
  { name: "profiles", purpose: "kernels that do not describe themselves", programs: [[["pahole"], "dwarves"]] },
  {
    name: "browser",
    purpose: "reports are looked at and printed on this machine",
    programs: [[["chromium", "chromium-headless-shell", "google-chrome", "firefox"], "chromium"]],
  },
];

/** The name of the check of Volatility 3. */
export const VOLATILITY = "Volatility";
/** The packages that a virtual environment of Python needs. */
const PYTHON_PACKAGES = ["python3", "python3-venv"];

/** A check of what the lab needs, with the Debian packages that are missing. */
export interface LabCheck extends CheckResult {
  readonly missing: readonly string[];
}

/**
 * Looks for the programs that a lab uses. None is needed by all labs, so one that is missing is a warning.
 *
 * @param path the folders to look in, separated by colons; PATH with the folders of administrators by default
 */
export function checkLab(path: string = getProgramPath()): LabCheck[] {
  const folders = path.split(delimiter);
  const isThere = (name: string) => folders.some((folder) => isProgram(join(folder, name)));
  const checks = NEEDS.map(({ name, purpose, programs }): LabCheck => {
    const absent = programs.filter(([names]) => !names.some(isThere));
    const missing = absent.flatMap(([, packageName]) => packageName.split(" "));
    if (absent.length === 0) return { name, status: "ok", detail: purpose, missing };
    const detail = `${absent.map(([[first]]) => first).join(", ")} missing: ${purpose}`;
    return { name, status: "warn", detail, advice: `install ${missing.join(" ")}`, missing };
  });
  return [...checks, checkVolatility(isThere("python3"))];
}

function checkVolatility(hasPython: boolean): LabCheck {
  const purpose = "its plugins on guests and images, by rebox vol and vol in the shell";
  try {
    const command = findVolatilityCommand().join(" ");
    return { name: VOLATILITY, status: "ok", detail: `${purpose}: ${command}`, missing: [] };
  } catch (error) {
    if (!(error instanceof VolatilityError)) throw error;
  }
  const hasVenv = hasPython && spawnSync("python3", ["-c", "import venv, ensurepip"]).status === 0;
  const [missing, what] = hasVenv ? [[], "it is not installed"] : [PYTHON_PACKAGES, "Python 3 with venv is missing"];
  const advice = hasVenv ? "install it: rebox vol install" : `install ${missing.join(" ")}, then: rebox vol install`;
  return { name: VOLATILITY, status: "warn", detail: `${what}: ${purpose}`, advice, missing };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
