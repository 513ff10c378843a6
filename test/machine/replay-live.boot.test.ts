import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { RecordingFolder } from "../kit/guests/recording-run";
import { getShortRecording } from "../kit/lab/short-recording";

/** Tells whether memory can be written, before the recording is left and behind that. */
const WRITER = `
  import { Engine, getInstructionCount, readPa, writePa } from "rebox";
  const PLACE = 0x7000000n;
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    const attempt = (): string => {
      try {
        writePa(PLACE, Uint8Array.of(0x5a));
        return "written " + readPa(PLACE, 1)[0]!.toString(16);
      } catch (error) {
        return String((error as { code?: string }).code);
      }
    };
    Engine.get().on("paused", () => print("paused at " + getInstructionCount() + ": " + attempt()));
    Engine.get().on("running", () => {
      if (Engine.get().recording === undefined) print("lives: " + attempt());
    });
  }
  export function clean(): void {}
`;

test("a guest that has left its recording lives on to its own end, and may be changed from there", async () => {
  using folder = new RecordingFolder();
  const { folder: recording, console, instructions } = await getShortRecording();
  const at = Math.floor(instructions * 0.8);
  const live = await folder.replay(recording, { script: WRITER, reboxArgs: ["--at", String(at), "--go-live"] });
  assert.equal(live.status, 0, live.stderr);
  assert.match(live.stderr, new RegExp(`^rebox: the recording was left at instruction ${at} of ${instructions}; the guest lives on$`, "m")); // prettier-ignore
  assert.deepEqual(live.messages.slice(0, 2), [`paused at ${at}: REBOX_RECORDED`, "lives: written 5a"]);
  // Its work goes on where it was, in its own time, to its end.
  assert.match(live.console, /turn=6\r[^]*^rebox-guest: poweroff\.done=1/m);
  assert.ok(live.console.startsWith(console.slice(0, 300)) && Number(live.detail["instructions"]) > at, live.console);
});

test("the shell leaves a recording, also where it has gone back, the guest says then what it would say, and there is no way into it again", async () => {
  using folder = new RecordingFolder();
  const { folder: recording, console, instructions } = await getShortRecording();
  // Between what is said at the ends of the third turn and the fourth.
  const [near, far] = [0.2, 0.75].map((part) => Math.floor(instructions * part));
  const answers = await folder.ask(recording, [
    ...[`goto ${far}`, `goto ${near}`, "iowb 80=1", "go-live", "iowb 80=1", "step", "goto 5", "go-live"],
    ...["cont", "pause", "where", "cont", "!new Promise((go) => Engine.get().on('shutdown', go))"],
  ]);
  const [, back, refused, left, written, , noWay, again, , , where] = answers;
  assert.match(back!, new RegExp(`^instruction ${near} of`));
  assert.match(refused!, /^error: .*the machine is recorded or replayed/);
  assert.match(left!, new RegExp(`^instruction ${near}; .*the guest is not recorded, paused$`, "m"));
  assert.doesNotMatch(written!, /error/);
  assert.match(noWay!, /^error: goto needs a replay/);
  assert.match(again!, /^error: go-live needs a replay/);
  assert.ok(Number(/^instruction (\d+);/m.exec(where!)?.[1]) > near!, where);
  // What it says between the two places it says once more, and then the rest.
  const said = readFileSync(folder.place("console-1.txt"), "latin1");
  assert.ok(said.startsWith(console.slice(0, 300)), said);
  assert.equal(said.match(/turn=3\r/g)?.length, 2, said);
  assert.match(said, /turn=3\r[^]*turn=3\r[^]*turn=6\r[^]*^rebox-guest: poweroff\.done=1/m);
});
