import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { DebianArchive } from "../debian-archive.mjs";
import { debianMirror } from "../debian-mirror.mjs";
import { DebianPackage } from "../debian-package.mjs";
import { places } from "../places.mjs";
import { qemuUpstream } from "../qemu-upstream.mjs";

// From QEMU's own release, because firmware and devices must fit: Debian 12's SeaBIOS 1.16.2 waits 32 seconds for
// each disk on an AHCI port of QEMU 8.2 and later, which reports a failed command differently.
const FOLDERS = {
  seabios: "usr/share/seabios",
  "ipxe-qemu": "usr/share/qemu",
  // Option ROMs and keymaps.
  "qemu-system-data": "usr/share/qemu",
};

/** Makes the step that fetches the firmware which QEMU's configuration names first in its search path. */
export function firmwareStep() {
  const stamp = join(places.cachedFirmware, "packages.json");
  const wanted = JSON.stringify(FOLDERS);
  return {
    name: "firmware",
    sharesCache: true,
    isDone: () => existsSync(stamp) && JSON.parse(readFileSync(stamp, "utf8")).wanted === wanted,
    act: async (task) => {
      const temporary = `${places.cachedFirmware}.${process.pid}`;
      rmSync(temporary, { recursive: true, force: true });
      mkdirSync(join(temporary, "keymaps"), { recursive: true });
      const versions = hasMirror(task) ? await fillFrom(task, temporary) : {};
      writeFileSync(join(temporary, "packages.json"), JSON.stringify({ wanted, versions }, null, 2));
      rmSync(places.cachedFirmware, { recursive: true, force: true });
      renameSync(temporary, places.cachedFirmware);
      return `fetched ${
        Object.entries(versions)
          .map((pair) => pair.join(" "))
          .join(", ") || "nothing"
      }`;
    },
  };
}

/** Tells whether firmware can be fetched; where QEMU's source was given by hand, there may be no mirror. */
function hasMirror(task) {
  try {
    return Boolean(debianMirror());
  } catch (error) {
    if (!process.env.REBOX_QEMU_SOURCE) throw error;
    task.say("no Debian mirror: QEMU will use this machine's SeaBIOS (1.16.3 or later), iPXE and keymaps");
    return false;
  }
}

async function fillFrom(task, directory) {
  const archive = new DebianArchive(task, qemuUpstream().suite);
  const versions = {};
  for (const [name, folder] of Object.entries(FOLDERS)) {
    const path = await archive.fetchPackage(name, directory, { release: archive.suite });
    const found = new DebianPackage(task, path);
    for (const file of await found.files(`${folder}/*`)) {
      const isKeymap = file.path.includes("/keymaps/");
      writeFileSync(join(directory, isKeymap ? "keymaps" : "", basename(file.path)), file.content);
    }
    versions[name] = await found.field("Version");
    rmSync(path);
  }
  return versions;
}
