import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { HostProcess, TestCluster } from "../kit/cluster/test-cluster";
import { findProcesses } from "../kit/find-processes";
import type { Random } from "./random";
import { disks, IS_NAMESPACE, network } from "./soak-namespace";

/** Longer than a lease, in milliseconds. */
const STOPPED_MS = 14_000;
/** How long the faults let the cluster be between them, at most, in milliseconds. */
const CALM_MS = 4_000;

/** Something that goes wrong, and is mended. */
interface Fault {
  readonly name: string;
  happen(): Promise<unknown>;
}

/** The hosts of a soak, with the folders of their labs. */
export interface SoakedHosts {
  readonly names: readonly string[];
  readonly labs: readonly string[];
  /** The lab that hands in and collects. */
  readonly front: string;
}

/** Kills, stops, cuts off and fills the parts of a cluster. */
export class HostsFaults {
  readonly #running: (HostProcess | undefined)[] = [];

  constructor(
    private readonly cluster: TestCluster,
    private readonly hosts: SoakedHosts,
    private readonly random: Random,
    private readonly say: (line: string) => void,
  ) {}

  async start(): Promise<void> {
    for (const at of this.hosts.labs.keys()) await this.#startHost(at);
  }

  /** Lets something happen, or two things at once. */
  async next(): Promise<void> {
    const { random } = this;
    const at = random.between(0, this.hosts.labs.length - 1);
    const [host, engine] = [random.pick(this.#listOfHost(at)), random.pick(this.#listOfEngines())];
    const faults = random.chance(20) ? [host, engine] : [random.chance(70) ? host : engine];
    this.say(faults.map(({ name }) => name).join(", and "));
    await Promise.all(faults.map((fault) => fault.happen()));
    await sleep(random.between(0, CALM_MS));
  }

  /** Lets all parts run. */
  async calmDown(): Promise<void> {
    for (const [at, host] of this.#running.entries())
      if (host === undefined || hasEnded(host)) await this.#startHost(at);
  }

  #listOfHost(at: number): Fault[] {
    const { random } = this;
    const [name, lab] = [`the host ${this.hosts.names[at]}`, this.hosts.labs[at]!];
    const host = this.#running[at]!;
    const always: Fault[] = [
      { name: `${name} is killed`, happen: async () => (await host.end("SIGKILL"), this.#startHost(at)) },
      {
        name: `${name} is killed with all that runs there`,
        happen: async () => {
          await host.end("SIGKILL");
          killAll(lab);
          await sleep(random.between(0, STOPPED_MS));
          await this.#startHost(at);
        },
      },
      {
        name: `an analysis of ${name} is killed`,
        happen: async () =>
          kill(
            findProcesses(lab)
              .filter((pid) => pid !== host.child.pid)
              .slice(0, 1),
          ),
      },
      { name: `the machines of ${name} are killed`, happen: async () => killMachines(lab) },
      {
        name: `${name} stands still past its lease`,
        happen: async () => {
          host.child.kill("SIGSTOP");
          await sleep(STOPPED_MS);
          host.child.kill("SIGCONT");
        },
      },
    ];
    if (!IS_NAMESPACE) return always;
    return [
      ...always,
      {
        name: `${name} is cut off from the network past its lease`,
        happen: async () => {
          network.cut(at);
          await sleep(STOPPED_MS);
          network.mend();
        },
      },
      { name: `the disk of ${name} is full`, happen: () => this.#fill(lab) },
    ];
  }

  #listOfEngines(): Fault[] {
    const { cluster, random } = this;
    const away = async (part: { kill(): Promise<void>; up(): Promise<void> }) => {
      await part.kill();
      await sleep(random.between(0, 5_000));
      await part.up();
    };
    const standStill = async (part: { signal(signal: "SIGSTOP" | "SIGCONT"): void }) => {
      part.signal("SIGSTOP");
      await sleep(STOPPED_MS);
      part.signal("SIGCONT");
    };
    const always: Fault[] = [
      { name: "the database is killed", happen: () => away(cluster.postgres) },
      { name: "the store is killed", happen: () => away(cluster.store) },
      { name: "the database stands still past a lease", happen: () => standStill(cluster.postgres) },
      { name: "the store stands still past a lease", happen: () => standStill(cluster.store) },
    ];
    if (!IS_NAMESPACE) return always;
    return [
      ...always,
      { name: "the disk of the store is full", happen: () => this.#fill(cluster.store.folder) },
      { name: "the disk of the lab that collects is full", happen: () => this.#fill(this.hosts.front) },
    ];
  }

  async #fill(folder: string): Promise<void> {
    disks.fill(folder);
    await sleep(this.random.between(1_000, STOPPED_MS));
    disks.empty(folder);
  }

  async #startHost(at: number): Promise<void> {
    for (;;) {
      try {
        this.#running[at] = await this.cluster.startHost(this.hosts.labs[at]!, this.hosts.names[at]!);
        return;
      } catch (error) {
        // The database may be away, or the disk full, at this moment: systemd would start it again, too.
        this.say(`the host ${this.hosts.names[at]} does not start: ${error instanceof Error ? error.message.trim() : String(error)}`); // prettier-ignore
        await sleep(1_000);
      }
    }
  }
}

function hasEnded({ child }: HostProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Kills the processes with a lab among their arguments. */
function killAll(lab: string): void {
  kill(findProcesses(lab));
}

/** Kills the machines of a lab that run: each is a process with its own folder among its arguments. */
function killMachines(lab: string): void {
  const files = readdirSync(lab, { recursive: true, encoding: "utf8" }).filter((name) => /\/pid$/.test(name));
  kill(files.flatMap((name) => findProcesses(dirname(join(lab, name)))));
}

function kill(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
}
