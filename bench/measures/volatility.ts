import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getVolatilityProgram } from "../../src/guest/volatility/volatility-program";
import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { VolatilityReport } from "../inside/volatility";
import type { Measure } from "../measure";
import type { Limit } from "../result-row";
import { SampleCollection } from "../sample-collection";

const SLEEPERS = 100;

function atMost(value: number): Limit {
  return { of: "value", bound: "at most", value };
}

/** How long it takes to write a symbol file, and what rebox adds to a run of Volatility. */
export const volatility: Measure = {
  name: "volatility",
  async run({ pairs, say }) {
    const isf = new SampleCollection("volatility: symbol file", "ms", atMost(2000));
    const isfCpu = new SampleCollection("volatility: symbol file, CPU time", "ms");
    const first = new SampleCollection("volatility: first run", "ms");
    const later = new SampleCollection("volatility: later runs", "ms", atMost(150));
    const own = new SampleCollection("volatility: Volatility's own", "ms");
    // The measured processes have a cache of their own, in which none is installed.
    const { command } = await getVolatilityProgram();
    process.env["REBOX_VOLATILITY"] = command.map((word) => `'${word}'`).join(" ");
    for (let turn = 0; turn < pairs; turn++) {
      say(`${this.name}: ${turn + 1} of ${pairs}`);
      const folder = mkdtempSync(join(tmpdir(), "rebox-bench-"));
      try {
        await using guest = startInside("volatility", [folder, ...getGuestArguments("sleepers", { count: SLEEPERS })]);
        await guest.waitForFact("sleepers");
        guest.proceed();
        const { isfMs, isfCpuMs, ownMs, volatilityMs } = await guest.waitForMessage<VolatilityReport>();
        isf.addRebox(isfMs);
        isfCpu.addRebox(isfCpuMs);
        for (const [run, ms] of ownMs.entries()) (run === 0 ? first : later).addRebox(ms);
        for (const ms of volatilityMs) own.addRebox(ms);
      } finally {
        rmSync(folder, { recursive: true });
      }
    }
    return [isf, isfCpu, first, later, own].map((row) => row.toRow());
  },
};
