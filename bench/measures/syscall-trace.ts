import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alternate } from "../alternation";
import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

/** The loop gives time to load the script and to attach; then processes, or a program that does nothing but system calls. */
const LOOPS = 100_000;
const LIMIT = { of: "ratio", bound: "at most", value: 1.25 } as const;
const WORKS = [
  { title: "syscall-trace: processes", work: { loops: LOOPS, forks: 500 }, part: "forks", limit: LIMIT },
  { title: "syscall-trace: dd", work: { loops: LOOPS, forks: 0, copies: 200_000 }, part: "copies", limit: undefined },
] as const;

function countLines(folder: string): number {
  try {
    return readFileSync(join(folder, "trace.txt"), "latin1").split("\n").length - 1;
  } catch {
    return 0;
  }
}

/** What the shipped script costs that writes every system call, with name and arguments; "plain" is rebox without it. */
export const syscallTrace: Measure = {
  name: "syscall-trace",
  async run(context) {
    const rows: SampleCollection[] = [];
    for (const { title, work, part, limit } of WORKS) {
      const cpu = new SampleCollection(`${title}, CPU time`, "ms", limit);
      const calls = new SampleCollection(`${title}: calls`, "");
      await alternate(this.name, context, async (side) => {
        const folder = mkdtempSync(join(tmpdir(), "rebox-bench-"));
        try {
          const variant = side === "rebox" ? "traced" : "untraced";
          await using guest = startInside("syscall-trace", [variant, folder, ...getGuestArguments("workload", work)]);
          await guest.waitForFact("workload.loops");
          guest.proceed();
          await guest.waitForMessage();
          await guest.waitForFact(`workload.${part}`);
          const before = { cpuMs: guest.cpuTimeMs, calls: countLines(folder) };
          await guest.waitForFact(`workload.${part}_ms`);
          cpu[side === "rebox" ? "addRebox" : "addPlain"](guest.cpuTimeMs - before.cpuMs);
          // What is still in the script's hands is not among them.
          if (side === "rebox") calls.addRebox(countLines(folder) - before.calls);
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
      rows.push(cpu, calls);
    }
    return rows.map((samples) => samples.toRow());
  },
};
