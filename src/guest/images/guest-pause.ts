import type { Engine } from "../../engine/engine";

let holders = 0;
let wasRunning = false;

/**
 * Has the guest stand still while something is done, and go on afterwards if it ran before: whatever comes of it, and when
 * several do so at once, after the last.
 */
export async function withGuestPaused<Result>(engine: Engine, act: () => Promise<Result>): Promise<Result> {
  if (holders++ === 0) wasRunning = engine.state === "running";
  try {
    if (engine.state === "running") await engine.pause();
    return await act();
  } finally {
    if (--holders === 0 && wasRunning && engine.state === "paused") await engine.resume();
  }
}
