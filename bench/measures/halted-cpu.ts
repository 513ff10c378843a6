import { setTimeout as sleep } from "node:timers/promises";
import { alternate } from "../alternation";
import { getGuestArguments } from "../guest-arguments";
import { startInside, startPlainQemu } from "../guest-process";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

const SETTLING_MS = 3000;
const WINDOW_MS = 8000;

/** How much of a core a guest uses that does nothing. */
export const haltedCpu: Measure = {
  name: "halted-cpu",
  needsPlainQemu: true,
  async run(context) {
    const use = new SampleCollection("halted-cpu", "%", { of: "value", bound: "at most", value: 2 });
    await alternate(this.name, context, async (side) => {
      const args = getGuestArguments("idle");
      await using guest = side === "rebox" ? startInside("silent", args) : startPlainQemu(args);
      await guest.waitForFact("ready");
      await sleep(SETTLING_MS);
      const startMs = performance.now();
      const before = guest.cpuTimeMs;
      await sleep(WINDOW_MS);
      const percent = ((guest.cpuTimeMs - before) / (performance.now() - startMs)) * 100;
      use[side === "rebox" ? "addRebox" : "addPlain"](percent);
    });
    return [use.toRow()];
  },
};
