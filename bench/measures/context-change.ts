import { alternate } from "../alternation";
import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { ContextChangesReport } from "../inside/context-changes";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

/** Processes only: the loop stays in one address space. */
const WORK = { loops: 1, forks: 500 };

/** What a function called at every change of the address space costs; "plain" is rebox without it. */
export const contextChange: Measure = {
  name: "context-change",
  async run(context) {
    const time = new SampleCollection("context-change: processes", "ms");
    const cpu = new SampleCollection("context-change: processes, CPU time", "ms");
    const rate = new SampleCollection("context-change: calls", "/s");
    await alternate(this.name, context, async (side) => {
      const args = getGuestArguments("workload", WORK);
      await using guest = startInside("context-changes", [side === "rebox" ? "watched" : "unwatched", ...args]);
      const add = side === "rebox" ? "addRebox" : "addPlain";
      await guest.waitForFact("workload.forks");
      guest.proceed();
      const before = guest.cpuTimeMs;
      time[add](Number(await guest.waitForFact("workload.forks_ms")));
      cpu[add](guest.cpuTimeMs - before);
      guest.proceed();
      const { calls, elapsedMs } = await guest.waitForMessage<ContextChangesReport>();
      if (side === "rebox") {
        rate.addRebox(calls / (elapsedMs / 1000));
      }
    });
    return [time, cpu, rate].map((samples) => samples.toRow());
  },
};
