import { alternate } from "../alternation";
import { getGuestArguments } from "../guest-arguments";
import { startInside, startPlainQemu } from "../guest-process";
import type { Measure, MeasureContext } from "../measure";
import type { MeasuredProcess } from "../measured-process";
import { SampleCollection } from "../sample-collection";
import { getPercentile } from "../sample-summary";

const LIMIT = { of: "value", bound: "at most", value: 15 } as const;

async function measureTimers(guest: MeasuredProcess, timers: MeasuredProcess): Promise<number[]> {
  await guest.waitForFact("busy");
  timers.proceed();
  return (await timers.waitForMessage<{ lateness: number[] }>()).lateness;
}

/** Compares with timers of a Node without an engine, which runs beside a plain QEMU with the same guest. */
async function measureSide(side: "rebox" | "plain", watched: boolean): Promise<number[]> {
  const args = getGuestArguments("busy");
  if (side === "rebox") {
    await using guest = startInside("timers", [watched ? "watched" : "unwatched", ...args]);
    return await measureTimers(guest, guest);
  }
  await using guest = startPlainQemu(args);
  await using timers = startInside("timers", ["alone"]);
  return await measureTimers(guest, timers);
}

async function measureVariant(name: string, context: MeasureContext, watched: boolean) {
  const title = `timer-lateness${watched ? ", every block watched" : ""}`;
  const middle = new SampleCollection(`${title}: p50`, "ms");
  const high = new SampleCollection(`${title}: p99`, "ms", watched ? undefined : LIMIT);
  const highest = new SampleCollection(`${title}: highest`, "ms");
  const measureOnce = async (side: "rebox" | "plain") => {
    const lateness = await measureSide(side, watched);
    const add = side === "rebox" ? "addRebox" : "addPlain";
    middle[add](getPercentile(lateness, 0.5));
    high[add](getPercentile(lateness, 0.99));
    highest[add](Math.max(...lateness));
  };
  if (watched) {
    for (let turn = 0; turn < context.pairs; turn++) {
      context.say(`${name}: every block watched, ${turn + 1} of ${context.pairs}`);
      await measureOnce("rebox");
    }
  } else {
    await alternate(name, context, measureOnce);
  }
  return [middle, high, highest].map((samples) => samples.toRow());
}

/** How late a script's 10 ms timers are while the guest works without a pause. */
export const timerLateness: Measure = {
  name: "timer-lateness",
  needsPlainQemu: true,
  async run(context) {
    return [...(await measureVariant(this.name, context, false)), ...(await measureVariant(this.name, context, true))];
  },
};
