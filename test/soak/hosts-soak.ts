import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDatabase } from "../../src/lab/analysis/analysis-places";
import { ServedQueue } from "../../src/lab/analysis/queue/served-queue";
import type { QueuedAnalysis } from "../../src/lab/cluster/analysis-queue";
import { getClusterFile } from "../../src/lab/cluster/cluster-settings";
import type { PostgresCluster } from "../../src/lab/cluster/postgres/postgres-cluster";
import { checkHistory, type HistoryLine } from "../kit/cluster/check-history";
import { NO_CLUSTER, TestCluster, until } from "../kit/cluster/test-cluster";
import { HostsFaults, type SoakedHosts } from "./hosts-faults";
import { Random } from "./random";
import { disks, IS_NAMESPACE, network } from "./soak-namespace";

const HOSTS = ["one", "two", "three"];
/** The disks of hosts, and those of the store and the lab that collects, in MiB. */
const HOST_DISK_MIB = 256;
const RESULT_DISK_MIB = 512;
/** How long analyses sleep at most, in milliseconds. */
const LONGEST_MS = 3_000;
const LIMIT_MS = 4 * 3_600_000;
const LEFT_LIMIT_MS = 120_000;
/** The part of the analyses that may be given up: three faults in a row meet few of them. */
const MOST_LOST = 0.05;
const DEAD_LETTER = /^given up after 3 attempts: ./;

/** The extent of a soak. */
export interface HostsSoak {
  readonly count: number;
  /** Of the faults. */
  readonly seed: number;
  say(line: string): void;
}

/**
 * Makes analyses on three hosts of a cluster of PostgreSQL and a bucket, while parts of it are killed, stopped, cut off and filled at random.
 *
 * @returns what is wrong, a sentence each
 */
export async function soakHosts({ count, seed, say }: HostsSoak): Promise<string[]> {
  if (NO_CLUSTER !== false) throw new Error(NO_CLUSTER);
  if (IS_NAMESPACE) network.start();
  const cluster = await TestCluster.start(IS_NAMESPACE);
  try {
    const hosts = await makeLabs(cluster);
    return await soak(cluster, hosts, { count, seed, say });
  } finally {
    // What still runs there has its files on them.
    await cluster.endHosts();
    if (IS_NAMESPACE) for (const folder of listDisks(cluster)) disks.remove(folder);
    await cluster.stop();
  }
}

async function soak(cluster: TestCluster, hosts: SoakedHosts, { count, seed, say }: HostsSoak): Promise<string[]> {
  cluster.collect(hosts.front);
  const faults = new HostsFaults(cluster, hosts, new Random(seed), say);
  await faults.start();
  handIn(hosts.front, count);
  const opened = await cluster.open(hosts.front);
  const list = () => opened.queue.list({ origin: "front", limit: 100_000 });
  const countEnded = async () => (await list()).filter(({ outcome }) => outcome !== undefined).length;
  // The database may be away at this moment.
  for (let turn = 0; (await countEnded().catch(() => 0)) < count; turn++) {
    await faults.next();
    if (turn % 10 === 9) say(`${await countEnded().catch(() => "some")} of ${count} have ended`);
  }
  await faults.calmDown();
  await until("all are collected", async () => (await opened.queue.list({ origin: "front", isUncollected: true })).length === 0, LIMIT_MS); // prettier-ignore
  const all = await list();
  const left = async () => [...listLeft(hosts), ...(await listStray(opened, all))];
  await until("nothing is left", async () => (await left()).length === 0, LEFT_LIMIT_MS).catch(() => undefined);
  const history = await opened.database.query<HistoryLine>("SELECT * FROM rebox.history ORDER BY sequence");
  const wrong = checkHistory(history);
  // Of these all that was done, for those who look for the cause.
  for (const { analysis, ...line } of history)
    if (wrong.some((sentence) => sentence.includes(analysis!))) say(`${analysis}: ${JSON.stringify(line)}`);
  const lost = all.filter(({ outcome }) => outcome === "lost").length;
  say(`${all.filter(({ attempt }) => attempt > 1).length} were made again, ${lost} given up`);
  const tooMany = lost > all.length * MOST_LOST ? [`${lost} of ${all.length} analyses were given up`] : [];
  return [...tooMany, ...wrong, ...all.flatMap((each) => checkResult(hosts.front, each)), ...(await left()).map((path) => `${path} is left`)]; // prettier-ignore
}

const listDisks = ({ folder, store }: TestCluster) => [...["front", ...HOSTS.map((name) => `lab-${name}`)].map((name) => join(folder, name)), store.folder]; // prettier-ignore

/** Makes the labs; in a namespace each on a small disk of its own, as the store is, where hosts reach the cluster by addresses of their own. */
async function makeLabs(cluster: TestCluster): Promise<SoakedHosts> {
  if (IS_NAMESPACE) {
    await cluster.store.kill();
    disks.make(cluster.store.folder, RESULT_DISK_MIB);
    await cluster.store.up();
  }
  const make = (name: string, sizeMiB: number, ...machines: readonly string[]) => {
    const folder = join(cluster.folder, name);
    mkdirSync(folder);
    if (IS_NAMESPACE) disks.make(folder, sizeMiB);
    return cluster.makeLab(name, ...machines);
  };
  const front = make("front", RESULT_DISK_MIB);
  const labs = HOSTS.map((name, at) => {
    const folder = make(`lab-${name}`, HOST_DISK_MIB, `${name}-a`, `${name}-b`);
    const file = getClusterFile(folder);
    if (IS_NAMESPACE) writeFileSync(file, readFileSync(file, "utf8").replaceAll("127.0.0.1", network.addressOf(at)));
    return folder;
  });
  return { names: HOSTS, labs, front };
}

function handIn(folder: string, count: number): void {
  const database = openDatabase(folder);
  const queue = new ServedQueue(database);
  for (let at = 0; at < count; at++) {
    const command = `sleep ${((at * 977) % LONGEST_MS) / 1_000}`;
    queue.add({ ...{ machine: undefined, target: undefined, command, options: {}, timeoutS: 60, scripts: [] }, submission: { by: `user-${at % 3}`, priority: 1 + (at % 3) } }); // prettier-ignore
  }
  database.close();
}

/** Checks that an analysis has a result that is complete, or a dead letter that says why. */
function checkResult(front: string, { number, outcome, reason, files }: QueuedAnalysis): string[] {
  if (outcome === "lost") return DEAD_LETTER.test(reason ?? "") ? [] : [`analysis ${number} is lost: ${reason}`];
  if (outcome !== "finished") return [`analysis ${number} is ${outcome}: ${reason}`];
  const names = files.map(({ name }) => name);
  const missing = ["report.json", "report.html", "analysis.json"].filter((name) => !names.includes(name));
  const wrong = files.filter(({ name, sha256 }) => {
    const path = join(front, "analyses", String(number), name);
    return !existsSync(path) || createHash("sha256").update(readFileSync(path)).digest("hex") !== sha256;
  });
  return [...missing.map((name) => `analysis ${number} has no ${name}`), ...wrong.map(({ name }) => `${name} of analysis ${number} is not what was delivered`)]; // prettier-ignore
}

/** Lists what analyses have left on hosts that have delivered all. */
function listLeft({ labs }: SoakedHosts): string[] {
  const below = (folder: string) => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []);
  return labs.flatMap((lab) => [
    ...below(join(lab, "analyses")).filter((path) => /\/\d+$/.test(path)),
    ...below(join(lab, "server/inputs")),
  ]);
}

/** Lists the files of the store that are no attempt's that has won. */
async function listStray({ store }: PostgresCluster, all: readonly QueuedAnalysis[]): Promise<string[]> {
  const kept = new Set(all.flatMap(({ id, attempt, files }) => files.map(({ name }) => `analyses/${id}/${attempt}/${name}`))); // prettier-ignore
  return (await store.list("analyses/")).filter((key) => !kept.has(key));
}
