import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { GuestReadsReport } from "../inside/guest-reads";
import type { Measure } from "../measure";
import type { Limit } from "../result-row";
import { SampleCollection } from "../sample-collection";

/** In nanoseconds. */
const LIMITS: Readonly<Record<string, number>> = { "register-read": 20, "read-pa": 300, "view-pa": 15 };

function getLimit(name: string): Limit | undefined {
  const value = LIMITS[name];
  return value === undefined ? undefined : { of: "value", bound: "at most", value };
}

/** How long a script takes to read a register or eight bytes of memory of a paused guest. */
export const guestReads: Measure = {
  name: "guest-reads",
  async run({ pairs, say }) {
    const rows = new Map<string, SampleCollection>();
    for (let turn = 0; turn < pairs; turn++) {
      say(`${this.name}: ${turn + 1} of ${pairs}`);
      await using guest = startInside("guest-reads", getGuestArguments("busy"));
      await guest.waitForFact("busy");
      guest.proceed();
      for (const [name, nanoseconds] of Object.entries(await guest.waitForMessage<GuestReadsReport>())) {
        const row = rows.get(name) ?? new SampleCollection(name, "ns", getLimit(name));
        row.addRebox(nanoseconds);
        rows.set(name, row);
      }
    }
    return [...rows.values()].map((samples) => samples.toRow());
  },
};
