import type { LinuxKernel } from "../structs/linux-kernel";
import { findVmcoreinfo } from "../system/vmcoreinfo";

/** The smallest alignment of a kernel (CONFIG_PHYSICAL_ALIGN), which KASLR keeps. */
const PAGE = 0x1000n;
/** The start of a kernel's text without KASLR: __START_KERNEL_map or PAGE_OFFSET, and CONFIG_PHYSICAL_START's 16 MiB. */
const LINKED_AT = { 64: 0xffffffff81000000n, 32: 0xc1000000n } as const;

/**
 * Finds by how much KASLR moved the kernel from the addresses that its file has.
 *
 * The kernel says so in the notes for its crash dumps (kernel/vmcore_info.c: KERNELOFFSET). One that was built without them is
 * taken to be linked where nearly all are; every tool that finds the offset by itself agrees with that in any case.
 *
 * @returns in bytes, which may be negative for a kernel that was linked elsewhere
 */
export function findKaslrOffset(kernel: LinuxKernel): bigint {
  const stated = readStatedOffset(kernel);
  if (stated !== undefined && stated % PAGE === 0n) return stated;
  const text = kernel.findSymbol("_text", "_stext");
  return text === undefined ? 0n : text - LINKED_AT[kernel.bits];
}

function readStatedOffset(kernel: LinuxKernel): bigint | undefined {
  const text = findVmcoreinfo(kernel)?.toString("latin1") ?? "";
  const [, digits] = /^KERNELOFFSET=([0-9a-f]{1,16})$/m.exec(text) ?? [];
  return digits === undefined ? undefined : BigInt(`0x${digits}`);
}
