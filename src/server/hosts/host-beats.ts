import { setTimeout as sleep } from "node:timers/promises";
import type { AnalysisDatabase } from "../../lab/analysis/analysis-database";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import type { ServedQueue } from "../../lab/analysis/queue/served-queue";
import type { Cluster } from "../../lab/cluster/open-cluster";
import { fitsMachine } from "../../lab/cluster/requirement";
import type { Lab } from "../../lab/lab";
import type { LiveTarget } from "../live/live-views";
import type { Dispatcher } from "../queue/dispatcher";
import type { AttemptInputs } from "./attempt-inputs";
import { findEnd } from "./begin-attempt";
import { deliverAttempt } from "./deliver-attempt";
import type { Held, HeldAttempt, HeldAttempts } from "./held-attempts";
import type { HostEntry } from "./host-entry";
import type { HostWorks } from "./host-works";
import { UpkeepTurn } from "./upkeep-turn";

/** Between two looks at what runs here, in milliseconds: the phases of analyses, and the ends of those that an earlier host has begun, are told to nobody. */
const TICK_MS = 100;
/** The same while nothing does, at most: half of the time between two renewals of a lease. */
const IDLE_TICK_MS = 1_000;
/** So many renewals of a lease may be lost. */
const LOST_BEATS = 3;
/** Before a cluster that could not be reached is asked again, in milliseconds; half of it to half more, as there are many hosts. */
const AGAIN_MS = 2_000;
/** Before results that could not be delivered are tried again, in milliseconds: at first, and at most. Each time they are read as a whole. */
const DELIVERY_MS = { first: 2_000, most: 32_000 };

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
 * The heartbeats of a host, of itself and of its attempts, and what they bring: ends that somebody asks for, and results that are to be
 * delivered. They wait for nothing that the host does beside them.
 */
export class HostBeats {
  /** Between two renewals of a lease, in milliseconds. */
  readonly everyMs: number;
  readonly #held = new Map<number, Held>();
  readonly #upkeep = new UpkeepTurn();
  #toldMs = -Infinity;
  /** Until then nothing is asked of the cluster. */
  #awayUntilMs = -Infinity;
  #isEnding = false;
  #isKeepingUp = false;
  #wake = (): void => {};
  #loop: Promise<void> | undefined;

  /** @param onFree is called when a machine has become free, or the host may take work again */
  constructor(
    private readonly parts: HostParts,
    private readonly own: {
      readonly attempts: HeldAttempts;
      readonly inputs: AttemptInputs;
      readonly works: HostWorks;
    },
    private readonly onFree: () => void,
  ) {
    this.everyMs = (parts.cluster.leaseS * 1_000) / (LOST_BEATS + 1);
  }

  /** The machines that attempts have. */
  get busyMachines(): Set<string> {
    return new Set([...this.#held.values()].map(({ attempt }) => attempt.machine));
  }

  start(): void {
    this.parts.maker.listenToEnds(() => this.#wake());
    this.#loop = this.#run();
  }

  /** Says from now on that the host ends, and waits until all attempts have been delivered, and all its works are done. */
  async drain(): Promise<void> {
    this.#isEnding = true;
    this.tellSoon();
    await this.#loop;
  }

  /** Has the cluster hear at once what the host does. */
  tellSoon(): void {
    this.#toldMs = -Infinity;
    this.#wake();
  }

  /** Renews the leases of an attempt from now on, and delivers it once it has ended. */
  hold(held: HeldAttempt): void {
    this.#held.set(held.id, {
      ...held,
      beatMs: -Infinity,
      isLost: false,
      isDelivering: false,
      failures: 0,
      againMs: -Infinity,
      isTold: false,
    });
    this.tellSoon();
  }

  /** Asks at once whether attempts are to go on. */
  askAll(): void {
    for (const held of this.#held.values()) held.beatMs = -Infinity;
    this.#wake();
  }

  /** Finds the machine that an analysis of the cluster has here. */
  findTarget(analysis: string): LiveTarget | undefined {
    const held = [...this.#held.values()].find(({ attempt }) => attempt.id === analysis);
    const entry = held && this.parts.database.find(held.id);
    if (held === undefined || entry === undefined || entry.outcome !== undefined) return undefined;
    const { machine } = held.attempt;
    return { machine, title: `analysis ${entry.reportedAs ?? held.id} on ${machine}`, phase: entry.phase };
  }

  async #run(): Promise<void> {
    const { works } = this.own;
    while (!this.#isEnding || this.#held.size > 0 || !works.isIdle) {
      // Before the looks: who wakes it meanwhile has it look again at once.
      const waking = new AbortController();
      this.#wake = () => waking.abort();
      await works.try("the heartbeat", () => this.#tellEntry());
      this.#keepUp();
      // One may be delivered while others are looked at.
      for (const held of [...this.#held.values()])
        if (this.#held.has(held.id)) await works.try(`analysis ${held.id}`, () => this.#look(held));
      const tickMs = this.#held.size > 0 ? TICK_MS : Math.min(IDLE_TICK_MS, this.everyMs / 2);
      await sleep(tickMs, undefined, { signal: waking.signal }).catch(() => undefined);
    }
  }

  /** Tells the cluster that this host is there. @returns false when it is not the time */
  async #tellEntry(): Promise<boolean> {
    const { entry, cluster, lab, name: host, labFolder } = this.parts;
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < this.everyMs || nowMs < this.#awayUntilMs) return false;
    // What becomes so from here on is told once more.
    this.#toldMs = performance.now();
    try {
      const fits = await cluster.queue.listFitting((requirement) =>
        [...lab.manager.machines].some((machine) => fitsMachine(requirement, { host, labFolder }, machine)),
      );
      const { isDraining: wasDraining, refusal: known } = entry;
      await entry.tell(this.#isEnding ? "ending" : "working", this.#held.size, fits);
      if (entry.refusal !== undefined && entry.refusal !== known) this.parts.log(`no work is taken: ${entry.refusal}`);
      if (wasDraining && !entry.isDraining) this.onFree();
      return true;
    } catch (error) {
      this.#toldMs = -Infinity;
      this.#noteAway();
      throw error;
    }
  }

  /** Ends what was given up, when it is this host's turn. The database may take its time for that, and no lease is to wait for it. */
  #keepUp(): void {
    const { cluster, entry } = this.parts;
    if (this.#isKeepingUp || performance.now() < this.#awayUntilMs) return;
    if (!this.#upkeep.take(entry.hosts, cluster.leaseS)) return;
    this.#isKeepingUp = true;
    this.own.works.begin("the cluster's upkeep", () =>
      cluster.queue.endGivenUp().finally(() => (this.#isKeepingUp = false)),
    );
  }

  /** The cluster could not be reached: others could not reach it either, and all come back at once. */
  #noteAway(): void {
    this.#awayUntilMs = performance.now() + AGAIN_MS * (0.5 + Math.random());
  }

  /** @returns false when the cluster was not asked */
  async #look(held: Held): Promise<boolean> {
    const { database, cluster, maker } = this.parts;
    const found = database.find(held.id);
    const isOver = found === undefined || found.outcome !== undefined;
    const own = isOver ? "reporting" : found.phase;
    // One that waits in this lab's own queue is taken all the same: in the cluster's one it would be nobody's.
    const phase = own === "queued" ? "waiting for a machine" : own;
    const isDue = performance.now() - held.beatMs >= this.everyMs;
    // Who looks at the analysis elsewhere sees each phase as it begins.
    const asks = (isDue || phase !== held.phase) && !held.isLost && performance.now() >= this.#awayUntilMs;
    if (asks) {
      const answer = await cluster.queue.heartbeat(held.attempt, phase).catch((error: unknown) => {
        this.#noteAway();
        // The next time others come first: it may be this one alone that fails, and always.
        if (this.#held.delete(held.id)) this.#held.set(held.id, held);
        throw error;
      });
      held.beatMs = performance.now();
      held.phase = phase;
      held.isLost = answer.kind === "lost";
      // Nothing of it is put anywhere.
      if (held.isLost) held.againMs = -Infinity;
      const end = findEnd(answer);
      if (end !== undefined) held.endReason ??= end;
    }
    if (!isOver && held.endReason !== undefined && !held.isTold) {
      maker.cancel(held.id, held.endReason);
      held.isTold = true;
    }
    // Its process still writes until it is gone.
    const mayDeliver = isOver && !held.isDelivering && performance.now() >= held.againMs;
    if (mayDeliver && !maker.isMaking(held.id) && !database.hasProcess(held.id)) this.#deliver(held);
    return asks;
  }

  #deliver(held: Held): void {
    const { database, labFolder, cluster, maker } = this.parts;
    const { attempts, inputs, works } = this.own;
    const { id, attempt } = held;
    held.isDelivering = true;
    works.begin(`delivering analysis ${id}`, async () => {
      try {
        const entry = database.find(id);
        await deliverAttempt(cluster, { attempt, entry, folder: getAnalysisFolder(labFolder, id), isLost: held.isLost }); // prettier-ignore
        if (entry !== undefined) maker.remove(id);
        inputs.remove(attempt);
        attempts.remove(id);
        this.#held.delete(id);
      } catch (error) {
        held.againMs = performance.now() + Math.min(DELIVERY_MS.first * 2 ** held.failures++, DELIVERY_MS.most);
        throw error;
      } finally {
        held.isDelivering = false;
      }
      // Who looks at the hosts sees at once what each has.
      this.tellSoon();
      this.onFree();
    });
  }
}
