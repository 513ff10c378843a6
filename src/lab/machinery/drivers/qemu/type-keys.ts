import { setTimeout as sleep } from "node:timers/promises";
import type { Execute } from "./golden-start";

/**
 * Between two presses, in milliseconds. A PS/2 keyboard keeps 16 bytes that the guest has not read (hw/input/ps2.c), and a press with
 * shift has six.
 */
const PRESS_MS = 8;

/** Presses keys of a machine's keyboard, one after the other. */
export async function typeKeys(
  execute: Execute,
  keys: readonly (readonly string[])[],
  signal: AbortSignal,
): Promise<void> {
  for (const together of keys) {
    const press = (down: boolean) => (data: string) => ({
      type: "key",
      data: { down, key: { type: "qcode", data } },
    });
    const events = [...together.map(press(true)), ...together.toReversed().map(press(false))];
    await execute("input-send-event", { events });
    await sleep(PRESS_MS, undefined, { signal });
  }
}
