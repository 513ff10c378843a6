import { mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Engine } from "../engine/engine";
import { QmpError } from "../errors";

/** The monitor's words end at white space and have its own quotes. */
function quote(word: string): string {
  return `"${word.replace(/[\\"]/g, "\\$&")}"`;
}

/**
 * Saves a snapshot of the machine into its disk image, which must be able to hold one (qcow2).
 *
 * The guest stands still meanwhile. In a callback the snapshot is taken once the callback has returned.
 *
 * @throws QmpError with QEMU's reason
 */
export async function saveVm(name: string): Promise<void> {
  await Engine.get().hmp(`savevm ${quote(name)}`);
}

/**
 * Loads a snapshot of the machine. Subscriptions stay.
 *
 * @throws QmpError with QEMU's reason; when the snapshot exists but cannot be loaded the guest stays paused
 */
export async function loadVm(name: string): Promise<void> {
  const engine = Engine.get();
  const wasRunning = engine.state === "running";
  try {
    await engine.hmp(`loadvm ${quote(name)}`);
  } catch (error) {
    // QEMU has stopped the guest to look for the snapshot, and leaves it so. Nothing was loaded: it can go on.
    if (wasRunning && error instanceof QmpError && error.message.includes("does not exist")) {
      await engine.resume();
    }
    throw error;
  }
}

/**
 * Presses keys together.
 *
 * @param keys QEMU's names, joined by dashes: "a", "ctrl-alt-f1", "ret"
 * @param holdTimeMs how long they are held; 100 by default
 * @throws QmpError when a key has no such name
 */
export async function sendKey(keys: string, holdTimeMs?: number): Promise<void> {
  await Engine.get().qmp("send-key", {
    keys: keys.split("-").map((key) => ({ type: "qcode", data: key })),
    ...(holdTimeMs === undefined ? {} : { "hold-time": holdTimeMs }),
  });
}

/** Moves the mouse by dx, dy and turns its wheel by dz, in the mouse's own steps. */
export async function mouseMove(dx: number, dy: number, dz = 0): Promise<void> {
  await Engine.get().hmp(`mouse_move ${dx} ${dy} ${dz}`);
}

/** Sets the mouse buttons: the sum of 1 (left), 2 (middle) and 4 (right), 0 for none. */
export async function mouseButton(buttonState: number): Promise<void> {
  await Engine.get().hmp(`mouse_button ${buttonState}`);
}

/**
 * Writes a picture of the guest's screen.
 *
 * @param filename a PNG file, relative to the current folder; its folder is made when it is missing
 * @throws QmpError when the machine has no display or the file cannot be written
 */
export async function screenshot(filename: string): Promise<void> {
  const path = resolve(filename);
  // QEMU says what is wrong when it cannot be made either.
  await mkdir(dirname(path)).catch(() => undefined);
  await Engine.get().qmp("screendump", { filename: path, format: "png" });
}
