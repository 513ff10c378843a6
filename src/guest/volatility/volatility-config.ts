import { pathToFileURL } from "node:url";
import { Engine } from "../../machine/engine/engine";
import { findStillMachine } from "../../machine/state/machine-access";
import { findKaslrOffset } from "../../systems/linux/attach/kaslr-offset";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { VolatilityError } from "../errors";

/** The descriptor at which Volatility finds the file that findMemoryFile() names. */
const MEMORY_DESCRIPTOR = 3;

const LAYERS = "volatility3.plugins.rebox_memory";
const SYMBOLS = "volatility3.plugins.rebox_symbols";
const INTEL = "volatility3.framework.layers.intel";
const INTEL_LAYERS: Readonly<Record<string, string>> = {
  legacy: `${INTEL}.LinuxIntel`,
  pae: `${INTEL}.LinuxIntelPAE`,
  "4-level": `${INTEL}.LinuxIntel32e`,
};
/** The bits of an address that count: Volatility leaves out the copies of the highest bit (48 bits, Intel SDM volume 3, 4.5). */
const MASKS = { 64: 0xffffffffffff, 32: 0xffffffff } as const;

/**
 * Makes the configuration of a run of Volatility. It says all that Volatility would look for in memory itself: where the kernel's
 * page tables are, and by how much KASLR moved the kernel.
 *
 * @param isf the symbol file's path
 * @throws VolatilityError for a guest whose memory Volatility cannot read
 */
export function createVolatilityConfig({ kernel }: LinuxGuest, isf: string): Readonly<Record<string, string | number>> {
  const { mode } = kernel.image.tables;
  const layer = INTEL_LAYERS[mode];
  if (layer === undefined) {
    throw new VolatilityError("guest", `the guest has ${mode} page tables, which Volatility does not know`);
  }
  const pieces = listMemoryPieces().map(({ address, size, place }) => [address, size, place].map(hex).join(":"));
  const memory = (path: string): Record<string, string | number> => ({
    [`${path}.class`]: `${LAYERS}.ReboxMemoryLayer`,
    [`${path}.pieces`]: pieces.join(" "),
    [`${path}.base_layer.class`]: `${LAYERS}.ReboxProcessLayer`,
    [`${path}.base_layer.descriptor`]: MEMORY_DESCRIPTOR,
  });
  return {
    "kernel.class": "volatility3.framework.contexts.Module",
    "kernel.offset": maskShift(findKaslrOffset(kernel), kernel.bits),
    "kernel.layer_name.class": layer,
    "kernel.layer_name.kernel_banner": kernel.banner,
    "kernel.layer_name.kernel_virtual_offset": maskShift(findKaslrOffset(kernel), kernel.bits),
    "kernel.layer_name.page_map_offset": kernel.memory.root,
    ...memory("kernel.layer_name.memory_layer"),
    "kernel.symbol_table_name.class": `${SYMBOLS}.ReboxKernelSymbols`,
    "kernel.symbol_table_name.isf_url": pathToFileURL(isf).href,
    "kernel.symbol_table_name.symbol_mask": MASKS[kernel.bits],
    // For plugins that look at memory without a kernel.
    ...memory("primary"),
  };
}

function hex(number: bigint): string {
  return number.toString(16);
}

function maskShift(shift: bigint, bits: 32 | 64): number {
  return Number(BigInt.asUintN(bits === 64 ? 48 : 32, shift));
}

/** A piece of the guest's RAM. */
interface MemoryPiece {
  /** Guest-physical. */
  readonly address: bigint;
  /** In bytes. */
  size: bigint;
  /** Its offset in the file that findMemoryFile() names: in this process, or in the image. */
  readonly place: bigint;
}

/** Finds the path of the file in which the guest's RAM is read: the memory of this process, or the image that is opened. */
export function findMemoryFile(): string {
  const image = findStillMachine();
  return image ? `/proc/self/fd/${image.file.descriptor}` : "/proc/self/mem";
}

/**
 * Lists the guest's RAM and where each piece of it lies: of a machine as QEMU has laid it out now, with the hole below 4 GiB and what
 * lies above.
 */
function listMemoryPieces(): readonly Readonly<MemoryPiece>[] {
  const image = findStillMachine();
  if (image) {
    return image.file.parts
      .map(({ address, size, offset }) => ({ address: BigInt(address), size: BigInt(size), place: BigInt(offset) }))
      .toSorted((a, b) => Number(a.address - b.address));
  }
  const pieces: MemoryPiece[] = [];
  const regions = Engine.get().native.ramRegions();
  for (const { address, buffer, hostAddress } of regions.toSorted((a, b) => Number(a.address - b.address))) {
    const size = BigInt(buffer.byteLength);
    const last = pieces.at(-1);
    const follows = last && last.address + last.size === address && last.place + last.size === hostAddress;
    if (follows) last.size += size;
    else pieces.push({ address, size, place: hostAddress });
  }
  return pieces;
}
