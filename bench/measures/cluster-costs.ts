import type { AnalysisRequest } from "../../src/lab/analysis/analysis-database";
import type { Attempt } from "../../src/lab/cluster/analysis-queue";
import type { PostgresCluster } from "../../src/lab/cluster/postgres/postgres-cluster";
import { NO_CLUSTER, TestCluster, until } from "../../test/kit/cluster/test-cluster";
import type { Measure } from "../measure";
import type { RequestCosts } from "../model/cluster-model";
import { SampleCollection } from "../sample-collection";

/** Requests of each kind. */
const REQUESTS = 300;
/** Members that listen beside the one that asks. */
const LISTENERS = 10;
const FILES = ["report.json", "report.html", "analysis.json", "events.jsonl"].map((name) => ({ name, size: 2, sha256: "00".repeat(32) })); // prettier-ignore
const REQUEST: AnalysisRequest = { machine: undefined, target: undefined, command: "true", options: {}, timeoutS: 60, scripts: [] }; // prettier-ignore

/** What each request of a cluster costs PostgreSQL: with this the model of bench/model is fed. */
export const clusterCosts: Measure = {
  name: "cluster-costs",
  async run({ pairs, say }) {
    if (NO_CLUSTER !== false) throw new Error(`cluster-costs: ${NO_CLUSTER}`);
    const names: readonly (keyof RequestCosts)[] = ["submit", "take", "heartbeat", "finish", "ask", "tell", "upkeep", "collect", "word"]; // prettier-ignore
    const costs = names.map((name) => new SampleCollection(`processor time of PostgreSQL: ${name}`, "ms"));
    const memory = new SampleCollection("memory of PostgreSQL for a connection that rests", "MiB");
    for (let turn = 0; turn < pairs; turn++) {
      say(`${this.name}: ${turn + 1} of ${pairs}`);
      const tested = await TestCluster.start();
      try {
        const opened = await tested.open(tested.makeLab("costs"));
        const measured = await measureCosts(tested, opened);
        const { word, connectionMiB } = await measureListeners(tested, opened);
        memory.addRebox(connectionMiB);
        for (const [at, name] of names.entries()) costs[at]!.addRebox(name === "word" ? word : measured[name]!);
      } finally {
        await tested.stop();
      }
    }
    return [...costs, memory].map((row) => row.toRow());
  },
};

/** Returns the processor time of PostgreSQL for each kind of request, in milliseconds. */
async function measureCosts(
  { postgres }: TestCluster,
  { queue, hosts }: PostgresCluster,
): Promise<Partial<Record<keyof RequestCosts, number>>> {
  const measure = async (act: (at: number) => Promise<unknown>) => {
    const beforeMs = postgres.readProcessorMs();
    for (let at = 0; at < REQUESTS; at++) await act(at);
    return (postgres.readProcessorMs() - beforeMs) / REQUESTS;
  };
  const offer = { host: "one", machine: "office", fits: () => true };
  const attempts: Attempt[] = [];
  const load = { analyses: 1, processes: 1, freeMemory: 1, memory: 1, freeDisk: 1 };
  const done = { outcome: "finished", reason: undefined, files: FILES } as const;
  // In this order: each finds what the one before has left.
  const submit = await measure((number) => queue.submit({ origin: "costs", number, request: { ...REQUEST, submission: { by: `user-${number % 5}`, priority: 1 } }, target: undefined, scripts: [] })); // prettier-ignore
  // A machine has one analysis at a time.
  const take = await measure(async (at) => attempts.push((await queue.take({ ...offer, machine: `office-${at}` }))!));
  const heartbeat = await measure((at) => queue.heartbeat(attempts[at]!, "running"));
  const finish = await measure((at) => queue.finish(attempts[at]!, done));
  const ask = await measure(() => queue.take(offer));
  const tell = await measure(() => hosts.tell({ name: "one", lab: "lab", process: "1", joins: false, version: "1", state: "working", machines: ["office"], load, queues: [] })); // prettier-ignore
  const upkeep = await measure(() => queue.endGivenUp());
  const collect = await measure(async (at) => {
    await queue.list({ origin: "costs", number: at, isUncollected: true });
    await queue.markCollected([attempts[at]!.id]);
  });
  return { submit, take, heartbeat, finish, ask, tell, upkeep, collect };
}

/** Returns what a word costs for each member that hears it, in milliseconds, and what a connection of a member takes of memory. */
async function measureListeners(
  tested: TestCluster,
  { queue }: PostgresCluster,
): Promise<{ readonly word: number; readonly connectionMiB: number }> {
  const speak = async () => {
    const beforeMs = tested.postgres.readProcessorMs();
    for (let at = 0; at < REQUESTS; at++) await queue.setQuota({ submitter: "anna", mostRunning: at });
    return (tested.postgres.readProcessorMs() - beforeMs) / REQUESTS;
  };
  const aloneMs = await speak();
  const before = tested.postgres.readMemory();
  let heard = 0;
  for (let at = 0; at < LISTENERS; at++) {
    const member = await tested.open(tested.makeLab(`member-${at}`));
    member.listen(() => heard++);
  }
  // Each hears "" once it listens.
  await until("all listen", () => heard >= LISTENERS);
  const after = tested.postgres.readMemory();
  return {
    word: ((await speak()) - aloneMs) / LISTENERS,
    connectionMiB: (after.bytes - before.bytes) / (after.processes - before.processes) / 2 ** 20,
  };
}
