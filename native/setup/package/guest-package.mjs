import { readFileSync } from "node:fs";
import { join } from "node:path";
import { places } from "../places.mjs";
import { StagedPackage } from "./staged-package.mjs";

/** Makes the tarball of the guest kit: the kernel and programs of the demo, the guides and the tests. */
export function packGuest() {
  const staged = new StagedPackage("rebox-guest-linux-x64");
  const guest = join(places.build, "guest");
  for (const file of ["vmlinuz", "initramfs.cpio.gz", "guest.json"]) staged.copy(join(guest, file), `guest/${file}`);
  const { kernel, version, busybox } = JSON.parse(readFileSync(join(guest, "guest.json"), "utf8"));
  staged.addComponent({ name: kernel, version, licence: "GPL-2.0-only", source: "Debian source package linux" });
  staged.addComponent({
    name: "busybox-static",
    version: busybox,
    licence: "GPL-2.0-only",
    source: "Debian source package busybox",
  });
  staged.write(
    "README.md",
    `The guest kit of rebox: ${kernel} ${version} and BusyBox ${busybox} of Debian, unchanged, with the programs of rebox's native/guest.\n`,
  );
  return staged.pack({ description: "The guest kit of rebox: a small Linux for its demo, guides and tests" });
}
