import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, resolve } from "node:path";
import { machineRelease } from "./debian-archive.mjs";
import { debianFileName } from "./debian-name.mjs";
import { DebianPackage } from "./debian-package.mjs";
import { kernelFiles } from "./kernel-files.mjs";
import { SetupError } from "./setup-error.mjs";

/** The metapackage of Debian's kernel for virtual machines. */
export const DEFAULT_KERNEL = "linux-image-cloud-amd64";

/** The kernels that the tests boot beside the default one: oldest, newest, with all drivers, and 32-bit. */
export const TEST_KERNELS = [
  "linux-image-cloud-amd64/bookworm",
  "linux-image-amd64/trixie",
  "linux-image-cloud-amd64/sid",
  "linux-image-686-pae:i386/bookworm",
].filter((name) => name !== `${DEFAULT_KERNEL}/${machineRelease()}`);

/**
 * Finds the package with the debug information of a kernel that does not describe itself: Debian's 32-bit ones have no BTF.
 * @param {string} name as guestKernel() takes it
 * @returns {string | undefined} undefined for kernels that need none
 */
export function debugPackageOf(name) {
  const [, base, rest] = /^(linux-image-\d+(?:-pae)?)(:i386\/.+)$/.exec(name) ?? [];
  return base && `${base}-dbg${rest}`;
}

/**
 * Tells whether a kernel's kit is not wanted: REBOX_SKIP_KERNELS lists packages, with or without architecture and release.
 * @param {string} name as guestKernel() takes it
 */
export function isSkippedKernel(name, skipped = process.env.REBOX_SKIP_KERNELS ?? "") {
  const parts = skipped.split(/[,\s]+/).filter((part) => part !== "");
  return parts.some((part) => name === part || name.startsWith(`${part}:`) || name.startsWith(`${part}/`));
}

// What virtio-net-pci needs, in the order in which the guest must load it.
const NETWORK_MODULES = [
  ...["virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"],
  ...["failover", "net_failover", "virtio_net"],
];
// What a CD drive on QEMU's PC needs, likewise, and what a drive needs that is plugged in; after those of the network card.
const DISC_MODULES = ["scsi_common", "scsi_mod", "cdrom", "sr_mod", "libata", "ata_piix", "virtio_blk"];
// For loading and unloading: one that needs no other, and one that needs several.
const SPARE_MODULES = ["dummy", "crc16", "crc32c_generic", "libcrc32c", "mbcache", "jbd2", "ext4", "overlay"];

/**
 * Loads a guest kernel.
 * @param {import("./task.mjs").Task} task
 * @param {string} name a Debian package as name[:architecture][/release], or the path of a .deb or of a vmlinuz
 * @returns {Promise<{kernel: string, version: string, release: string, architecture: string, image: Buffer,
 *   systemMap?: Buffer, modules: {name: string, content: Buffer, use: "network" | "disc" | "spare"}[]}>} each use to be loaded
 *   in this order; a disk needs those of the network and the spare ones too
 */
export async function guestKernel(task, name) {
  if (!isPath(name)) return fromPackages(task, await DebianPackage.allNamed(task, name));
  if (!existsSync(name))
    throw new SetupError(`there is no kernel ${resolve(name)}; name a vmlinuz, a .deb or a package`);
  if (name.endsWith(".deb")) return fromPackages(task, [new DebianPackage(task, resolve(name))]);
  const image = readFileSync(name);
  const release = releaseOf(image, name);
  return { kernel: resolve(name), version: release, release, architecture: architectureOf(image), image, modules: [] };
}

/** Names the directory for a kernel's guest kit. */
export function kernelDirectory(name) {
  // The prefix keeps a file called vmlinuz apart from the default kit's.
  return isPath(name) ? `file-${basename(name, ".deb")}` : debianFileName(name);
}

/** Describes which kernel a name stands for now: a file may be replaced under its name. */
export function kernelIdentity(name) {
  const file = isPath(name) ? statSync(name, { throwIfNoEntry: false }) : undefined;
  return file ? `${resolve(name)} ${file.size} ${file.mtimeMs}` : name;
}

function isPath(name) {
  return name.endsWith(".deb") || (name.includes("/") && !name.startsWith("linux-image-"));
}

async function fromPackages(task, packages) {
  const names = [...NETWORK_MODULES, ...DISC_MODULES, ...SPARE_MODULES];
  const found = await kernelFiles(task, packages, names);
  if (found.image === undefined) {
    throw new SetupError(`${packages[0].path} holds no vmlinuz: name a linux-image-* package`);
  }
  return {
    kernel: await packages[0].field("Package"),
    version: await packages[0].field("Version"),
    release: releaseOf(found.image, packages[0].path),
    architecture: architectureOf(found.image),
    image: found.image,
    modules: found.modules.map((module) => ({ ...module, use: useOf(module.name) })),
    // Debian's is a single line that says where the real one is.
    ...(found.systemMap && found.systemMap.length > 4096 ? { systemMap: found.systemMap } : {}),
  };
}

function useOf(name) {
  if (NETWORK_MODULES.includes(name)) return "network";
  return DISC_MODULES.includes(name) ? "disc" : "spare";
}

/** Reads the release from the header of an x86 kernel image (Documentation/arch/x86/boot.rst in Linux's source). */
function releaseOf(image, name) {
  if (image.length < 0x300 || image.toString("latin1", 0x202, 0x206) !== "HdrS") {
    throw new SetupError(`${name} is not an x86 kernel image (bzImage)`);
  }
  const start = image.readUInt16LE(0x20e) + 0x200;
  return image.toString("latin1", start, image.indexOf(0, start)).split(" ")[0];
}

/** Tells a 64-bit kernel by XLF_KERNEL_64 in the header's xloadflags (same document). */
function architectureOf(image) {
  return (image.readUInt16LE(0x236) & 1) === 1 ? "amd64" : "i386";
}
