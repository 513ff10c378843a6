import { setTimeout as sleep } from "node:timers/promises";
import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { AnalysisDatabase, AnalysisRequest } from "../../lab/analysis/analysis-database";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import type { ServedQueue } from "../../lab/analysis/queue/served-queue";
import type { StoredFile, TakenAttempt } from "../../lab/cluster/analysis-queue";
import { getContentKey } from "../../lab/cluster/artefact-store";
import type { Cluster } from "../../lab/cluster/open-cluster";
import { fitsMachine } from "../../lab/cluster/requirement";
import { hasClones } from "../../lab/machinery/golden/clones";
import type { Lab } from "../../lab/lab";
import { getServerFolder } from "../accounts/account-database";
import type { Dispatcher } from "../queue/dispatcher";
import { putResults, removeResults } from "./carry-files";
import { type HeldAttempt, HeldAttempts } from "./held-attempts";
import type { HostEntry } from "./host-entry";

/** Between two looks at what runs here, in milliseconds. */
const TICK_MS = 500;
/** So many renewals of a lease may be lost. */
const LOST_BEATS = 3;
/** A message that there is work may be lost: so often it is asked for anyway, in milliseconds. */
const ASK_MS = 5_000;
/** Hosts that are woken by one message do not ask all at once, in milliseconds. */
const SPREAD_MS = 20;

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

/** A held attempt, and what is going on with it. */
interface Held extends HeldAttempt {
  beatMs: number;
  /** Another attempt has the analysis by now: nothing is delivered. */
  isLost: boolean;
  isDelivering: boolean;
  /** Why it is to end early. */
  endReason?: string;
  /** Whether the lab knows that. */
  isTold: boolean;
}

/**
 * A host of a cluster: it takes an analysis only while a machine that fits is free and leased here, has its own lab make it, and delivers the
 * result. It can be killed at any moment: the analyses that run go on, and the next one on the lab delivers them, if they are still its own.
 */
export class HostAgent {
  readonly #attempts: HeldAttempts;
  /** Between two renewals of a lease, in milliseconds. */
  readonly #beatMs: number;
  readonly #held = new Map<number, Held>();
  /** Machines for which an analysis is being fetched. */
  readonly #beginning = new Set<string>();
  readonly #works = new Set<Promise<void>>();
  readonly #troubles = new Map<string, string>();
  #wake = (): void => {};
  #hasWork = true;
  #askedMs = -Infinity;
  #toldMs = -Infinity;
  #isEnding = false;
  #isCut = false;
  #loop: Promise<void> | undefined;

  constructor(private readonly parts: HostParts) {
    this.#attempts = new HeldAttempts(parts.database);
    this.#beatMs = (parts.cluster.leaseS * 1_000) / (LOST_BEATS + 1);
  }

  /** Begins to take analyses; those that an earlier host on this lab has begun are its own. */
  start(): void {
    const { cluster, maker } = this.parts;
    for (const held of this.#attempts.list()) this.#hold(held);
    cluster.database.listen((payload) => {
      if (payload === "ended") return;
      this.#hasWork = true;
      for (const held of payload === "cancelled" ? this.#held.values() : []) held.beatMs = -Infinity;
      setTimeout(() => this.#wake(), Math.random() * SPREAD_MS);
    });
    maker.start();
    this.#loop = this.#run();
  }

  /** Takes no more, and waits until those that run have been delivered. */
  async drain(): Promise<void> {
    this.#isEnding = true;
    this.#wake();
    await this.#loop;
    await this.parts.entry.leave();
  }

  /** Ends at once: what runs goes on, and the next host on the lab delivers it. */
  async cut(): Promise<void> {
    this.#isCut = true;
    this.#wake();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#isCut && !(this.#isEnding && this.#held.size === 0 && this.#works.size === 0)) {
      await this.#try("the heartbeat", () => this.#tellEntry());
      for (const held of this.#held.values()) await this.#try(`analysis ${held.id}`, () => this.#look(held));
      await this.#try("taking work", () => this.#take());
      const waking = new AbortController();
      this.#wake = () => waking.abort();
      await sleep(TICK_MS, undefined, { signal: waking.signal }).catch(() => undefined);
    }
    await this.parts.maker.stop();
    if (!this.#isCut) await Promise.all(this.#works);
  }

  /** Tells the cluster that this host is there, and ends what nobody can make. */
  async #tellEntry(): Promise<void> {
    const { entry, cluster, lab } = this.parts;
    if (performance.now() - this.#toldMs < this.#beatMs) return;
    const fits = await cluster.queue.listFitting((requirement) =>
      [...lab.manager.machines].some((machine) => fitsMachine(requirement, this.parts.name, machine)),
    );
    await entry.tell(this.#isEnding ? "ending" : "working", this.#held.size, fits);
    await cluster.queue.buryDead();
    this.#toldMs = performance.now();
  }

  async #look(held: Held): Promise<void> {
    const { database, cluster, maker } = this.parts;
    const found = database.find(held.id);
    const isOver = found === undefined || found.outcome !== undefined;
    if (performance.now() - held.beatMs >= this.#beatMs && !held.isLost) {
      const answer = await cluster.queue.heartbeat(held.attempt, isOver ? "reporting" : found.phase);
      held.beatMs = performance.now();
      held.isLost = answer.kind === "lost";
      if (answer.kind !== "goes on") held.endReason ??= answer.kind === "cancelled" ? answer.reason : "another attempt has this analysis by now"; // prettier-ignore
    }
    if (!isOver && held.endReason !== undefined && !held.isTold) {
      maker.cancel(held.id, held.endReason);
      held.isTold = true;
    }
    // Its process still writes until it is gone.
    if (isOver && !held.isDelivering && !maker.isMaking(held.id) && !database.hasProcess(held.id)) this.#deliver(held);
  }

  #deliver(held: Held): void {
    held.isDelivering = true;
    this.#work(`delivering analysis ${held.id}`, async () => {
      try {
        await this.#deliverNow(held);
      } finally {
        held.isDelivering = false;
      }
    });
  }

  async #deliverNow({ id, attempt, isLost }: Held): Promise<void> {
    const { database, labFolder, cluster, maker } = this.parts;
    const { queue, store } = cluster;
    const found = database.find(id);
    const outcome = found?.outcome ?? "lost";
    let isTaken = false;
    if (!isLost && outcome === "lost") {
      await queue.fail(attempt, `on ${attempt.host}: ${found?.reason ?? "its analysis was removed"}`);
    } else if (!isLost) {
      const files = await putResults(store, getAnalysisFolder(labFolder, id), attempt.id, attempt.attempt);
      isTaken = await queue.finish(attempt, { outcome, reason: found?.reason, files });
    }
    await removeResults(store, attempt.id, isTaken ? { but: attempt.attempt } : { attempt: attempt.attempt });
    if (found !== undefined) maker.remove(id);
    for (const path of [found?.target, ...(found?.scripts ?? [])]) if (path !== undefined) this.#dropInput(path);
    this.#attempts.remove(id);
    this.#held.delete(id);
    // Who looks at the hosts sees at once what each has.
    this.#toldMs = -Infinity;
    this.#hasWork = true;
    this.#wake();
  }

  async #take(): Promise<void> {
    const { parts } = this;
    const { lab, cluster } = parts;
    if (this.#isEnding || parts.entry.isDraining) return;
    const isDue = performance.now() - this.#askedMs >= ASK_MS;
    if (!this.#hasWork && !isDue) return;
    this.#hasWork = false;
    this.#askedMs = performance.now();
    await lab.recheck();
    const busy = new Set([...this.#held.values()].map(({ attempt }) => attempt.machine));
    for (const machine of lab.manager.machines) {
      const { name } = machine;
      if (busy.has(name) || this.#beginning.has(name) || hasClones(machine.facts)) continue;
      const fits = (requirement: Parameters<typeof fitsMachine>[0]) => fitsMachine(requirement, parts.name, machine);
      if ((await cluster.queue.listFitting(fits)).length === 0) continue;
      const lease = await lab.takeFree(`the host ${parts.name}`, name);
      if (lease === undefined) continue;
      let taken: TakenAttempt | undefined;
      try {
        taken = await cluster.queue.take({ host: parts.name, machine: name, fits });
      } finally {
        if (taken === undefined) await lease.release();
      }
      if (taken !== undefined) this.#begin(taken, () => lease.release());
    }
  }

  /** Fetches the files of an analysis, and gives it to the lab. The machine is kept for it until then. */
  #begin(taken: TakenAttempt, release: () => Promise<void>): void {
    const { cluster, queue, maker } = this.parts;
    this.#beginning.add(taken.machine);
    this.#work(`beginning ${taken.id}`, async () => {
      const beating = setInterval(() => void cluster.queue.heartbeat(taken, "waiting for a machine").catch(() => undefined), this.#beatMs); // prettier-ignore
      try {
        const { request, target, scripts, number } = taken.submission;
        const { submission, ...rest } = request;
        const own: AnalysisRequest = {
          ...rest,
          ...{ machine: taken.machine, host: undefined, reportedAs: number, choice: {} },
          target: target && (await this.#fetchInput(taken, target)),
          scripts: await Promise.all(scripts.map((script) => this.#fetchInput(taken, script))),
          submission: { by: submission?.by ?? taken.submission.origin, priority: submission?.priority ?? 1 },
        };
        const id = this.#attempts.add(taken, () => queue.add(own));
        this.#hold({ id, attempt: taken });
      } catch (error) {
        await cluster.queue.fail(taken, `on ${taken.host}: ${error instanceof Error ? error.message : String(error)}`);
        throw error;
      } finally {
        clearInterval(beating);
        await release();
        this.#beginning.delete(taken.machine);
      }
      maker.wake();
    });
  }

  #hold(held: HeldAttempt): void {
    this.#held.set(held.id, { ...held, beatMs: -Infinity, isLost: false, isDelivering: false, isTold: false });
    this.#toldMs = -Infinity;
  }

  async #fetchInput({ id, attempt }: TakenAttempt, file: StoredFile): Promise<string> {
    const folder = join(getServerFolder(this.parts.labFolder), "inputs", `${id}-${attempt}`, file.sha256);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, file.name.replace(/[/\0]/g, "_").replace(/^\.{1,2}$/, "target"));
    await this.parts.cluster.store.get(getContentKey(file.sha256), path, file);
    return path;
  }

  #dropInput(path: string): void {
    const folder = dirname(dirname(path));
    if (dirname(folder) === join(getServerFolder(this.parts.labFolder), "inputs")) rmSync(folder, { recursive: true, force: true }); // prettier-ignore
  }

  #work(what: string, act: () => Promise<void>): void {
    const work = this.#try(what, act).finally(() => this.#works.delete(work));
    this.#works.add(work);
  }

  /** A trouble that stays is told once: the database and the store may be away for a while. */
  async #try(what: string, act: () => Promise<void>): Promise<void> {
    try {
      await act();
      if (this.#troubles.delete(what)) this.parts.log(`${what}: all is well again`);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (this.#troubles.get(what) !== text) this.parts.log(`${what}: ${text}`);
      this.#troubles.set(what, text);
    }
  }
}
