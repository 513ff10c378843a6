import { Engine } from "../engine/engine";
import { EngineUsageError } from "../errors";
import { getInstructionCount } from "../state/instruction-count";

let leftAt: number | undefined;

/** Finds the count of instructions at which the recording was left by goLive(); undefined while it is replayed. */
export function findLeavingCount(): number | undefined {
  return leftAt;
}

/**
 * Leaves the recording that is replayed: from here the guest lives on as an ordinary one, and may be changed. There is no way back
 * into it. A machine that ran goes on running.
 *
 * @returns the count of instructions at which it was left
 * @throws EngineUsageError when nothing is replayed
 */
export async function goLive(): Promise<number> {
  const engine = Engine.get();
  if (engine.recording !== "replaying") {
    throw new EngineUsageError("nothing is replayed that could be left: rebox replay FOLDER begins a replay");
  }
  const runs = engine.state === "running";
  if (runs) await engine.pause();
  const count = getInstructionCount();
  await engine.qmp("go-live");
  leftAt = count;
  // A replay may stay where its recording ends; an ordinary guest that switches itself off is over.
  await engine.qmp("set-action", { shutdown: "poweroff" });
  if (runs) await engine.resume();
  return count;
}
