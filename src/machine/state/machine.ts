import { mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Engine } from "../engine/engine";

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
