import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { alternate } from "../alternation";
import { getBuildFolder, getGuestArguments } from "../guest-arguments";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";
import { getMedian } from "../sample-summary";

const REBOX = join(getBuildFolder(), "js/src/cli/main.js");
/** A busy shell: most of a minute. */
const WORK = { loops: 1_500_000, forks: 5000, copies: 2_000_000 };
const PLACES = 16;
const STEPS = 8;
const BYTES_PER_MB = 1e6;
const MS_PER_MINUTE = 60_000;

/**
 * What it costs to record a guest, beside the same guest with counted instructions; to replay it, beside recording it; and to go to any
 * place in it.
 */
export const replay: Measure = {
  name: "replay",
  async run(context) {
    const atMost = (of: "ratio" | "value", value: number) => ({ of, bound: "at most", value }) as const;
    const recording = new SampleCollection("replay: recording, beside -icount", "ms", atMost("ratio", 1.15));
    const log = new SampleCollection("replay: log of a minute of a busy shell", "MB", atMost("value", 15));
    const replaying = new SampleCollection("replay: bare replay, beside recording", "ms", atMost("ratio", 1.5));
    const going = new SampleCollection("replay: goto, median of 16 places", "ms", atMost("value", 3000));
    const stepping = new SampleCollection("replay: reverse-step, median of 8", "ms", atMost("value", 1000));
    await alternate(this.name, context, async (side) => {
      const folder = mkdtempSync(join(tmpdir(), "rebox-bench-"));
      try {
        const args = ["--", ...getGuestArguments("workload", WORK).map((word) => (word === "stdio" ? "null" : word))];
        if (side === "plain") {
          recording.addPlain(await takeTime(["run", ...args, "-icount", "shift=4"]));
          return;
        }
        const place = join(folder, "one");
        const recordedMs = await takeTime(["record", "-o", place, ...args]);
        recording.addRebox(recordedMs);
        log.addRebox((statSync(join(place, "log")).size / BYTES_PER_MB / recordedMs) * MS_PER_MINUTE);
        replaying.addPlain(recordedMs);
        replaying.addRebox(await takeTime(["replay", place]));
        const { gotoMs, stepMs } = await travel(place);
        going.addRebox(gotoMs);
        stepping.addRebox(stepMs);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
    return [recording, log, replaying, going, stepping].map((row) => row.toRow());
  },
};

/** Runs rebox, and returns how long it took, in milliseconds. */
async function takeTime(args: readonly string[]): Promise<number> {
  const beganMs = performance.now();
  const child = spawn(process.execPath, [REBOX, ...args], { stdio: "ignore" });
  const [status] = (await once(child, "exit")) as [number | null];
  if (status !== 0) throw new Error(`rebox ${args[0]} ended with ${status}`);
  return performance.now() - beganMs;
}

/** Goes to places all over a recording that was replayed once, and steps back from each second one. */
async function travel(recording: string): Promise<{ gotoMs: number; stepMs: number }> {
  const child = spawn(process.execPath, [REBOX, "replay", recording, "--shell"], { stdio: ["pipe", "pipe", "ignore"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (line: string) => {
    const beganMs = performance.now();
    child.stdin.write(`${line}\n`);
    const answer = await lines.next();
    const text = String(answer.value);
    if (!text.startsWith("instruction ")) throw new Error(`rebox replay answers ${line} by: ${text}`);
    return { tookMs: performance.now() - beganMs, text };
  };
  try {
    const total = Number(/instruction (\d+)/.exec((await ask("goto end")).text)?.[1]);
    const [gotoMs, stepMs]: [number[], number[]] = [[], []];
    for (let place = 0; place < PLACES; place++) {
      // Every place once, far from the one before: 7 has no divisor in common with their number.
      const part = (((place * 7) % PLACES) + 0.5) / PLACES;
      gotoMs.push((await ask(`goto ${Math.floor(part * total)}`)).tookMs);
      if (place % (PLACES / STEPS) === 0) stepMs.push((await ask("reverse-step")).tookMs);
    }
    return { gotoMs: getMedian(gotoMs), stepMs: getMedian(stepMs) };
  } finally {
    child.kill("SIGTERM");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
}
