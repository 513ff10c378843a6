import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { debianMirror } from "../debian-mirror.mjs";
import { Fingerprint } from "../fingerprint.mjs";
import { places } from "../places.mjs";
import { ResultStore } from "../result-store.mjs";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

// A small server as people run it, with what the lab's ways in need.
const PACKAGES = [
  ...["linux-image-amd64", "systemd-sysv", "udev", "dbus", "kmod", "ifupdown", "iproute2", "isc-dhcp-client"],
  ...["cron", "openssh-server", "nginx-light", "python3", "qemu-guest-agent", "procps", "ca-certificates"],
];

// Programs that speak TLS, each by another library: GnuTLS, NSS, and Go's own, in a program without its symbols.
const TLS_PROGRAMS = { trixie: ["gnutls-bin", "libnss3-tools", "hey"] };

// Root logs in on the serial console by itself.
const AUTOLOGIN = "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --noclear %I 115200 vt102\n";

/** Raised when the disk is to be made anew although its packages and recipe are the same. */
const RECIPE = 1;

/**
 * Makes the step that installs a Debian system on a disk: `system/RELEASE/{disk.qcow2,vmlinuz,initrd.img}` in the build folder.
 * Its root file system is the whole disk, so that a kernel is booted from outside.
 * @param {string} release Debian's name of it: trixie
 */
export function systemStep(release) {
  const packages = [...PACKAGES, ...(TLS_PROGRAMS[release] ?? [])];
  const store = new ResultStore(`system-${release}`, `system/${release}`);
  const hash = new Fingerprint()
    .text("packages", packages.join(" "))
    .text("recipe", `${RECIPE}${AUTOLOGIN}`)
    .text("release", release)
    .digest.slice(0, 16);
  return {
    name: `system-${release}`,
    sharesCache: true,
    isDone: () => store.isLinked(hash),
    act: async (task) => {
      const wasThere = store.has(hash);
      if (!wasThere) await build(task, release, packages, store, hash);
      store.use(hash);
      return wasThere ? "taken from the cache" : `installed Debian ${release}`;
    },
  };
}

async function build(task, release, packages, store, hash) {
  const work = join(places.cachedWork, `system-${release}-${process.pid}`);
  const root = join(work, "root");
  mkdirSync(work, { recursive: true });
  try {
    task.say(`installing Debian ${release} with ${packages.length} packages`);
    // Packages that name no release of their own come from the mirror that this machine uses.
    const source = `deb [signed-by=${KEYRING}] ${debianMirror()} ${release} main`;
    const setUp = join(work, "set-up");
    writeFileSync(setUp, setUpScript(), { mode: 0o755 });
    await task.run("mmdebstrap", [
      ...["--variant=important", `--include=${packages.join(",")}`, "--skip=check/qemu"],
      ...["--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*"],
      ...[`--customize-hook=${setUp} "$1"`, release, root, source],
    ]);
    const boot = join(root, "boot");
    for (const name of ["vmlinuz", "initrd.img"]) {
      const found = readdirSync(boot).filter((each) => each.startsWith(`${name}-`));
      copyFileSync(join(boot, found.sort().at(-1)), join(work, name));
    }
    const raw = join(work, "disk.raw");
    await task.run("mke2fs", ["-q", "-F", "-t", "ext4", "-L", "root", "-d", root, raw, "4G"], { env: sbinPath() });
    const qemuImg = join(places.build, "qemu/qemu-img");
    const program = existsSync(qemuImg) ? qemuImg : "qemu-img";
    await task.run(program, ["convert", "-f", "raw", "-O", "qcow2", raw, join(work, "disk.qcow2")]);
    const files = ["disk.qcow2", "vmlinuz", "initrd.img"].map((name) => join(work, name));
    mkdirSync(dirname(store.link), { recursive: true });
    store.add(hash, files, { release, packages });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function setUpScript() {
  return `#!/bin/sh
set -eu
root=$1
echo debian > "$root/etc/hostname"
printf '127.0.0.1 localhost debian\\n::1 localhost\\n' > "$root/etc/hosts"
echo '/dev/vda / ext4 defaults 0 1' > "$root/etc/fstab"
printf 'auto lo\\niface lo inet loopback\\nallow-hotplug eth0\\niface eth0 inet dhcp\\n' > "$root/etc/network/interfaces"
mkdir -p "$root/etc/systemd/system/serial-getty@ttyS0.service.d"
cat > "$root/etc/systemd/system/serial-getty@ttyS0.service.d/autologin.conf" <<'END'
${AUTOLOGIN}END
chroot "$root" systemctl enable serial-getty@ttyS0.service >/dev/null
chroot "$root" passwd --delete root >/dev/null
chroot "$root" apt-get clean
rm -rf "$root/var/lib/apt/lists/"*
`;
}

/** mke2fs lies where the paths of ordinary users do not lead. */
function sbinPath() {
  return { PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
}
