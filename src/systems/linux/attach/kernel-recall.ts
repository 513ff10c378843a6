import { Btf } from "../../symbols/btf";
import { findBuildId } from "../../symbols/elf/elf";
import { Kallsyms } from "../../symbols/kallsyms/kallsyms";
import type { KallsymsLocation } from "../../symbols/kallsyms/kallsyms-location";
import { LazySymbols } from "../../symbols/symbol-table";
import { LazyTypes } from "../../symbols/type-source";
import type { BtfSection } from "./btf-section";
import { createKernelFacts, type KernelFacts, type KernelMemory, parseKernelFacts } from "./kernel-facts";
import { readBanner } from "./kernel-identity";
import { type KernelParts, LinuxKernel } from "../structs/linux-kernel";
import { TaskReader } from "../processes/task-reader";

const LARGEST_NOTES = 4096;

/** The parts that are found of every kernel, with its image's bytes. */
type Found = Pick<KernelParts, "ram" | "image" | "directMap"> & { readonly bytes: Uint8Array };

/** Makes the key by which most kernels differ before anything is read of them. */
function entryOf({ image }: Pick<KernelParts, "image">): string {
  return `${image.tables.pointerSize * 8}-${((image.entryPoints[0] ?? 0n) - image.start).toString(16)}`;
}

/** Makes the kernel from what is remembered of it; undefined when it was not seen before. */
export function recallKernel({ bytes, ...parts }: Found, memory: KernelMemory): LinuxKernel | undefined {
  for (const text of memory.find(entryOf(parts))) {
    const facts = parseKernelFacts(text);
    if (!facts || !isSame(facts, bytes)) continue;
    const { start, tables } = parts.image;
    const known = new Map(Object.entries(facts.symbols).map(([name, at]) => [name, start + BigInt(at)]));
    return new LinuxKernel({
      ...parts,
      symbols: new LazySymbols(known, () => new Kallsyms(bytes, start, tables.pointerSize, facts.kallsyms)),
      types: new LazyTypes(
        "the kernel's BTF",
        tables.pointerSize,
        () => new Btf(bytes.slice(facts.btfAt, facts.btfAt + facts.btfSize), tables.pointerSize),
      ),
      banner: facts.banner,
      offsets: new Map(Object.entries(facts.offsets)),
    });
  }
  return undefined;
}

function isSame(facts: KernelFacts, bytes: Uint8Array): boolean {
  const expected = Buffer.from(facts.buildId, "hex");
  const found = bytes.subarray(facts.buildIdAt, facts.buildIdAt + expected.length);
  const banner = facts.symbols["linux_banner"];
  return expected.equals(found) && banner !== undefined && readBanner(bytes, banner) === facts.banner;
}

/** Remembers a kernel that says everything about itself. */
export function rememberKernel(
  kernel: LinuxKernel,
  bytes: Uint8Array,
  { kallsyms, section }: { readonly kallsyms: KallsymsLocation; readonly section: BtfSection },
  memory: KernelMemory,
): void {
  const notes = kernel.findSymbol("__start_notes");
  if (notes === undefined || kernel.findSymbol("linux_banner") === undefined) return;
  const { start, size } = kernel.image;
  const notesAt = Number(notes - start);
  if (notesAt < 0 || notesAt + LARGEST_NOTES > size) return;
  const buildId = findBuildId(bytes.slice(notesAt, notesAt + LARGEST_NOTES));
  if (buildId === undefined) return;
  const buildIdAt = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(
    Buffer.from(buildId, "hex"),
    notesAt,
  );
  // What the list of processes needs is looked up, so that it is among what is remembered.
  new TaskReader(kernel);
  kernel.symbol("init_task");
  const inImage = [...kernel.asked.symbols].filter(([, address]) => address >= start && address < start + BigInt(size));
  const facts = createKernelFacts({
    banner: kernel.banner,
    buildId,
    buildIdAt,
    kallsyms,
    btfAt: section.at,
    btfSize: section.size,
    symbols: Object.fromEntries(inImage.map(([name, address]) => [name, Number(address - start)])),
    offsets: Object.fromEntries(kernel.asked.offsets),
  });
  memory.save(entryOf(kernel), buildId, JSON.stringify(facts));
}
