import { existsSync, readFileSync } from "node:fs";
import { places } from "./places.mjs";

// Everything off, then exactly what rebox and its guests use: a build that does not depend on what is installed.
const COMMON = [
  "--target-list=x86_64-softmmu",
  "--without-default-features",
  "--prefix=/usr",
  // The result is not installed: firmware is found by absolute path, not relative to the library's caller (node).
  "--disable-relocatable",
  // What the firmware step fetched; then, for what it did not, the system's.
  `--firmwarepath=${places.cachedFirmware}:/usr/share/qemu:/usr/share/seabios:/usr/lib/ipxe/qemu:/usr/share/OVMF`,
  "--disable-download",
  "--disable-docs",
  // Type checks at each QOM cast cost time in device code.
  "--disable-qom-cast-debug",
  // Debian's source has no firmware.
  "--disable-install-blobs",
  "--enable-system",
  "--enable-tcg",
  // The injector of all instrumentation.
  "--enable-plugins",
  // qemu-img.
  "--enable-tools",
  "--enable-pixman",
  "--enable-slirp",
  "--enable-vnc",
  "--enable-vnc-jpeg",
  // PNG screen dumps.
  "--enable-png",
  // Compressed qcow2 clusters and snapshots.
  "--enable-zstd",
  // Disassembly.
  "--enable-capstone",
  // 9p shares, which need extended attributes and capabilities.
  "--enable-virtfs",
  "--enable-attr",
  "--enable-cap-ng",
  // TLS for VNC, and crypto for encrypted disks.
  "--enable-gnutls",
  "--enable-linux-aio",
  "--enable-fdt=system",
  // Windows 11 guests ask for a TPM.
  "--enable-tpm",
  // Foreign disk images.
  "--enable-vmdk",
  "--enable-vdi",
  "--enable-vhdx",
  "--enable-vpc",
  "--enable-vvfat",
  "--enable-malloc-trim",
];

const LIBRARY = [
  // The objects sit in static archives before they are linked into the library: those must be position independent too.
  "-Db_staticpic=true",
  "-Db_pie=false",
  `--extra-cflags=${[
    "-fPIC",
    // Calls inside the library need no PLT: nothing may replace them (the link says -Bsymbolic as well).
    "-fno-semantic-interposition",
    // Thread-local variables cost one instruction, as in an executable, instead of a call.
    "-ftls-model=initial-exec",
  ].join(" ")}`,
];

/**
 * Returns the arguments for QEMU's configure.
 * @param {{library: boolean}} options library: for libqemu-system-x86_64.so rather than the plain executable
 * @returns {string[]}
 */
export function qemuConfiguration({ library }) {
  return library ? [...COMMON, ...LIBRARY] : COMMON;
}

/** Names the operating system whose libraries a build is linked with; one cache may be shared by several. */
export function hostSystem() {
  const text = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  return ["ID", "VERSION_ID"].map((key) => new RegExp(`^${key}="?([^"\n]*)`, "m").exec(text)?.[1] ?? "").join("-");
}
