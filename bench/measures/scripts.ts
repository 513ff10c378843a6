import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { ScriptCallsReport } from "../inside/script-calls";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

/** Enough for the guest never to leave its loop. */
const WORK = { loops: 1_000_000_000, forks: 1 };

const RELOAD_LIMIT = { of: "value", bound: "at most", value: 100 } as const;

/** Blocks that a script sees in a second of CPU time, and how long its reload takes: in the sandbox, and trusted. */
export const scripts: Measure = {
  name: "scripts",
  async run({ pairs, say }) {
    const rows = [];
    for (const where of ["sandboxed", "trusted"]) {
      const reload = new SampleCollection(`scripts: reload, ${where}`, "ms", RELOAD_LIMIT);
      for (const kind of ["count", "read", "process", "stream"]) {
        const rate = new SampleCollection(`scripts: ${kind}, ${where}, in CPU time`, "M/s");
        for (let turn = 0; turn < pairs; turn++) {
          say(`${this.name}: ${where} ${kind}, ${turn + 1} of ${pairs}`);
          await using guest = startInside("script-calls", [where, kind, ...getGuestArguments("workload", WORK)]);
          await guest.waitForFact("workload.loops");
          guest.proceed();
          const { calls, cpuMs, reloadMs } = await guest.waitForMessage<ScriptCallsReport>();
          rate.addRebox(calls / 1e3 / cpuMs);
          reload.addRebox(reloadMs);
        }
        rows.push(rate);
      }
      rows.push(reload);
    }
    return rows.map((samples) => samples.toRow());
  },
};
