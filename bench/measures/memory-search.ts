import { alternate } from "../alternation";
import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

/** A second or two without the search. */
const WORK = { loops: 100_000, forks: 400 };
const LIMIT = { of: "ratio", bound: "at most", value: 4 } as const;
const SEARCHES = [
  { title: "a text", what: 'text="correct horse battery"', limit: LIMIT },
  { title: "a text, an expression and keys", what: 'text="correct horse" regex=4[0-9]{15} keys', limit: undefined },
] as const;

/** What a search of all accesses of the whole system costs the guest, which holds nothing that is looked for; "plain" is rebox without it. */
export const memorySearch: Measure = {
  name: "memory-search",
  async run(context) {
    const rows: SampleCollection[] = [];
    for (const { title, what, limit } of SEARCHES) {
      const loops = new SampleCollection(`memory-search: ${title}, loop`, "ms", limit);
      const forks = new SampleCollection(`memory-search: ${title}, processes`, "ms", limit);
      await alternate(this.name, context, async (side) => {
        const args = getGuestArguments("workload", WORK);
        await using guest = startInside("memory-search", [side === "rebox" ? what : "none", ...args]);
        const add = side === "rebox" ? "addRebox" : "addPlain";
        loops[add](Number(await guest.waitForFact("workload.loops_ms")));
        forks[add](Number(await guest.waitForFact("workload.forks_ms")));
      });
      rows.push(loops, forks);
    }
    return rows.map((samples) => samples.toRow());
  },
};
