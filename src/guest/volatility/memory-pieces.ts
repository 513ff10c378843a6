import { Engine } from "../../machine/engine/engine";

/** A piece of the guest's RAM. */
interface MemoryPiece {
  /** Guest-physical. */
  readonly address: bigint;
  /** In bytes. */
  size: bigint;
  /** Where it lies in this process. */
  readonly place: bigint;
}

/**
 * Lists the guest's RAM and where each piece of it lies in this process, as QEMU has laid it out now: with the hole below 4 GiB,
 * and what lies above.
 */
export function listMemoryPieces(): readonly Readonly<MemoryPiece>[] {
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
