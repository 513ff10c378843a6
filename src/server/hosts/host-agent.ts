import { statfsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { TakenAttempt } from "../../lab/cluster/analysis-queue";
import { ClusterError } from "../../lab/errors";
import type { LiveTarget } from "../live/live-views";
import { AttemptInputs } from "./attempt-inputs";
import { beginAttempt } from "./begin-attempt";
import { GoldenSupply } from "./golden-supply";
import { HeldAttempts } from "./held-attempts";
import { HostBeats, type HostParts } from "./host-beats";
import { HostWorks } from "./host-works";
import { takeForMachine } from "./take-for-machine";

/** A message that there is work may be lost: so often it is asked for anyway, in milliseconds. */
const ASK_MS = 5_000;
/** The longest time before golden states that could not be fetched are fetched again, in milliseconds: each time their machine stands still. */
const LONGEST_STATE_WAIT_MS = 600_000;
/** Hosts that are woken by one message do not ask all at once, but within so long, in milliseconds, at least: */
const LEAST_SPREAD_MS = 20;
/** For each host of the cluster: together they ask no more than a thousand times a second. */
const SPREAD_PER_HOST_MS = 2;
const MIB = 1 << 20;
/** Free space of the lab's disk with which no work is taken, in bytes. */
const LEAST_FREE = 128 * MIB;

/**
 * A host of a cluster: it takes an analysis only while a machine that fits is free and leased here, has its own lab make it, and delivers the
 * result. It can be killed at any moment: the analyses that run go on, and the next one on the lab delivers them, if they are still its own.
 */
export class HostAgent {
  readonly #attempts: HeldAttempts;
  readonly #inputs: AttemptInputs;
  readonly #works: HostWorks;
  readonly #golden: GoldenSupply;
  readonly #beats: HostBeats;
  /** Machines for which an analysis is being fetched. */
  readonly #beginning = new Set<string>();
  #wake = (): void => {};
  #hasWork = true;
  #hasStates = true;
  /** How often states could not be fetched since some could. */
  #stateFailures = 0;
  #isRechecking = false;
  #willAsk = false;
  #askedMs = -Infinity;
  #isEnding = false;
  #loop: Promise<void> | undefined;

  constructor(private readonly parts: HostParts) {
    this.#attempts = new HeldAttempts(parts.database);
    this.#inputs = new AttemptInputs(parts.labFolder, parts.cluster.store);
    this.#works = new HostWorks((text) => parts.log(text));
    this.#golden = new GoldenSupply(parts.lab, parts.cluster, (text) => parts.log(text));
    const own = { attempts: this.#attempts, inputs: this.#inputs, works: this.#works };
    this.#beats = new HostBeats(parts, own, () => this.#askNow());
  }

  /** Begins to take analyses; those that an earlier host on this lab has begun are its own. */
  start(): void {
    const { cluster, maker } = this.parts;
    const begun = this.#attempts.list();
    this.#inputs.keepOnly(begun.map(({ attempt }) => attempt));
    for (const held of begun) this.#beats.hold(held);
    this.#golden.clean();
    cluster.listen((word) => {
      if (word === "ended") return;
      this.#hasStates ||= word === "golden" || word === "";
      if (word === "cancelled") this.#beats.askAll();
      this.#askSoon();
    });
    maker.start();
    this.#beats.start();
    this.#loop = this.#run();
  }

  /** Finds the machine that an analysis of the cluster has here. */
  findTarget(analysis: string): LiveTarget | undefined {
    return this.#beats.findTarget(analysis);
  }

  /** Takes no more, and waits until those that run have been delivered. */
  async drain(): Promise<void> {
    this.#isEnding = true;
    this.#golden.stop();
    this.#wake();
    await this.#loop;
    await this.#beats.drain();
    await this.parts.maker.stop();
    await this.#works.settle();
    // Where the cluster is away it sees by itself that the host is.
    await this.#works.try("leaving the cluster", () => this.parts.entry.leave());
  }

  #askSoon(): void {
    if (this.#willAsk) return;
    this.#willAsk = true;
    const spreadMs = Math.max(LEAST_SPREAD_MS, this.parts.entry.hosts * SPREAD_PER_HOST_MS);
    setTimeout(() => {
      this.#willAsk = false;
      this.#askNow();
    }, Math.random() * spreadMs);
  }

  #askNow(): void {
    this.#hasWork = true;
    this.#wake();
  }

  async #run(): Promise<void> {
    while (!this.#isEnding) {
      await this.#works.try("looking for golden states", () => this.#fetchStates());
      await this.#works.try("taking work", () => this.#take());
      const waking = new AbortController();
      this.#wake = () => waking.abort();
      // What came meanwhile has woken nobody.
      if (this.#hasWork || this.#isEnding) continue;
      await sleep(ASK_MS, undefined, { signal: waking.signal }).catch(() => undefined);
    }
  }

  async #fetchStates(): Promise<void> {
    if (!this.#hasStates) return;
    // Before the look: what is published from now on is looked for again.
    this.#hasStates = false;
    const lookAgain = (error: unknown) => {
      const waitMs = Math.min(ASK_MS * 2 ** this.#stateFailures++, LONGEST_STATE_WAIT_MS);
      setTimeout(() => (this.#hasStates = true), waitMs).unref();
      throw error;
    };
    for (const fetch of await this.#golden.look().catch(lookAgain))
      this.#works.begin("fetching golden states", async () => {
        await fetch().catch(lookAgain);
        this.#stateFailures = 0;
        // Another one of the same machine may have been published since, and analyses may require the state.
        this.#hasStates = true;
        this.#beats.tellSoon();
        this.#askNow();
      });
  }

  /** Has machines out of quarantine that are well again. It takes longer than a lease to stop one that does not answer. */
  #recheck(): void {
    if (this.#isRechecking) return;
    this.#isRechecking = true;
    this.#works.begin("looking at machines in quarantine", async () => {
      const well = await this.parts.lab.recheck().finally(() => (this.#isRechecking = false));
      if (well.length > 0) this.#askNow();
    });
  }

  async #take(): Promise<void> {
    const { lab, cluster, entry, name: host } = this.parts;
    if (entry.isDraining) {
      this.#hasWork = false;
      return;
    }
    const isDue = performance.now() - this.#askedMs >= ASK_MS;
    if (!this.#hasWork && !isDue) return;
    this.#hasWork = false;
    this.#askedMs = performance.now();
    this.#checkDisk();
    this.#recheck();
    const busy = this.#beats.busyMachines;
    const empty = new Set<string>();
    for (const machine of lab.manager.machines) {
      const { name } = machine;
      if (this.#isEnding || busy.has(name) || this.#beginning.has(name) || this.#golden.isFetching(machine)) continue;
      const begun = await takeForMachine(machine, { host, lab, queue: cluster.queue, empty });
      if (begun !== undefined) this.#begin(begun.taken, begun.release);
    }
  }

  /** @throws ClusterError when an analysis would find no room for its results: another host has some */
  #checkDisk(): void {
    const { bavail, bsize } = statfsSync(this.parts.labFolder);
    if (bavail * bsize >= LEAST_FREE) return;
    throw new ClusterError(`${this.parts.labFolder} has ${Math.floor((bavail * bsize) / MIB)} MiB of free space; the host takes no work with less than ${LEAST_FREE / MIB}`); // prettier-ignore
  }

  /** Gives an analysis to the lab. The machine is kept for it until then. */
  #begin(taken: TakenAttempt, release: () => Promise<void>): void {
    const { cluster, queue, maker } = this.parts;
    this.#beginning.add(taken.machine);
    this.#works.begin(`beginning ${taken.id}`, async () => {
      const host = { cluster, queue, inputs: this.#inputs, attempts: this.#attempts, beatMs: this.#beats.everyMs };
      try {
        this.#beats.hold(await beginAttempt(host, taken));
      } finally {
        await release().finally(() => this.#beginning.delete(taken.machine));
      }
      maker.wake();
    });
  }
}
