import type { Engine } from "../engine/engine";

/** A pause that several share. */
interface SharedPause {
  holders: number;
  /** Settles when the guest stands still. */
  readonly begun: Promise<unknown>;
  /** Whether the guest ran before. */
  readonly ran: boolean;
  readonly pausesBefore: number;
}

let shared: SharedPause | undefined;

/**
 * Pauses the guest while something looks at it. Several may do so at once: the last one lets it go on, unless it was paused
 * before, or somebody has asked for a pause meanwhile.
 *
 * @returns the function that ends this pause; it resolves when the guest goes on again, and does nothing a second time
 * @throws QmpError when the guest cannot be paused
 */
export async function holdGuestPaused(engine: Engine): Promise<() => Promise<void>> {
  const pause = (shared ??= begin(engine));
  pause.holders++;
  try {
    await pause.begun;
    // Somebody may have let it go on.
    if (engine.state === "running") await engine.qmp("stop");
  } catch (error) {
    await release(engine, pause);
    throw error;
  }
  let isHeld = true;
  return async () => {
    if (!isHeld) return;
    isHeld = false;
    await release(engine, pause);
  };
}

/**
 * Has the guest stand still, as holdGuestPaused() does, while something is done.
 *
 * @param act what is done meanwhile
 * @throws what act() throws, when the guest goes on again
 */
export async function withGuestPaused<Result>(engine: Engine, act: () => Promise<Result>): Promise<Result> {
  const resume = await holdGuestPaused(engine);
  try {
    return await act();
  } finally {
    await resume();
  }
}

function begin(engine: Engine): SharedPause {
  // Somebody's own pause that is on its way is not undone either.
  const ran = engine.state === "running" && !engine.isPausing;
  // Not engine.pause(), which is how others say that they want it to stay paused.
  const begun = ran ? engine.qmp("stop") : Promise.resolve();
  return { holders: 0, begun, ran, pausesBefore: engine.pauseCount };
}

async function release(engine: Engine, pause: SharedPause): Promise<void> {
  if (--pause.holders > 0) return;
  if (shared === pause) shared = undefined;
  if (!pause.ran || engine.pauseCount !== pause.pausesBefore || engine.state !== "paused") return;
  // A guest that ends meanwhile cannot go on.
  await engine.qmp("cont").catch(() => undefined);
}
