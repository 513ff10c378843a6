import { alternate } from "../alternation";
import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { ProcessEventsReport } from "../inside/process-events";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

/** The loop gives time to attach to the guest, which is no cost of events; then processes only. */
const WORK = { loops: 50_000, forks: 1000 };

const LIMIT = { of: "ratio", bound: "at most", value: 1.03 } as const;

const VARIANTS = [
  { variant: "watched", title: "process-events", limit: LIMIT },
  { variant: "modules", title: "process-events: with modules", limit: undefined },
] as const;

/** What knowing each process that begins and ends costs a guest that does nothing else; "plain" is rebox without it. */
export const processEvents: Measure = {
  name: "process-events",
  async run(context) {
    const rows: SampleCollection[] = [];
    for (const { variant, title, limit } of VARIANTS) {
      const time = new SampleCollection(`${title}: processes`, "ms");
      const cpu = new SampleCollection(`${title}: processes, CPU time`, "ms", limit);
      const events = new SampleCollection(`${title}: calls`, "");
      await alternate(this.name, context, async (side) => {
        const args = getGuestArguments("workload", WORK);
        await using guest = startInside("process-events", [side === "rebox" ? variant : "unwatched", ...args]);
        const add = side === "rebox" ? "addRebox" : "addPlain";
        await guest.waitForFact("workload.loops");
        guest.proceed();
        await guest.waitForMessage();
        await guest.waitForFact("workload.forks");
        const before = guest.cpuTimeMs;
        time[add](Number(await guest.waitForFact("workload.forks_ms")));
        cpu[add](guest.cpuTimeMs - before);
        const { calls } = await guest.waitForMessage<ProcessEventsReport>();
        if (side === "rebox") events.addRebox(calls);
      });
      rows.push(time, cpu, events);
    }
    return rows.map((samples) => samples.toRow());
  },
};
