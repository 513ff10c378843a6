import { EventQueue, SeededRandom } from "./event-queue";
import { ServiceStation } from "./service-station";

/** The processor time that PostgreSQL takes for each kind of request, in milliseconds: bench/measures/cluster-costs.ts measures it. */
export interface RequestCosts {
  readonly submit: number;
  /** A take that gets an analysis. */
  readonly take: number;
  /** One that finds none. */
  readonly ask: number;
  readonly heartbeat: number;
  readonly finish: number;
  /** The word of a host that it is there. */
  readonly tell: number;
  /** A look at what was given up. */
  readonly upkeep: number;
  /** A lab collects a result. */
  readonly collect: number;
  /** A word, for each host that hears it. */
  readonly word: number;
}

/** A cluster that is simulated. */
export interface ClusterModel {
  readonly hosts: number;
  readonly machinesPerHost: number;
  readonly analysesPerDay: number;
  /** From the taking of an analysis until its machine is free again, in seconds: the mean, and the part of it that is the same for each. */
  readonly analysisS: number;
  readonly fixedS: number;
  readonly costs: RequestCosts;
  readonly databaseCores: number;
  /** What the network of the store carries, in bytes a second. */
  readonly storeRate: number;
  /** What an analysis puts there and has fetched from there, in bytes. */
  readonly bytesPerAnalysis: number;
  readonly leaseS: number;
  /** Between two words of a host, and two of an attempt, in seconds. */
  readonly beatS: number;
  /** Each host that is woken asks within so many seconds for each host of the cluster. */
  readonly spreadPerHostS: number;
  readonly leastSpreadS: number;
  /** A host with a free machine asks so often anyway, in seconds. */
  readonly askS: number;
  /** Between two looks at what was given up: in all, and of one member at least, in seconds. */
  readonly upkeepS: number;
  readonly upkeepOfOneS: number;
  readonly hoursSimulated: number;
  /** The times between failures of one host, in hours; undefined without. It is back after ten minutes. */
  readonly hostFailsEveryH?: number;
  /** The database is away once, for so long, in seconds. */
  readonly databaseAwayS?: number;
  /** The same of the store. */
  readonly storeAwayS?: number;
  readonly seed: number;
}

/** The behaviour of a cluster. */
export interface ModelResult {
  /** From handing in to taking, in seconds. */
  readonly meanWaitS: number;
  readonly p99WaitS: number;
  readonly longestWaitS: number;
  /** From 0 to 1. */
  readonly machineUse: number;
  readonly databaseUse: number;
  readonly storeUse: number;
  /** Requests of all hosts and labs to the database, a second. */
  readonly requestsPerS: number;
  /** Of them, those of hosts that found nothing to do. */
  readonly askedInVain: number;
  /** Attempts that were made again, of all. */
  readonly repeated: number;
  readonly finishedPerDay: number;
  /** The analyses that wait at the end. */
  readonly waiting: number;
}

interface Waiting {
  readonly sinceS: number;
}

interface Host {
  free: number;
  isUp: boolean;
  willAsk: boolean;
  readonly running: Set<Waiting>;
}

const HOST_AWAY_S = 600;

/** Simulates a cluster, event by event: what is random is the same in each run. */
export function simulateCluster(model: ClusterModel): ModelResult {
  return new Simulation(model).run();
}

class Simulation {
  readonly #events = new EventQueue();
  readonly #random: SeededRandom;
  readonly #database: ServiceStation;
  readonly #store = new ServiceStation(1);
  readonly #hosts: Host[];
  readonly #waits: number[] = [];
  #queue: Waiting[] = [];
  #head = 0;
  #busyS = 0;
  #requests = 0;
  #vain = 0;
  #attempts = 0;
  #repeats = 0;
  #finished = 0;

  constructor(private readonly model: ClusterModel) {
    this.#random = new SeededRandom(model.seed);
    this.#database = new ServiceStation(model.databaseCores);
    this.#hosts = Array.from({ length: model.hosts }, () => ({ free: model.machinesPerHost, isUp: true, willAsk: false, running: new Set() })); // prettier-ignore
  }

  run(): ModelResult {
    const { model } = this;
    const endS = model.hoursSimulated * 3_600;
    this.#arrive();
    this.#repeat(Math.max(model.upkeepS, model.upkeepOfOneS / model.hosts), () => this.#request(model.costs.upkeep));
    for (const host of this.#hosts) {
      this.#repeat(model.beatS, () => host.isUp && this.#request(model.costs.tell));
      this.#repeat(model.askS, () => this.#ask(host));
      if (model.hostFailsEveryH !== undefined) this.#failLater(host);
    }
    const away = (station: ServiceStation, forS = 0) => this.#events.after(endS / 2, () => station.goAway(endS / 2 + forS)); // prettier-ignore
    away(this.#database, model.databaseAwayS);
    away(this.#store, model.storeAwayS);
    this.#events.run(endS);
    return this.#getResult(endS);
  }

  #getResult(endS: number): ModelResult {
    const waits = this.#waits.toSorted((one, other) => one - other);
    return {
      meanWaitS: waits.reduce((sum, wait) => sum + wait, 0) / waits.length,
      p99WaitS: waits[Math.floor(waits.length * 0.99)]!,
      longestWaitS: waits.at(-1)!,
      machineUse: this.#busyS / (endS * this.model.hosts * this.model.machinesPerHost),
      databaseUse: this.#database.getUse(endS),
      storeUse: this.#store.getUse(endS),
      requestsPerS: this.#requests / endS,
      askedInVain: this.#vain / this.#requests,
      repeated: this.#repeats / this.#attempts,
      finishedPerDay: (this.#finished / endS) * 86_400,
      waiting: this.#queue.length - this.#head,
    };
  }

  #arrive(): void {
    const { analysesPerDay, costs, hosts } = this.model;
    this.#events.after(this.#random.nextExponential(86_400 / analysesPerDay), () => {
      const analysis = { sinceS: this.#events.now };
      this.#request(costs.submit + hosts * costs.word, () => this.#add(analysis));
      this.#arrive();
    });
  }

  #add(analysis: Waiting): void {
    this.#queue.push(analysis);
    for (const host of this.#hosts) if (host.free > 0 && host.isUp) this.#wake(host);
  }

  /** A host that is woken asks at a random moment soon; it does not ask twice. */
  #wake(host: Host): void {
    if (host.willAsk) return;
    host.willAsk = true;
    const { leastSpreadS, hosts, spreadPerHostS } = this.model;
    this.#events.after(this.#random.next() * Math.max(leastSpreadS, hosts * spreadPerHostS), () => {
      host.willAsk = false;
      this.#ask(host);
    });
  }

  #ask(host: Host): void {
    if (host.free === 0 || !host.isUp) return;
    const { costs } = this.model;
    if (this.#queue.length === this.#head) {
      this.#vain++;
      return this.#request(costs.ask);
    }
    const taken = this.#queue[this.#head++]!;
    if (this.#head > 100_000) [this.#queue, this.#head] = [this.#queue.slice(this.#head), 0];
    host.free--;
    this.#request(costs.take, () => {
      this.#waits.push(this.#events.now - taken.sinceS);
      this.#attempts++;
      this.#make(host, taken);
      this.#ask(host);
    });
  }

  #make(host: Host, taken: Waiting): void {
    const { analysisS, fixedS, costs, bytesPerAnalysis, storeRate } = this.model;
    const takesS = fixedS + this.#random.nextExponential(analysisS - fixedS);
    const beganS = this.#events.now;
    host.running.add(taken);
    this.#beat(host, taken);
    this.#events.after(takesS, () => {
      this.#busyS += this.#events.now - beganS;
      if (!host.running.has(taken)) return;
      const carriedS = this.#store.serve(this.#events.now, bytesPerAnalysis / storeRate) - this.#events.now;
      this.#events.after(carriedS, () =>
        this.#request(costs.finish, () => {
          if (!host.running.delete(taken)) return;
          this.#finished++;
          host.free++;
          this.#ask(host);
          this.#request(costs.collect);
        }),
      );
    });
  }

  /** An attempt renews its lease. */
  #beat(host: Host, taken: Waiting): void {
    this.#events.after(this.model.beatS, () => {
      if (!host.running.has(taken)) return;
      this.#request(this.model.costs.heartbeat);
      this.#beat(host, taken);
    });
  }

  /** A host dies with all that it makes; others make it anew when the leases have ended. */
  #failLater(host: Host): void {
    const { hostFailsEveryH, leaseS, machinesPerHost, upkeepOfOneS } = this.model;
    this.#events.after(this.#random.nextExponential(hostFailsEveryH! * 3_600), () => {
      host.isUp = false;
      for (const taken of host.running) {
        this.#repeats++;
        this.#events.after(leaseS + this.#random.next() * upkeepOfOneS, () => this.#add(taken));
      }
      host.running.clear();
      this.#events.after(HOST_AWAY_S, () => {
        host.isUp = true;
        host.free = machinesPerHost;
        this.#wake(host);
        this.#failLater(host);
      });
    });
  }

  /** Does something again and again, for the first time at a random moment. */
  #repeat(everyS: number, act: () => void): void {
    const next = (): void => {
      act();
      this.#events.after(everyS, next);
    };
    this.#events.after(this.#random.next() * everyS, next);
  }

  #request(costMs: number, then: () => void = () => undefined): void {
    this.#requests++;
    const doneS = this.#database.serve(this.#events.now, costMs / 1_000);
    this.#events.after(doneS - this.#events.now, then);
  }
}
