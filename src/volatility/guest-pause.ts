import { Engine } from "../engine/engine";
import { VolatilityError } from "./volatility-error";

/** A pause that several runs share. */
interface SharedPause {
  holders: number;
  /** Settles when the guest stands still. */
  readonly begun: Promise<void>;
  /** Whether the guest ran before. */
  readonly ran: boolean;
  readonly pausesBefore: number;
}

let shared: SharedPause | undefined;

/**
 * Pauses the guest for a consistent view of its memory. Several may do so at once: the last one lets it go on, unless it was paused
 * before, or somebody has asked for a pause meanwhile.
 *
 * @returns the function that ends this pause; it resolves when the guest runs again
 * @throws VolatilityError when the guest cannot be paused
 */
export async function holdGuest(): Promise<() => Promise<void>> {
  const engine = Engine.get();
  const pause = (shared ??= begin(engine));
  pause.holders++;
  try {
    await pause.begun;
    // Somebody may have let it go on.
    if (engine.state === "running") await engine.qmp("stop");
  } catch (error) {
    await release(engine, pause);
    throw new VolatilityError("guest", `the guest cannot be paused: ${(error as Error).message}`);
  }
  let isHeld = true;
  return async () => {
    if (!isHeld) return;
    isHeld = false;
    await release(engine, pause);
  };
}

function begin(engine: Engine): SharedPause {
  const ran = engine.state === "running";
  // Not engine.pause(), which is how others say that they want it to stay paused.
  const begun = ran ? engine.qmp("stop").then(() => undefined) : Promise.resolve();
  return { holders: 0, begun, ran, pausesBefore: engine.pauseCount };
}

async function release(engine: Engine, pause: SharedPause): Promise<void> {
  if (--pause.holders > 0) return;
  if (shared === pause) shared = undefined;
  if (!pause.ran || engine.pauseCount !== pause.pausesBefore || engine.state !== "paused") return;
  // A guest that ends meanwhile cannot go on.
  await engine.qmp("cont").catch(() => undefined);
}
