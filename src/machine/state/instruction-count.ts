import { Engine } from "../engine/engine";
import { EngineUsageError } from "../errors";

/**
 * Gets how many instructions all vCPUs have executed since the machine began. In a callback of an instruction or an access, that
 * instruction is not among them.
 *
 * @throws EngineUsageError when the machine does not count them
 */
export function getInstructionCount(): number {
  const count = findInstructionCount();
  if (count === undefined) {
    throw new EngineUsageError(
      "the machine does not count its instructions: start it with -icount shift=4, or by rebox record or rebox replay",
    );
  }
  return count;
}

/** Finds the same; undefined when there is no machine, or it does not count them. */
export function findInstructionCount(): number | undefined {
  return Engine.find()?.native.instructionCount();
}
