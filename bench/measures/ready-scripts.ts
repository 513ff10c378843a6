import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alternate } from "../alternation";
import { getGuestArguments } from "../guest-arguments";
import { startInside, startPlainQemu } from "../guest-process";
import type { Measure, MeasureContext } from "../measure";
import { getCoveragePlugin } from "../reference-plugin";
import type { ResultRow } from "../result-row";
import { SampleCollection } from "../sample-collection";

/** A second or two without a script. */
const WORK = { loops: 100_000, forks: 400 };

interface WatchingScript {
  readonly title: string;
  readonly script: string;
  readonly command: string;
  /** By which the script may multiply the guest's time; undefined where nothing is promised. */
  readonly mostTimes?: number;
}

const SEARCHES: readonly WatchingScript[] = [
  { title: "a text", script: "memory_search", command: 'memory_search text="correct horse battery"', mostTimes: 4 },
  {
    title: "a text, an expression and keys",
    script: "memory_search",
    command: 'memory_search text="correct horse" regex=4[0-9]{15} keys',
  },
];
const WATCHERS: readonly WatchingScript[] = [
  { title: "coverage of all", script: "coverage", command: "coverage_begin all", mostTimes: 1.3 },
  { title: "coverage of all, with edges", script: "coverage", command: "coverage_begin all edges" },
  { title: "injections", script: "injections", command: "injections" },
  { title: "coverage of started programs", script: "coverage", command: "coverage_begin process=true" },
  // Not of all processes: the loop alone would take minutes.
  { title: "exploit_detect of started programs", script: "exploit_detect", command: "exploit_detect process=true" },
  { title: "tls_plain", script: "tls_plain", command: "tls_plain" },
];

/** Measures what scripts cost the guest that watch all of it and find nothing; "plain" is rebox without them. */
async function measureScripts(
  name: string,
  scripts: readonly WatchingScript[],
  context: MeasureContext,
): Promise<ResultRow[]> {
  const rows: SampleCollection[] = [];
  for (const { title, script, command, mostTimes } of scripts) {
    const limit = mostTimes === undefined ? undefined : ({ of: "ratio", bound: "at most", value: mostTimes } as const);
    const loops = new SampleCollection(`${name}: ${title}, loop`, "ms", limit);
    const forks = new SampleCollection(`${name}: ${title}, processes`, "ms", limit);
    await alternate(name, context, async (side) => {
      const folder = mkdtempSync(join(tmpdir(), "rebox-bench-"));
      try {
        const args = [script, side === "rebox" ? command : "none", folder, ...getGuestArguments("workload", WORK)];
        await using guest = startInside("ready-script", args);
        const add = side === "rebox" ? "addRebox" : "addPlain";
        loops[add](Number(await guest.waitForFact("workload.loops_ms")));
        forks[add](Number(await guest.waitForFact("workload.forks_ms")));
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
    rows.push(loops, forks);
  }
  return rows.map((samples) => samples.toRow());
}

/** The cost of a search of all accesses of the whole system to the guest, which holds nothing that is looked for. */
export const memorySearch: Measure = {
  name: "memory-search",
  run: (context) => measureScripts("memory-search", SEARCHES, context),
};

/** The costs of other scripts that watch a whole guest, and of QEMU's plugin that notes executed blocks. */
export const readyScripts: Measure = {
  name: "ready-scripts",
  run: async (context) => [
    ...(await measureScripts("ready-scripts", WATCHERS, context)),
    ...(await measureCoveragePlugin(context)),
  ],
};

/** Plain QEMU with its plugin, which knows neither processes nor modules; "plain" is without it. */
async function measureCoveragePlugin(context: MeasureContext): Promise<ResultRow[]> {
  const loops = new SampleCollection("ready-scripts: QEMU's plugin drcov, loop", "ms");
  const forks = new SampleCollection("ready-scripts: QEMU's plugin drcov, processes", "ms");
  await alternate("ready-scripts", context, async (side) => {
    const folder = mkdtempSync(join(tmpdir(), "rebox-bench-"));
    try {
      const plugin = side === "rebox" ? getCoveragePlugin(join(folder, "file.drcov")) : [];
      await using guest = startPlainQemu([...getGuestArguments("workload", WORK), ...plugin]);
      const add = side === "rebox" ? "addRebox" : "addPlain";
      loops[add](Number(await guest.waitForFact("workload.loops_ms")));
      forks[add](Number(await guest.waitForFact("workload.forks_ms")));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
  return [loops, forks].map((samples) => samples.toRow());
}
