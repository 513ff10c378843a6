/**
 * A block of instructions that QEMU translated at one time, similar to a basic block. Where the control flow cannot be
 * foreseen, or a page ends, a basic block is several of these.
 */
export class TranslationBlock {
  /**
   * @param pc the virtual address of the first instruction
   * @param size in bytes
   * @param icount the number of instructions
   */
  constructor(
    readonly pc: bigint,
    readonly size: number,
    readonly icount: number,
  ) {}
}
