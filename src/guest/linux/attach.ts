import type { GuestSource } from "../../memory/guest-source";
import { Ram } from "../../memory/ram";
import { Btf } from "../../symbols/btf";
import { BtfError } from "../../symbols/btf-error";
import { Kallsyms } from "../../symbols/kallsyms";
import { locateKallsyms } from "../../symbols/kallsyms-locator";
import { AttachError } from "./attach-error";
import { findBtf } from "./btf-section";
import { findDirectMap } from "./direct-map";
import { findKernelImage, type KernelImage } from "./kernel-image";
import { LinuxKernel } from "./linux-kernel";

const BANNER = Buffer.from("Linux version ");
const LONGEST_BANNER = 512;

/**
 * Finds the Linux kernel of a guest, from nothing but its memory and registers.
 *
 * @throws AttachError that says which step failed, on what evidence, and what to try; its isEarly tells that the guest
 *   has not started a kernel yet
 */
export function attachLinux(source: GuestSource): LinuxKernel {
  const ram = new Ram(source);
  const image = findKernelImage(ram, source.cpus());
  const bytes = ram.findBytes(image.physical, image.size);
  if (!bytes) {
    throw new AttachError(
      "image",
      `the kernel's image at physical 0x${image.physical.toString(16)} is not within one piece of RAM`,
      "this machine's memory layout is not known to rebox: please report it",
    );
  }
  const directMap = findDirectMap(ram, image);
  if (!directMap) {
    throw new AttachError(
      "page-tables",
      `the page tables at 0x${image.root.toString(16)} do not map physical memory in one piece`,
      "try again when the kernel has started",
      true,
    );
  }
  const symbols = findSymbols(image, bytes);
  const banner = findBanner(image, bytes, symbols);
  const types = findTypes(image, bytes, symbols);
  const kernel = new LinuxKernel({ ram, image, directMap, symbols, types, banner });
  if (kernel.findSymbol("init_task") === undefined) {
    throw new AttachError(
      "symbols",
      `${kernel.release} has no symbols of data: init_task is missing`,
      "make a profile from the kernel's debug package",
    );
  }
  return kernel;
}

function findSymbols(image: KernelImage, bytes: Uint8Array): Kallsyms {
  const { pointerSize } = image.tables;
  const location = locateKallsyms(bytes, image.start, pointerSize, image.entryPoints);
  if (typeof location === "string") {
    const end = image.start + BigInt(image.size);
    throw new AttachError(
      "symbols",
      `in the image at 0x${image.start.toString(16)} to 0x${end.toString(16)} ${location}`,
      "either it is not Linux, or a kernel without symbols (CONFIG_KALLSYMS)",
    );
  }
  return new Kallsyms(bytes, image.start, pointerSize, location);
}

/** Reads the banner at its symbol; a kernel without symbols of data has it somewhere in its constants. */
function findBanner(image: KernelImage, bytes: Uint8Array, symbols: Kallsyms): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const symbol = symbols.findAddress("linux_banner");
  const at = symbol === undefined ? text.indexOf(BANNER) : Number(symbol - image.start);
  if (at < 0 || at >= text.length) return "";
  const end = text.subarray(at, at + LONGEST_BANNER).findIndex((byte) => byte === 0 || byte === 10);
  return text.toString("latin1", at, at + (end < 0 ? LONGEST_BANNER : end));
}

function findTypes(image: KernelImage, bytes: Uint8Array, symbols: Kallsyms): Btf {
  const section = findBtf(image, bytes, symbols);
  if (!section) {
    throw new AttachError(
      "types",
      "the kernel has symbols, but no BTF in its memory (CONFIG_DEBUG_INFO_BTF)",
      "make a profile from the kernel's debug package",
    );
  }
  try {
    return new Btf(section, image.tables.pointerSize);
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    throw new AttachError("types", `the kernel's BTF is damaged: ${error.message}`, "try a fresh start of the guest");
  }
}
