import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { LinuxGuestReport } from "../inside/linux-guest";
import type { Measure } from "../measure";
import type { Limit } from "../result-row";
import { SampleCollection } from "../sample-collection";

const SLEEPERS = 100;

function atMost(value: number): Limit {
  return { of: "value", bound: "at most", value };
}

const AT_LEAST_A_MILLION: Limit = { of: "value", bound: "at least", value: 1 };

/** How long it takes to attach to a Linux guest, to list its processes, and to look symbols up. */
export const linuxGuest: Measure = {
  name: "linux-guest",
  async run({ pairs, say }) {
    const cold = new SampleCollection("linux-guest: attach, cold", "ms", atMost(1000));
    const coldCpu = new SampleCollection("linux-guest: attach, cold, CPU time", "ms");
    const seen = new SampleCollection("linux-guest: attach, seen before", "ms", atMost(50));
    const seenCpu = new SampleCollection("linux-guest: attach, seen before, CPU time", "ms");
    const processes = new SampleCollection("linux-guest: processes", "");
    const list = new SampleCollection("linux-guest: list of them, CPU time", "ms", atMost(3));
    const firstList = new SampleCollection("linux-guest: first list, CPU time", "ms");
    const byName = new SampleCollection("linux-guest: symToVa", "M/s", AT_LEAST_A_MILLION);
    const byAddress = new SampleCollection("linux-guest: vaToSym", "M/s", AT_LEAST_A_MILLION);
    for (let turn = 0; turn < pairs; turn++) {
      const folder = mkdtempSync(join(tmpdir(), "rebox-bench-"));
      try {
        for (const isCold of [true, false]) {
          say(`${this.name}: ${isCold ? "cold" : "seen before"}, ${turn + 1} of ${pairs}`);
          const args = getGuestArguments("sleepers", { count: SLEEPERS });
          await using guest = startInside("linux-guest", [folder, ...args]);
          await guest.waitForFact("sleepers");
          guest.proceed();
          const report = await guest.waitForMessage<LinuxGuestReport>();
          (isCold ? cold : seen).addRebox(report.attachMs);
          (isCold ? coldCpu : seenCpu).addRebox(report.attachCpuMs);
          processes.addRebox(report.processes);
          list.addRebox(report.listMs);
          firstList.addRebox(report.firstListMs);
          byName.addRebox(report.byName);
          byAddress.addRebox(report.byAddress);
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    }
    return [cold, coldCpu, seen, seenCpu, processes, list, firstList, byName, byAddress].map((row) => row.toRow());
  },
};
