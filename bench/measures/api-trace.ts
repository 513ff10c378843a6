import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alternate } from "../alternation";
import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

const CALLS = 300_000;
/** The turns of an empty loop before each call, so that it is called some 100,000 times a second where nothing is traced. */
const WORKS = [
  { title: "api-trace: 100,000 calls a second", turns: 2900, limit: { of: "ratio", bound: "at most", value: 1.5 } },
  { title: "api-trace: nothing but calls", turns: 0, limit: undefined },
] as const;
const NS_PER_MS = 1e6;
const MS_PER_SECOND = 1000;

function countLines(folder: string): number {
  return readFileSync(join(folder, "api.log"), "latin1").split("\n").length - 1;
}

/**
 * What the shipped script costs that writes every call of functions of the C library, in a program that calls one of them, by the guest's
 * own clock; "plain" is rebox without it.
 */
export const apiTrace: Measure = {
  name: "api-trace",
  async run(context) {
    const rows: SampleCollection[] = [];
    for (const { title, turns, limit } of WORKS) {
      const time = new SampleCollection(`${title}, by the guest's clock`, "ms", limit);
      const cpu = new SampleCollection(`${title}, CPU time`, "ms");
      const rate = new SampleCollection(`${title}: calls a second without it`, "");
      await alternate(this.name, context, async (side) => {
        const folder = mkdtempSync(join(tmpdir(), "rebox-bench-"));
        try {
          const variant = side === "rebox" ? "traced" : "untraced";
          const work = { count: CALLS, turns };
          await using guest = startInside("api-trace", [variant, folder, ...getGuestArguments("hooked", work)]);
          await guest.waitForMessage();
          await guest.waitForFact("caller.count");
          const before = guest.cpuTimeMs;
          const tookMs = Number(await guest.waitForFact("caller.ns")) / NS_PER_MS;
          const add = side === "rebox" ? "addRebox" : "addPlain";
          time[add](tookMs);
          cpu[add](guest.cpuTimeMs - before);
          if (side === "plain") rate.addRebox((CALLS / tookMs) * MS_PER_SECOND);
          // Nearly all of them: what is still in the script's hands is not in the file yet.
          else if (countLines(folder) < CALLS / 2)
            throw new Error(`${title}: only ${countLines(folder)} calls were traced`);
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
      rows.push(time, cpu, rate);
    }
    return rows.map((samples) => samples.toRow());
  },
};
