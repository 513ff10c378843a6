import { spawnSync } from "node:child_process";
import { Fingerprint } from "../fingerprint.mjs";
import { SetupError } from "../setup-error.mjs";

// What building QEMU, the addon and the guest kit needs, by its Debian and Ubuntu name.
const PACKAGES = [
  ...["build-essential", "patch", "xz-utils", "ca-certificates"],
  ...["cmake", "ninja-build", "pkgconf", "ccache"],
  ...["python3", "python3-venv", "flex", "bison"],
  ...["libglib2.0-dev", "libpixman-1-dev", "zlib1g-dev", "libfdt-dev"],
  ...["libslirp-dev", "libzstd-dev", "libpng-dev", "libjpeg-dev", "libcapstone-dev", "libgnutls28-dev"],
  ...["libaio-dev", "libattr1-dev", "libcap-ng-dev"],
  // What reads ext4 file systems of guests.
  "libext2fs-dev",
  // pahole, for `rebox profile`.
  "dwarves",
  // What the lab records networks with, and its tests make them with.
  ...["tcpdump", "iproute2"],
];

// What tests of the lab's machineries drive: an ordinary QEMU, libvirt with its daemon, and packers of snapshots.
const LAB_PACKAGES = [
  // It installs the real system that analyses run on.
  "mmdebstrap",
  ...["qemu-system-x86", "qemu-utils", "lz4", "gzip"],
  ...["libvirt-clients", "libvirt-daemon", "libvirt-daemon-driver-qemu"],
  // The agent that answers in guests: here it is driven without one.
  "qemu-guest-agent",
  // The servers of simulated networks, their addresses and their redirections.
  ...["inetsim", "dnsmasq-base", "nftables", "openssl"],
  // The types of files that a sample leaves, and rules over them.
  ...["file", "yara"],
  // Archives of hostile files.
  ...["7zip", "unzip"],
];

// The database of a cluster's queue, and that of a Karton system.
const DATABASE_PACKAGES = ["postgresql", "redis-server"];

// What tests open reports in: the smallest of Debian's browsers without a screen that are driven by a pipe.
const BROWSER_PACKAGES = ["chromium-headless-shell"];

/**
 * The further packages for tests: a terminal to drive programs in, shells that complete, disks to look into, and a compiler, linker and packer
 * for Windows.
 */
export const TEST_PACKAGES = [
  ...["tmux", "zsh", "fish", "man-db", "groff-base"],
  ...["e2fsprogs", "iputils-ping", "tshark"],
  ...["clang", "lld", "llvm", "cabextract", "gcab"],
];

/** The tool for rebox's packages and a sanitized Node: it has programs look for their libraries elsewhere. */
export const PACKAGING_PACKAGES = ["patchelf"];

/**
 * Makes the step that installs the Debian packages that are missing.
 * @param {string[]} more packages beside those that everybody needs
 */
export function aptStep(more = []) {
  return packageStep("apt", [...PACKAGES, ...more]);
}

/** Makes the step that installs what the tests of the lab need. */
export function labStep() {
  return packageStep("lab", LAB_PACKAGES);
}

/** Makes the step that installs the browser that tests open reports in. */
export function browserStep() {
  return packageStep("browser", BROWSER_PACKAGES);
}

/** Makes the step that installs the databases that tests of clusters and of the Karton service have servers of. */
export function databaseStep() {
  return packageStep("database", DATABASE_PACKAGES);
}

function packageStep(name, packages) {
  const foreign = new Fingerprint().text("packages", packages.join(" "));
  const stamp = `${name}-not-debian`;
  return {
    name,
    sharesCache: true,
    isDone: () => missingPackages(packages)?.length === 0 || foreign.matches(stamp),
    act: async (task) => {
      const missing = missingPackages(packages);
      if (missing === undefined) {
        foreign.save(stamp);
        return `not a Debian-like system: install the equivalents of these yourself: ${packages.join(" ")}`;
      }
      task.say(`installing ${missing.join(" ")}`);
      await aptGet(task, missing, "update");
      await aptGet(task, missing, "install", "--yes", "--no-install-recommends", ...missing);
      return `installed ${missing.length} package(s)`;
    },
  };
}

/** Lists the packages that are not installed; undefined where there is no dpkg. */
function missingPackages(packages) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders are dpkg-query's.
  const { error, stdout } = spawnSync("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n", ...packages], {
    encoding: "utf8",
  });
  if (error) return undefined;
  const installed = new Set(stdout.split("\n").filter((line) => line.endsWith(" installed")));
  return packages.filter((name) => !installed.has(`${name} installed`));
}

async function aptGet(task, missing, ...args) {
  const isRoot = process.getuid() === 0;
  const command = ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=600", ...args];
  try {
    if (isRoot) await task.run(command[0], command.slice(1), { env: { DEBIAN_FRONTEND: "noninteractive" } });
    else await task.run("sudo", ["DEBIAN_FRONTEND=noninteractive", ...command]);
  } catch (error) {
    const advice = `as root, run "apt-get install --no-install-recommends ${missing.join(" ")}", then set up again`;
    throw new SetupError(`${error.message}\n${advice}`, { logHelps: true });
  }
}
