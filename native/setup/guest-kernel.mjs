import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, resolve } from "node:path";
import { DebianPackage } from "./debian-package.mjs";
import { SetupError } from "./setup-error.mjs";

/** The metapackage of Debian's kernel for virtual machines. */
export const DEFAULT_KERNEL = "linux-image-cloud-amd64";

// What virtio-net-pci needs, in the order in which the guest must load it.
const NETWORK_MODULES = [
  ...["virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"],
  ...["failover", "net_failover", "virtio_net"],
];

/**
 * Loads a guest kernel.
 * @param {import("./task.mjs").Task} task
 * @param {string} name a Debian package, or the path of a .deb or of a vmlinuz
 * @returns {Promise<{kernel: string, version: string, release: string, image: Buffer, systemMap?: Buffer,
 *   modules: {name: string, content: Buffer}[]}>}
 */
export async function guestKernel(task, name) {
  if (!isPath(name)) return fromPackage(await DebianPackage.named(task, name));
  if (!existsSync(name))
    throw new SetupError(`there is no kernel ${resolve(name)}; name a vmlinuz, a .deb or a package`);
  if (name.endsWith(".deb")) return fromPackage(new DebianPackage(task, resolve(name)));
  const image = readFileSync(name);
  const release = releaseOf(image, name);
  return { kernel: resolve(name), version: release, release, image, modules: [] };
}

/** Names the directory for a kernel's guest kit. */
export function kernelDirectory(name) {
  // The prefix keeps a file called vmlinuz apart from the default kit's.
  return isPath(name) ? `file-${basename(name, ".deb")}` : name;
}

/** Describes which kernel a name stands for now: a file may be replaced under its name. */
export function kernelIdentity(name) {
  const file = isPath(name) ? statSync(name, { throwIfNoEntry: false }) : undefined;
  return file ? `${resolve(name)} ${file.size} ${file.mtimeMs}` : name;
}

function isPath(name) {
  return name.includes("/") || name.endsWith(".deb");
}

async function fromPackage(found) {
  const files = await found.files("boot");
  const file = (prefix) => files.find(({ path }) => path.startsWith(`boot/${prefix}-`))?.content;
  const image = file("vmlinuz");
  if (image === undefined) throw new SetupError(`${found.path} holds no boot/vmlinuz-*: name a linux-image-* package`);
  const systemMap = file("System.map");
  return {
    kernel: await found.field("Package"),
    version: await found.field("Version"),
    release: releaseOf(image, found.path),
    image,
    modules: await found.kernelModules(NETWORK_MODULES),
    // Debian's is a single line that says where the real one is.
    ...(systemMap && systemMap.length > 4096 ? { systemMap } : {}),
  };
}

/** Reads the release from the header of an x86 kernel image (Documentation/arch/x86/boot.rst in Linux's source). */
function releaseOf(image, name) {
  if (image.length < 0x300 || image.toString("latin1", 0x202, 0x206) !== "HdrS") {
    throw new SetupError(`${name} is not an x86 kernel image (bzImage)`);
  }
  const start = image.readUInt16LE(0x20e) + 0x200;
  return image.toString("latin1", start, image.indexOf(0, start)).split(" ")[0];
}
