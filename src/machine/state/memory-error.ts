import { MemoryResult } from "../engine/native";

function describe(result: MemoryResult, address: bigint, pgd: bigint | undefined): string {
  const where = `0x${address.toString(16)}`;
  switch (result) {
    case MemoryResult.Unmapped:
      return `nothing is mapped at ${where} in the address space of pgd 0x${(pgd ?? 0n).toString(16)}`;
    case MemoryResult.ReadOnly:
      return `physical address ${where} is ROM and cannot be written`;
    default:
      return `physical address ${where} is not RAM: nothing or a device answers there`;
  }
}

/**
 * Reports that QEMU could not read or write an address of the running guest.
 *
 * Its counterpart is AddressError of src/systems: that is thrown where rebox walks page tables by itself to read a system out
 * of bytes, of a running machine or of an image, and knows of reading only.
 */
export class MemoryError extends Error {
  override readonly name = "MemoryError";

  /**
   * @param result what is wrong with the address
   * @param address the first address that could not be accessed: virtual when unmapped, else physical
   * @param pgd the address space, for a virtual access
   */
  constructor(
    result: MemoryResult,
    readonly address: bigint,
    readonly pgd?: bigint,
  ) {
    super(describe(result, address, pgd));
  }
}
