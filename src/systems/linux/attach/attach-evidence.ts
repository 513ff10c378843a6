import type { CpuFacts } from "../../memory/guest-source";
import { findPagingMode } from "../../memory/page-tables";
import type { LinearRange } from "../../memory/virtual-memory";
import type { Kallsyms } from "../../symbols/kallsyms/kallsyms";
import type { KallsymsLocation } from "../../symbols/kallsyms/kallsyms-location";
import type { KernelIdentity, KernelProfile } from "../../symbols/profile";
import type { TypeSource } from "../../symbols/type-source";
import type { AttachStep } from "../../errors";
import type { BtfSection } from "./btf-section";
import type { KernelImage } from "../structs/linux-kernel";

/** Is called with each step of attaching that has succeeded, and what was found in it. */
export type AttachTrace = (step: AttachStep, evidence: string) => void;

/** CONFIG_PHYSICAL_START of Linux' own configurations: how far into its region the image begins without KASLR. */
const DEFAULT_PLACE = 0x1000000n;
const IMAGE_REGION_64 = 0xffffffff80000000n;

function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

/** Describes how each vCPU translates addresses and where it enters the kernel. */
export function describeCpus(cpus: readonly CpuFacts[], image?: KernelImage): string {
  const shown = cpus.map((cpu) => {
    const mode = findPagingMode(cpu);
    return (
      `vCPU ${cpu.index}: paging ${mode ?? "off"}, CR0 ${hex(cpu.cr0)}, CR3 ${hex(cpu.cr3)}, CR4 ${hex(cpu.cr4)}, ` +
      `EFER ${hex(cpu.efer)}, LSTAR ${hex(cpu.lstar)}, SYSENTER_EIP ${hex(cpu.sysenterEip)}, ` +
      `IDT ${hex(cpu.idtBase)} with ${cpu.idtLimit + 1} bytes`
    );
  });
  const entries = image ? [`the kernel is entered at ${image.entryPoints.map(hex).join(", ")}`] : [];
  return [...shown, ...entries].join("; ");
}

export function describeImage({ start, size, physical }: KernelImage): string {
  return `${hex(start)} to ${hex(start + BigInt(size))}, ${size} bytes at physical ${hex(physical)}`;
}

export function describePageTables({ tables, root }: KernelImage, { start, end }: LinearRange): string {
  const mode = tables.pointerSize === 8 ? tables.mode : `32-bit, ${tables.mode}`;
  return `${mode}, root at physical ${hex(root)}; physical memory is mapped at ${hex(start)} to ${hex(end)}`;
}

/** Describes kallsyms, and how far KASLR has moved the kernel by it. */
export function describeSymbols({ start, tables }: KernelImage, symbols: Kallsyms, location: KallsymsLocation): string {
  const at = (offset: number): string => hex(start + BigInt(offset));
  const text = symbols.findAddress("_text") ?? symbols.findAddress("_stext");
  const region = tables.pointerSize === 8 ? IMAGE_REGION_64 : start - (start % 0x40000000n);
  const usual = region + DEFAULT_PLACE;
  const distance = text === undefined ? 0n : text - usual;
  const moved =
    text === undefined
      ? "without _text"
      : `_text at ${hex(text)}, ${distance < 0n ? "-" : ""}${hex(distance < 0n ? -distance : distance)} from ${hex(usual)}, its usual place without KASLR`;
  return (
    `${location.symbolCount} in kallsyms: names at ${at(location.names)}, markers at ${at(location.markers)}, ` +
    `tokens at ${at(location.tokenTable)}, addresses (${location.addressing}) at ${at(location.addresses)}; ${moved}`
  );
}

export function describeIdentity({ banner, buildIds }: KernelIdentity): string {
  const ids = buildIds.length > 0 ? `; build ids in its memory: ${buildIds.join(", ")}` : "";
  return `${banner === "" ? "not found" : banner}${ids}`;
}

export function describeTypes(
  image: KernelImage,
  types: TypeSource,
  section: BtfSection | undefined,
  profile: KernelProfile | undefined,
): string {
  const own = section
    ? `BTF at ${hex(image.start + BigInt(section.at))}, ${section.size} bytes`
    : "no BTF in the kernel's memory";
  const from = profile ? `; profile ${profile.origin}, ${profile.symbols.count} symbols` : "";
  return `${own}${from}; task_struct has ${types.findCompound("task_struct")?.size ?? "no known number of"} bytes`;
}
