import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openDatabase } from "../../src/lab/analysis/analysis-places";
import { ServedQueue } from "../../src/lab/analysis/queue/served-queue";
import type { QueuedAnalysis } from "../../src/lab/cluster/analysis-queue";
import { checkHistory, type HistoryLine } from "../kit/cluster/check-history";
import { type HostProcess, NO_CLUSTER, TestCluster, until } from "../kit/cluster/test-cluster";
import { findProcesses } from "../kit/find-processes";
import { Random } from "./random";

const HOSTS = ["one", "two", "three"];
/** How long analyses sleep at most, in milliseconds, and how long the faults between them let them be. */
const LONGEST_MS = 3_000;
const CALM_MS = 4_000;
/** Longer than a lease. */
const STOPPED_MS = 14_000;
const LIMIT_MS = 4 * 3_600_000;
const DEAD_LETTER = /^given up after 3 attempts: ./;

/** The extent of a soak. */
export interface HostsSoak {
  readonly count: number;
  /** Of the faults. */
  readonly seed: number;
  say(line: string): void;
}

/**
 * Makes analyses on three hosts of a cluster of PostgreSQL and a bucket, while parts of it are killed and stopped at random.
 *
 * @returns what is wrong, a sentence each
 */
export async function soakHosts({ count, seed, say }: HostsSoak): Promise<string[]> {
  if (NO_CLUSTER !== false) throw new Error(NO_CLUSTER);
  const cluster = await TestCluster.start();
  try {
    const front = cluster.makeLab("front");
    cluster.collect(front);
    const labs = HOSTS.map((name) => cluster.makeLab(`lab-${name}`, `${name}-a`, `${name}-b`));
    const faults = new Faults(cluster, labs, new Random(seed), say);
    await faults.start();
    handIn(front, count);
    const { queue, database } = await cluster.open(front);
    const list = () => queue.list({ origin: "front", limit: 100_000 });
    const isOver = async () => {
      // The database may be away at this moment.
      const all = await list().catch(() => []);
      return all.length === count && all.every(({ outcome }) => outcome !== undefined);
    };
    for (let turn = 0; !(await isOver()); turn++) {
      await faults.next();
      if (turn % 10 === 9) say(`${(await list().catch(() => [])).filter(({ outcome }) => outcome !== undefined).length} of ${count} have ended`); // prettier-ignore
    }
    await faults.calmDown();
    await until("all are collected", async () => (await queue.list({ origin: "front", isUncollected: true })).length === 0, LIMIT_MS); // prettier-ignore
    const left = () => labs.flatMap((folder) => readdirSync(join(folder, "analyses")).filter((name) => /^\d+$/.test(name)).map((name) => join(folder, name))); // prettier-ignore
    await until("nothing is left on the hosts", () => left().length === 0, 120_000).catch(() => undefined);
    const history = await database.query<HistoryLine>("SELECT * FROM rebox.history ORDER BY sequence");
    const all = await list();
    say(`${all.filter(({ attempt }) => attempt > 1).length} were made again, ${all.filter(({ outcome }) => outcome === "lost").length} given up`); // prettier-ignore
    return [...checkHistory(history), ...all.flatMap((each) => checkResult(front, each)), ...left().map((path) => `${path} is left`)]; // prettier-ignore
  } finally {
    await cluster.stop();
  }
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
  const names = files.map(({ name }) => name);
  const missing = ["report.json", "report.html", "analysis.json"].filter((name) => !names.includes(name));
  const wrong = files.filter(({ name, sha256 }) => {
    const path = join(front, "analyses", String(number), name);
    return !existsSync(path) || createHash("sha256").update(readFileSync(path)).digest("hex") !== sha256;
  });
  return [...missing.map((name) => `analysis ${number} has no ${name}`), ...wrong.map(({ name }) => `${name} of analysis ${number} is not what was delivered`)]; // prettier-ignore
}

/** Kills and stops the parts of a cluster. */
class Faults {
  readonly #hosts: (HostProcess | undefined)[] = [];

  constructor(
    private readonly cluster: TestCluster,
    private readonly labs: readonly string[],
    private readonly random: Random,
    private readonly say: (line: string) => void,
  ) {}

  async start(): Promise<void> {
    for (const at of this.labs.keys()) await this.#startHost(at);
  }

  /** Lets something happen. */
  async next(): Promise<void> {
    const { cluster, labs, random } = this;
    const at = random.between(0, labs.length - 1);
    const [lab, host] = [labs[at]!, this.#hosts[at]!];
    const kinds: readonly (readonly [string, () => Promise<unknown>])[] = [
      [`the host ${HOSTS[at]} is killed`, async () => (await host.end("SIGKILL"), this.#startHost(at))],
      [`the host ${HOSTS[at]} is killed with all that runs there`, async () => {
        await host.end("SIGKILL");
        killAll(lab);
        await sleep(random.between(0, STOPPED_MS));
        await this.#startHost(at);
      }], // prettier-ignore
      [`an analysis of the host ${HOSTS[at]} is killed`, async () => killAll(lab, 1)],
      [`the host ${HOSTS[at]} stands still past its lease`, async () => {
        host.child.kill("SIGSTOP");
        await sleep(STOPPED_MS);
        host.child.kill("SIGCONT");
      }], // prettier-ignore
      ["the database is killed", async () => (await cluster.postgres.kill(), await sleep(random.between(0, 5_000)), cluster.postgres.up())], // prettier-ignore
      ["the store is killed", async () => (await cluster.store.kill(), await sleep(random.between(0, 5_000)), cluster.store.up())], // prettier-ignore
    ];
    const [name, act] = random.pick(kinds);
    this.say(name);
    await act();
    await sleep(random.between(0, CALM_MS));
  }

  /** Lets all parts run. */
  async calmDown(): Promise<void> {
    for (const [at, host] of this.#hosts.entries()) if (host === undefined || host.child.exitCode !== null || host.child.signalCode !== null) await this.#startHost(at); // prettier-ignore
  }

  async #startHost(at: number): Promise<void> {
    this.#hosts[at] = await this.cluster.startHost(this.labs[at]!, HOSTS[at]!);
  }
}

/** Kills the processes with a lab among their arguments. @param most so many of them */
function killAll(lab: string, most = Infinity): void {
  for (const pid of findProcesses(lab).slice(0, most)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
}
