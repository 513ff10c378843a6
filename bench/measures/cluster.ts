import { setTimeout as sleep } from "node:timers/promises";
import { AnalysisWorker } from "../../src/cli/analyze/analysis-worker";
import { doors } from "../../src/doors/doors";
import { openDatabase } from "../../src/lab/analysis/analysis-places";
import type { AnalysisRequest } from "../../src/lab/analysis/analysis-database";
import { ServedQueue } from "../../src/lab/analysis/queue/served-queue";
import { Dispatcher } from "../../src/server/queue/dispatcher";
import { NO_CLUSTER, TestCluster, until } from "../../test/kit/cluster/test-cluster";
import { readCpuTimeMs } from "../cpu-time";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

const QUEUED = 10_000;
/** Analyses that are handed in at once. */
const AT_ONCE = 20;
/** How long a host is left alone before, and is watched while it waits, in milliseconds: V8 tidies its memory some ten seconds after the start. */
const SETTLE_MS = 30_000;
const WATCH_MS = 60_000;
const TRIVIAL = 10;
/** Analyses that the hosts make together, for each host, and how long each lasts, in seconds. */
const EACH = 4;
const LASTS_S = 4;
const LIMIT_MS = 600_000;
const REQUEST: AnalysisRequest = { machine: undefined, target: undefined, command: "true", options: {}, timeoutS: 60, scripts: [] }; // prettier-ignore

/** How much later an analysis ends by a cluster, what a host costs that waits, and what several hosts make together. */
export const cluster: Measure = {
  name: "cluster",
  async run({ pairs, say }) {
    if (NO_CLUSTER !== false) throw new Error(`cluster: ${NO_CLUSTER}`);
    const overhead = new SampleCollection("a trivial analysis by a cluster: more than in a folder", "ms", { of: "value", bound: "at most", value: 500 }); // prettier-ignore
    const folder = new SampleCollection("the same by a cluster in a folder", "ms", { of: "value", bound: "at most", value: 500 }); // prettier-ignore
    const waiting = new SampleCollection(`a host that waits beside ${QUEUED} analyses: of a core`, "%", { of: "value", bound: "at most", value: 1 }); // prettier-ignore
    const together = new SampleCollection("3 hosts at once, to one alone with a third of the analyses: time", "s", { of: "ratio", bound: "at most", value: 1.1 }); // prettier-ignore
    for (let turn = 0; turn < pairs; turn++) {
      say(`${this.name}: ${turn + 1} of ${pairs}`);
      const plainMs = await within(TestCluster.startInFolder(), measurePlain);
      await within(TestCluster.startInFolder(), async (tested) => folder.addRebox((await measureTrivial(tested)) - plainMs)); // prettier-ignore
      await within(await TestCluster.start(), async (tested) => {
        overhead.addRebox((await measureTrivial(tested)) - plainMs);
        together.addPlain(await measureHosts(tested, 1));
        together.addRebox(await measureHosts(tested, 3));
        waiting.addRebox(await measureWaiting(tested));
      });
    }
    return [overhead, folder, waiting, together].map((row) => row.toRow());
  },
};

async function within<Result>(tested: TestCluster, use: (tested: TestCluster) => Promise<Result>): Promise<Result> {
  try {
    return await use(tested);
  } finally {
    await tested.stop();
  }
}

/** Hands analyses in, one after the other. @returns the mean time until each has ended in the lab, in milliseconds */
async function measureOneByOne(lab: string, wake: () => void): Promise<number> {
  const database = openDatabase(lab);
  try {
    const queue = new ServedQueue(database);
    const makeOne = async () => {
      const id = queue.add({ ...REQUEST, submission: { by: "anna", priority: 1 } });
      wake();
      while (database.find(id)!.outcome === undefined) await sleep(5);
    };
    // The first one compiles the modules.
    await makeOne();
    const beganMs = performance.now();
    for (let count = 0; count < TRIVIAL; count++) await makeOne();
    return (performance.now() - beganMs) / TRIVIAL;
  } finally {
    database.close();
  }
}

async function measureTrivial(tested: TestCluster): Promise<number> {
  const front = tested.makeLab("front-trivial");
  const host = await tested.startHost(tested.makeLab("lab-trivial", "office"), "trivial");
  const maker = tested.collect(front);
  try {
    return await measureOneByOne(front, () => maker.wake());
  } finally {
    await maker.stop();
    await host.end();
  }
}

/** The same in a lab with machines of its own, as rebox serve makes analyses there. */
async function measurePlain(tested: TestCluster): Promise<number> {
  const lab = tested.makeLab("plain", "office");
  const database = openDatabase(lab);
  const dispatcher = new Dispatcher({ labFolder: lab, database, api: doors, log: () => undefined }, new ServedQueue(database), 1, (folder, id) => new AnalysisWorker(folder, id, () => undefined, true)); // prettier-ignore
  dispatcher.start();
  try {
    return await measureOneByOne(lab, () => dispatcher.wake());
  } finally {
    await dispatcher.stop();
    database.close();
  }
}

/** Returns the processor time of a host beside analyses that it cannot have, in % of a core. */
async function measureWaiting(tested: TestCluster): Promise<number> {
  const { queue, database } = await tested.open(tested.makeLab("queued"));
  // As clusters have it that nobody hurries.
  await database.query("UPDATE rebox.cluster SET lease_s = 30");
  const request = { ...REQUEST, machine: "elsewhere" };
  for (let at = 0; at < QUEUED; at += AT_ONCE)
    await Promise.all(Array.from({ length: AT_ONCE }, (_, more) => queue.submit({ origin: "queued", number: at + more, request, target: undefined, scripts: [] }))); // prettier-ignore
  const host = await tested.startHost(tested.makeLab("lab-waiting", "office"), "waiting");
  // What begins is over by then.
  await sleep(SETTLE_MS);
  const beforeMs = readCpuTimeMs(host.child.pid!);
  await sleep(WATCH_MS);
  return ((readCpuTimeMs(host.child.pid!) - beforeMs) / WATCH_MS) * 100;
}

/** Has hosts of one machine each make analyses that wait most of their time. @returns how long that takes, in seconds */
async function measureHosts(tested: TestCluster, count: number): Promise<number> {
  const front = tested.makeLab(`front-of-${count}`);
  const hosts = [];
  for (let at = 0; at < count; at++) hosts.push(await tested.startHost(tested.makeLab(`lab-${count}-${at}`, "office"), `of-${count}-${at}`)); // prettier-ignore
  const maker = tested.collect(front);
  const database = openDatabase(front);
  try {
    const queue = new ServedQueue(database);
    const beganMs = performance.now();
    const request = { ...REQUEST, command: `sleep ${LASTS_S}`, submission: { by: "anna", priority: 1 } };
    const ids = Array.from({ length: EACH * count }, () => queue.add(request));
    maker.wake();
    await until("all have ended", () => ids.every((id) => database.find(id)!.outcome !== undefined), LIMIT_MS);
    return (performance.now() - beganMs) / 1_000;
  } finally {
    database.close();
    await maker.stop();
    for (const host of hosts) await host.end();
  }
}
