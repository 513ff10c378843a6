import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { startModules, stopModules } from "../kit/lab/auxiliary-guest";
import { withGuest, withGuests } from "../kit/lab/guest-machine";
import { untilTrue } from "../kit/lab/lab-run";
import { type Pixels, readPngPixels } from "../kit/lab/png-pixels";

const ENABLED = ["[screenshots]", "enabled = yes", "interval_ms = 100"];

/** In characters and in pixels; QEMU shows a cell of VGA's text mode with 9 by 16. */
const CELL = { width: 9, height: 16 };

/** Clears the screen, and hides its cursor. */
const CLEAR = "printf '\\033[?25l\\033[2J' > /dev/tty0";

/** Writes full blocks of white at a place: what is taken in the middle of that differs by less than a change. */
function block(row: number, column: number, count: number): string {
  return `printf '\\033[${row};${column}H\\033[47m%${count}s\\033[0m' '' > /dev/tty0`;
}

/** Returns which cells of the text screen are not black, as "row:column". */
function litCells(pixels: Pixels): string[] {
  const lit: string[] = [];
  for (let y = 0; y < pixels.length; y += CELL.height) {
    for (let x = 0; x < pixels[0]!.length; x += CELL.width) {
      if (pixels[y]![x] !== "000000") lit.push(`${y / CELL.height + 1}:${x / CELL.width + 1}`);
    }
  }
  return lit;
}

test("a picture is written for each screen that differs, numbered without a gap, and shows what the guest's console does", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute(`${CLEAR}; ${block(2, 3, 2)}`);
    const analysis = await startModules(lab, ENABLED, guest);
    const taken = () => analysis.eventsOf("screenshot").length;
    assert.equal(taken(), 1);
    // Some looks at a screen that stays as it is.
    await execute("/bin/sleep 1");
    assert.equal(taken(), 1);
    await execute(block(20, 70, 2));
    await untilTrue(() => taken() === 2);
    await execute(block(10, 1, 2));
    await untilTrue(() => taken() === 3);
    await stopModules(analysis);
    assert.deepEqual(analysis.list("shots"), ["0001.png", "0002.png", "0003.png"]);
    assert.deepEqual(analysis.eventsOf("screenshot").map(({ file }) => file), ["shots/0001.png", "shots/0002.png", "shots/0003.png"]); // prettier-ignore
    const cells = analysis.list("shots").map((name) => litCells(readPngPixels(readFileSync(analysis.path(`shots/${name}`))))); // prettier-ignore
    assert.deepEqual(cells, [
      ["2:3", "2:4"],
      ["2:3", "2:4", "20:70", "20:71"],
      ["2:3", "2:4", "10:1", "10:2", "20:70", "20:71"],
    ]);
    // QEMU's own picture of the last screen.
    await guest.qmp("screendump", { filename: lab.path("own.png"), format: "png" });
    const own = readPngPixels(readFileSync(lab.path("own.png")));
    assert.deepEqual(readPngPixels(readFileSync(analysis.path("shots/0003.png"))), own);
    assert.deepEqual([analysis.log, analysis.status("screenshots").errors], [[], []]);
  });
});

test("a cursor that blinks is no new screen", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("printf '\\033[2J\\033[H\\033[?25h' > /dev/tty0");
    const analysis = await startModules(lab, ENABLED, guest);
    await execute("/bin/sleep 2");
    await stopModules(analysis);
    assert.deepEqual(analysis.list("shots"), ["0001.png"]);
  });
});

test("a screen that changes without end does not fill the disk, and two analyses have pictures of their own", async () => {
  await withGuests({ names: ["a", "b"] }, async ([a, b]) => {
    await Promise.all([a!.execute(CLEAR), b!.execute(`${CLEAR}; ${block(9, 9, 4)}`)]);
    const [first, second] = await Promise.all([
      startModules(a!.lab, [...ENABLED, "most = 2"], a!.guest),
      startModules(b!.lab, ENABLED, b!.guest),
    ]);
    for (let row = 2; row < 7; row++) await a!.execute(`${block(row, 1, 4)}; /bin/sleep 0.3`);
    await Promise.all([stopModules(first), stopModules(second)]);
    assert.deepEqual(first.list("shots"), ["0001.png", "0002.png"]);
    assert.deepEqual(first.log, ["warn: screenshots: 2 pictures are kept, and no more are taken (most)"]);
    assert.deepEqual(second.list("shots"), ["0001.png"]);
    assert.deepEqual(litCells(readPngPixels(readFileSync(second.path("shots/0001.png")))), ["9:9", "9:10", "9:11", "9:12"]); // prettier-ignore
  });
});
