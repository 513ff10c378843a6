import type { Measure } from "../measure";
import { type ClusterModel, simulateCluster } from "../model/cluster-model";
import { COSTS } from "../model/measured-costs";
import { SampleCollection } from "../sample-collection";

const MIB = 1 << 20;

/** A cluster of ordinary parts: an analysis has its machine for two and a half minutes, of which 40 seconds are the same for each. */
export const ORDINARY: ClusterModel = {
  ...{ hosts: 10, machinesPerHost: 8, analysesPerDay: 30_000, analysisS: 150, fixedS: 40, costs: COSTS },
  ...{ databaseCores: 4, storeRate: 1_000 * MIB, bytesPerAnalysis: 8 * MIB, leaseS: 30, beatS: 7.5 },
  ...{
    spreadPerHostS: 0.002,
    leastSpreadS: 0.02,
    askS: 5,
    upkeepS: 0.5,
    upkeepOfOneS: 2.5,
    hoursSimulated: 2,
    seed: 7,
  },
};

/** The clusters whose figures docs/architecture/hosts.md has. */
const SCENES: readonly (readonly [string, Partial<ClusterModel>])[] = [
  ["10 hosts, 30,000 analyses a day", {}],
  ["10 hosts, 44,000 a day", { analysesPerDay: 44_000 }],
  ["100 hosts, 300,000 a day", { hosts: 100, analysesPerDay: 300_000 }],
  ["100 hosts, 440,000 a day", { hosts: 100, analysesPerDay: 440_000 }],
  ["1,000 hosts, 1,000,000 a day", { hosts: 1_000, analysesPerDay: 1_000_000 }],
  ["1,000 hosts, 4,000,000 a day", { hosts: 1_000, analysesPerDay: 4_000_000 }],
  ["100 hosts of 16 machines, 900,000 a day", { hosts: 100, machinesPerHost: 16, analysesPerDay: 900_000 }],
  ["1,000 hosts, 1,000,000 a day, each host dies once a day", { hosts: 1_000, analysesPerDay: 1_000_000, hostFailsEveryH: 24 }], // prettier-ignore
  ["1,000 hosts, 1,000,000 a day, the database is away for 5 minutes", { hosts: 1_000, analysesPerDay: 1_000_000, databaseAwayS: 300 }], // prettier-ignore
  ["1,000 hosts, 1,000,000 a day, the store is away for 5 minutes", { hosts: 1_000, analysesPerDay: 1_000_000, storeAwayS: 300 }], // prettier-ignore
];

/** A simulation of clusters, fed with measured times: where they saturate, and what a loss costs. */
export const clusterModel: Measure = {
  name: "cluster-model",
  async run({ say }) {
    const theory = new SampleCollection("the simulation's mean wait against Erlang's formula: 80 machines, 90 % busy", "s", { of: "ratio", bound: "at most", value: 1.15 }); // prettier-ignore
    const one = { ...ORDINARY, fixedS: 0, costs: FREE, leastSpreadS: 0, spreadPerHostS: 0, askS: 3_600, hosts: 1, machinesPerHost: 80, analysesPerDay: 41_472, hoursSimulated: 400 }; // prettier-ignore
    theory.addRebox(simulateCluster(one).meanWaitS);
    theory.addPlain(waitByErlang(one.analysesPerDay / 86_400, one.analysisS, 80));
    const rows = SCENES.flatMap(([name, change]) => {
      say(`cluster-model: ${name}`);
      const result = simulateCluster({ ...ORDINARY, ...change });
      const facts: readonly (readonly [string, string, number])[] = [
        ...[["mean wait", "s", result.meanWaitS], ["wait of 99 of 100", "s", result.p99WaitS], ["longest wait", "s", result.longestWaitS], ["machines busy", "%", result.machineUse * 100]] as const, // prettier-ignore
        ...[["processors of the database busy", "%", result.databaseUse * 100], ["network of the store busy", "%", result.storeUse * 100]] as const, // prettier-ignore
        ...[["requests to the database", "1/s", result.requestsPerS], ["of them in vain", "%", result.askedInVain * 100]] as const, // prettier-ignore
        ...([
          ["attempts made again", "%", result.repeated * 100],
          ["waiting at the end", "", result.waiting],
        ] as const),
      ];
      return facts.map(([fact, unit, value]) => {
        const row = new SampleCollection(`${name}: ${fact}`, unit);
        row.addRebox(value);
        return row;
      });
    });
    return [theory, ...rows].map((row) => row.toRow());
  },
};

const FREE = { submit: 0, take: 0, ask: 0, heartbeat: 0, finish: 0, tell: 0, upkeep: 0, collect: 0, word: 0 };

/** The mean wait of a queue before machines that are all the same: Erlang's C formula (Erlang, 1917). */
function waitByErlang(rate: number, serviceS: number, machines: number): number {
  const load = rate * serviceS;
  // By the recursion of the B formula, which does not overflow.
  let blocked = 1;
  for (let count = 1; count <= machines; count++) blocked = (load * blocked) / (count + load * blocked);
  const waits = blocked / (1 - (load / machines) * (1 - blocked));
  return (waits * serviceS) / (machines - load);
}
