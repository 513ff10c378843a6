import { setTimeout as sleep } from "node:timers/promises";
import type { AnalysisDatabase } from "../../lab/analysis/analysis-database";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import type { ServedQueue } from "../../lab/analysis/queue/served-queue";
import type { TakenAttempt } from "../../lab/cluster/analysis-queue";
import type { Cluster } from "../../lab/cluster/open-cluster";
import { fitsMachine } from "../../lab/cluster/requirement";
import type { Lab } from "../../lab/lab";
import type { LiveTarget } from "../live/live-views";
import type { Dispatcher } from "../queue/dispatcher";
import { AttemptInputs } from "./attempt-inputs";
import { beginAttempt, findEnd } from "./begin-attempt";
import { deliverAttempt } from "./deliver-attempt";
import { type Held, type HeldAttempt, HeldAttempts } from "./held-attempts";
import { GoldenSupply } from "./golden-supply";
import type { HostEntry } from "./host-entry";
import { HostWorks } from "./host-works";
import { takeForMachine } from "./take-for-machine";

/** Between two looks at what runs here, in milliseconds. */
const TICK_MS = 500;
/** So many renewals of a lease may be lost. */
const LOST_BEATS = 3;
/** A message that there is work may be lost: so often it is asked for anyway, in milliseconds. */
const ASK_MS = 5_000;
/** Hosts that are woken by one message do not ask all at once, but within so long, in milliseconds, at least: */
const LEAST_SPREAD_MS = 20;
/** For each host of the cluster: together they ask no more than a thousand times a second. */
const SPREAD_PER_HOST_MS = 2;

/** Everything that a host uses. */
export interface HostParts {
  readonly name: string;
  /** Absolute. */
  readonly labFolder: string;
  readonly lab: Lab;
  readonly database: AnalysisDatabase;
  readonly queue: ServedQueue;
  /** Makes the analyses of the lab. */
  readonly maker: Dispatcher;
  readonly cluster: Cluster;
  readonly entry: HostEntry;
  log(text: string): void;
}

/**
 * A host of a cluster: it takes an analysis only while a machine that fits is free and leased here, has its own lab make it, and delivers the
 * result. It can be killed at any moment: the analyses that run go on, and the next one on the lab delivers them, if they are still its own.
 */
export class HostAgent {
  readonly #attempts: HeldAttempts;
  readonly #inputs: AttemptInputs;
  readonly #works: HostWorks;
  readonly #golden: GoldenSupply;
  /** Between two renewals of a lease, in milliseconds. */
  readonly #beatMs: number;
  readonly #held = new Map<number, Held>();
  /** Machines for which an analysis is being fetched. */
  readonly #beginning = new Set<string>();
  #wake = (): void => {};
  #hasWork = true;
  #hasStates = true;
  #isRechecking = false;
  #willAsk = false;
  #askedMs = -Infinity;
  #toldMs = -Infinity;
  #isEnding = false;
  #loop: Promise<void> | undefined;

  constructor(private readonly parts: HostParts) {
    this.#attempts = new HeldAttempts(parts.database);
    this.#inputs = new AttemptInputs(parts.labFolder, parts.cluster.store);
    this.#works = new HostWorks((text) => parts.log(text));
    this.#golden = new GoldenSupply(parts.lab, parts.cluster, (text) => parts.log(text));
    this.#beatMs = (parts.cluster.leaseS * 1_000) / (LOST_BEATS + 1);
  }

  /** Begins to take analyses; those that an earlier host on this lab has begun are its own. */
  start(): void {
    const { cluster, maker } = this.parts;
    const begun = this.#attempts.list();
    this.#inputs.keepOnly(begun.map(({ attempt }) => attempt));
    for (const held of begun) this.#hold(held);
    cluster.listen((word) => {
      if (word === "ended") return;
      this.#hasStates ||= word === "golden" || word === "";
      for (const held of word === "cancelled" ? this.#held.values() : []) held.beatMs = -Infinity;
      this.#askSoon();
    });
    maker.start();
    this.#loop = this.#run();
  }

  #askSoon(): void {
    if (this.#willAsk) return;
    this.#willAsk = true;
    const spreadMs = Math.max(LEAST_SPREAD_MS, this.parts.entry.hosts * SPREAD_PER_HOST_MS);
    setTimeout(() => {
      this.#willAsk = false;
      this.#hasWork = true;
      this.#wake();
    }, Math.random() * spreadMs);
  }

  /** Finds the machine that an analysis of the cluster has here. */
  findTarget(analysis: string): LiveTarget | undefined {
    const held = [...this.#held.values()].find(({ attempt }) => attempt.id === analysis);
    const entry = held && this.parts.database.find(held.id);
    if (held === undefined || entry === undefined || entry.outcome !== undefined) return undefined;
    const { machine } = held.attempt;
    return { machine, title: `analysis ${entry.reportedAs ?? held.id} on ${machine}`, phase: entry.phase };
  }

  /** Takes no more, and waits until those that run have been delivered. */
  async drain(): Promise<void> {
    this.#isEnding = true;
    this.#wake();
    await this.#loop;
    await this.parts.entry.leave();
  }

  async #run(): Promise<void> {
    while (!this.#isEnding || this.#held.size > 0 || !this.#works.isIdle) {
      await this.#works.try("the heartbeat", () => this.#tellEntry());
      for (const held of this.#held.values()) await this.#works.try(`analysis ${held.id}`, () => this.#look(held));
      await this.#works.try("looking for golden states", () => this.#fetchStates());
      await this.#works.try("taking work", () => this.#take());
      const waking = new AbortController();
      this.#wake = () => waking.abort();
      await sleep(TICK_MS, undefined, { signal: waking.signal }).catch(() => undefined);
    }
    await this.parts.maker.stop();
    await this.#works.settle();
  }

  /** Tells the cluster that this host is there, and ends what nobody can make. */
  async #tellEntry(): Promise<void> {
    const { entry, cluster, lab, name } = this.parts;
    if (performance.now() - this.#toldMs < this.#beatMs) return;
    const fits = await cluster.queue.listFitting((requirement) =>
      [...lab.manager.machines].some((machine) => fitsMachine(requirement, name, machine)),
    );
    await entry.tell(this.#isEnding ? "ending" : "working", this.#held.size, fits);
    await cluster.queue.endGivenUp();
    this.#toldMs = performance.now();
  }

  async #look(held: Held): Promise<void> {
    const { database, cluster, maker } = this.parts;
    const found = database.find(held.id);
    const isOver = found === undefined || found.outcome !== undefined;
    const own = isOver ? "reporting" : found.phase;
    // One that waits in this lab's own queue is taken all the same: in the cluster's one it would be nobody's.
    const phase = own === "queued" ? "waiting for a machine" : own;
    const isDue = performance.now() - held.beatMs >= this.#beatMs;
    // Who looks at the analysis elsewhere sees each phase as it begins.
    if ((isDue || phase !== held.phase) && !held.isLost) {
      const answer = await cluster.queue.heartbeat(held.attempt, phase);
      held.beatMs = performance.now();
      held.phase = phase;
      held.isLost = answer.kind === "lost";
      const end = findEnd(answer);
      if (end !== undefined) held.endReason ??= end;
    }
    if (!isOver && held.endReason !== undefined && !held.isTold) {
      maker.cancel(held.id, held.endReason);
      held.isTold = true;
    }
    // Its process still writes until it is gone.
    if (isOver && !held.isDelivering && !maker.isMaking(held.id) && !database.hasProcess(held.id)) this.#deliver(held);
  }

  #deliver(held: Held): void {
    const { database, labFolder, cluster, maker } = this.parts;
    const { id, attempt } = held;
    held.isDelivering = true;
    this.#works.begin(`delivering analysis ${id}`, async () => {
      try {
        const entry = database.find(id);
        await deliverAttempt(cluster, { attempt, entry, folder: getAnalysisFolder(labFolder, id), isLost: held.isLost }); // prettier-ignore
        if (entry !== undefined) maker.remove(id);
        this.#inputs.remove(attempt);
        this.#attempts.remove(id);
        this.#held.delete(id);
      } finally {
        held.isDelivering = false;
      }
      // Who looks at the hosts sees at once what each has.
      this.#toldMs = -Infinity;
      this.#hasWork = true;
      this.#wake();
    });
  }

  async #fetchStates(): Promise<void> {
    if (!this.#hasStates || this.#isEnding) return;
    // Before the look: what is published from now on is looked for again.
    this.#hasStates = false;
    const lookAgain = (error: unknown) => {
      setTimeout(() => (this.#hasStates = true), ASK_MS).unref();
      throw error;
    };
    for (const fetch of await this.#golden.look().catch(lookAgain))
      this.#works.begin("fetching golden states", async () => {
        await fetch().catch(lookAgain);
        // Another one of the same machine may have been published since.
        this.#hasStates = true;
        this.#hasWork = true;
        this.#wake();
      });
  }

  /** Has machines out of quarantine that are well again. It takes longer than a lease to stop one that does not answer. */
  #recheck(): void {
    if (this.#isRechecking) return;
    this.#isRechecking = true;
    this.#works.begin("looking at machines in quarantine", async () => {
      const well = await this.parts.lab.recheck().finally(() => (this.#isRechecking = false));
      this.#hasWork ||= well.length > 0;
    });
  }

  async #take(): Promise<void> {
    const { lab, cluster, entry, name: host } = this.parts;
    if (this.#isEnding || entry.isDraining) return;
    const isDue = performance.now() - this.#askedMs >= ASK_MS;
    if (!this.#hasWork && !isDue) return;
    this.#hasWork = false;
    this.#askedMs = performance.now();
    this.#recheck();
    const busy = new Set([...this.#held.values()].map(({ attempt }) => attempt.machine));
    for (const machine of lab.manager.machines) {
      const { name } = machine;
      if (busy.has(name) || this.#beginning.has(name) || this.#golden.isFetching(machine)) continue;
      const begun = await takeForMachine(machine, { host, lab, queue: cluster.queue });
      if (begun !== undefined) this.#begin(begun.taken, begun.release);
    }
  }

  /** Gives an analysis to the lab. The machine is kept for it until then. */
  #begin(taken: TakenAttempt, release: () => Promise<void>): void {
    const { cluster, queue, maker } = this.parts;
    this.#beginning.add(taken.machine);
    this.#works.begin(`beginning ${taken.id}`, async () => {
      const host = { cluster, queue, inputs: this.#inputs, attempts: this.#attempts, beatMs: this.#beatMs };
      try {
        this.#hold(await beginAttempt(host, taken));
      } finally {
        await release().finally(() => this.#beginning.delete(taken.machine));
      }
      maker.wake();
    });
  }

  #hold(held: HeldAttempt): void {
    this.#held.set(held.id, { ...held, beatMs: -Infinity, isLost: false, isDelivering: false, isTold: false });
    this.#toldMs = -Infinity;
  }
}
