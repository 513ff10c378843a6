import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alternate } from "../alternation";
import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

/** The loop gives time to load the modules and to attach. */
const LOOPS = 200_000;
/** Enough that the target's beginning, which is looked at closely, is a small part. */
const TURNS = 600;
const WORKS = [
  { title: "observation: work of the target", inside: 1, limit: 1.25 },
  { title: "observation: work of the system", inside: 0, limit: 1.05 },
] as const;

/** What the observation of an analysis with its usual modules costs the guest; "plain" is rebox without it. */
export const observation: Measure = {
  name: "observation",
  async run(context) {
    const rows: SampleCollection[] = [];
    for (const { title, inside, limit } of WORKS) {
      const cpu = new SampleCollection(`${title}, CPU time`, "ms", { of: "ratio", bound: "at most", value: limit });
      const told = new SampleCollection(`${title}: events told`, "");
      await alternate(this.name, context, async (side) => {
        const folder = mkdtempSync(join(tmpdir(), "rebox-bench-"));
        try {
          const variant = side === "rebox" ? "observed" : "unobserved";
          const guestArguments = getGuestArguments("observed", { loops: LOOPS, turns: TURNS, inside });
          await using guest = startInside("observation", [variant, folder, ...guestArguments]);
          await guest.waitForFact("observed.loops");
          guest.proceed();
          await guest.waitForMessage();
          await guest.waitForFact("observed.begins");
          const beforeMs = guest.cpuTimeMs;
          await guest.waitForFact("observed.done");
          cpu[side === "rebox" ? "addRebox" : "addPlain"](guest.cpuTimeMs - beforeMs);
          guest.proceed();
          const message = await guest.waitForMessage<{ told: number }>();
          if (side === "rebox") told.addRebox(message.told);
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
      rows.push(cpu, told);
    }
    return rows.map((samples) => samples.toRow());
  },
};
