import type { Kallsyms } from "../../symbols/kallsyms/kallsyms";
import type { KernelImage } from "../structs/linux-kernel";

const MAGIC = 0xeb9f;
const HEADER_SIZE = 24;
/** Kernels have thousands of types: smaller sections are those of a test or an accident. */
const SMALLEST = 0x10000;

/** The place of BTF in the kernel's image, in bytes from its start. */
export interface BtfSection {
  readonly at: number;
  readonly size: number;
}

/** Finds the kernel's BTF in its image, by its symbols or by what its header looks like. */
export function findBtf(image: KernelImage, bytes: Uint8Array, symbols: Kallsyms): BtfSection | undefined {
  const start = symbols.findAddress("__start_BTF");
  const end = symbols.findAddress("__stop_BTF");
  if (start !== undefined && end !== undefined && start >= image.start && end > start) {
    const from = Number(start - image.start);
    const to = Number(end - image.start);
    if (to <= bytes.length) return { at: from, size: to - from };
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + HEADER_SIZE <= bytes.length; at += 4) {
    const size = view.getUint32(at, true) === (MAGIC | (1 << 16)) ? findSize(view, at) : undefined;
    if (size !== undefined) return { at, size };
  }
  return undefined;
}

/** Adds up what the header says: types come first, the strings follow them. */
function findSize(view: DataView, at: number): number | undefined {
  const word = (index: number): number => view.getUint32(at + index * 4, true);
  const [header, typesOffset, typesSize, stringsOffset, stringsSize] = [1, 2, 3, 4, 5].map(word) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const isHeader = header === HEADER_SIZE && typesOffset === 0 && stringsOffset >= typesSize;
  const size = header + stringsOffset + stringsSize;
  return isHeader && size >= SMALLEST && at + size <= view.byteLength ? size : undefined;
}
