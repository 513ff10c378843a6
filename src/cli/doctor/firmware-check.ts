import { existsSync } from "node:fs";
import { join } from "node:path";
import type { CheckResult } from "./check-result";

const FOLDERS = ["/usr/share/qemu", "/usr/share/seabios", "/usr/lib/ipxe/qemu"];

/** What a PC needs to boot from disk, from a kernel file, and with the usual network card; and the package it is in. */
const FILES: ReadonlyMap<string, string> = new Map([
  ["bios-256k.bin", "seabios"],
  ["vgabios-stdvga.bin", "seabios"],
  ["linuxboot_dma.bin", "qemu-system-data"],
  ["kvmvapic.bin", "qemu-system-data"],
  ["efi-e1000.rom", "ipxe-qemu"],
]);

/**
 * Checks that QEMU finds its firmware.
 *
 * @param folders where QEMU looks
 */
export function checkFirmware(folders: readonly string[] = FOLDERS): CheckResult {
  const name = "firmware";
  const missing = [...FILES].filter(([file]) => !folders.some((folder) => existsSync(join(folder, file))));
  if (missing.length === 0) return { name, status: "ok", detail: `${FILES.size} files in ${folders.join(", ")}` };
  const packages = [...new Set(missing.map(([, packageName]) => packageName))].join(" ");
  const detail = `missing in ${folders.join(", ")}: ${missing.map(([file]) => file).join(", ")}`;
  return { name, status: "fail", detail, advice: `apt-get install ${packages}, or npm run setup` };
}
