import { BP } from "../../guest/breakpoints/breakpoint";
import type { BreakpointHit, BreakpointOptions } from "../../guest/breakpoints/breakpoint-types";
import { Engine } from "../../machine/engine/engine";
import type { CommandSession } from "./command-session";

/**
 * Sets a breakpoint that pauses the guest, exactly there, and tells the session.
 *
 * @param place address or symbol
 * @param onHit is called before the guest is paused
 */
export function setPausingBreakpoint(
  session: CommandSession,
  place: bigint | string,
  pgd: bigint,
  options: BreakpointOptions,
  onHit?: (hit: BreakpointHit) => void,
): BP {
  return new BP(
    place,
    pgd,
    {
      ...options,
      func: async (hit) => {
        session.cpuIndex = hit.cpuIndex;
        onHit?.(hit);
        await Engine.get().pause();
      },
    },
    session.owner,
  );
}

/**
 * Resumes the guest, and waits until it is paused: by a breakpoint, or by somebody. While a snapshot or a dump of its memory is
 * saved it only stands still for a moment.
 */
export async function resumeUntilPaused(session: CommandSession): Promise<void> {
  // The pause that Ctrl-C asked for came before: it would never come again.
  if (session.isInterrupted) return;
  const engine = Engine.get();
  let stop: () => void = () => undefined;
  const subscriptions = [
    engine.on("paused", ({ state }) => state !== "save-vm" && stop()),
    ...(["shutdown", "crashed"] as const).map((event) => engine.on(event, () => stop())),
  ];
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  try {
    session.release?.();
    if (engine.state === "paused") await engine.resume();
    await stopped;
  } finally {
    for (const subscription of subscriptions) subscription.dispose();
  }
}
