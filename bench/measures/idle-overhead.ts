import { alternate } from "../alternation";
import { getGuestArguments } from "../guest-arguments";
import { startInside, startPlainQemu } from "../guest-process";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

/** About two seconds each, or more. */
const WORK = { loops: 150_000, forks: 500 };
const LIMIT = { of: "ratio", bound: "at most", value: 1.02 } as const;

/** How long the same work takes in the guest when no script listens to anything: by its own clock, and in CPU time. */
export const idleOverhead: Measure = {
  name: "idle-overhead",
  needsPlainQemu: true,
  async run(context) {
    const loops = new SampleCollection("idle-overhead: loop", "ms", LIMIT);
    const forks = new SampleCollection("idle-overhead: processes", "ms", LIMIT);
    const loopsCpu = new SampleCollection("idle-overhead: loop, CPU time", "ms");
    const forksCpu = new SampleCollection("idle-overhead: processes, CPU time", "ms");
    await alternate(this.name, context, async (side) => {
      const args = getGuestArguments("workload", WORK);
      await using guest = side === "rebox" ? startInside("silent", args) : startPlainQemu(args);
      const add = side === "rebox" ? "addRebox" : "addPlain";
      await guest.waitForFact("workload.loops");
      const atStart = guest.cpuTimeMs;
      loops[add](Number(await guest.waitForFact("workload.loops_ms")));
      const between = guest.cpuTimeMs;
      forks[add](Number(await guest.waitForFact("workload.forks_ms")));
      const atEnd = guest.cpuTimeMs;
      loopsCpu[add](between - atStart);
      forksCpu[add](atEnd - between);
    });
    return [loops, forks, loopsCpu, forksCpu].map((samples) => samples.toRow());
  },
};
