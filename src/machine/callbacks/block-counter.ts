import { Engine } from "../engine/engine";

/**
 * Counts every block that the machine executes, natively: one addition in the generated code and no call.
 *
 * @param on starts or ends the counting, from the next block on
 */
export function setBlockCounting(on: boolean): void {
  Engine.get().native.countBlocks(on);
}

/** Gets how many blocks were executed while they were counted. */
export function getBlockCount(): number {
  return Engine.get().native.blockCount();
}
