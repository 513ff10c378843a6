import type { QueuedAnalysis } from "../../lab/cluster/analysis-queue";
import type { LivePlace, SeenHost } from "../../lab/cluster/host-list";
import { type Cluster, openCluster } from "../../lab/cluster/open-cluster";
import { ClusterError } from "../../lab/errors";
import { NotThereError } from "../errors";

/** How long the list of hosts is believed, in milliseconds: many may ask at once. */
const FRESH_MS = 1_000;

/** The hosts of a lab's cluster, for those who look at them through a server. Any number of servers may look. */
export class ClusterView {
  #cluster: Promise<Cluster> | undefined;
  #hosts: { readonly untilMs: number; readonly value: Promise<SeenHost[]> } | undefined;

  /** @param labFolder absolute */
  constructor(
    private readonly labFolder: string,
    private readonly log: (text: string) => void,
  ) {}

  /** Lists the hosts. @throws ClusterError when the cluster cannot be reached */
  listHosts(): Promise<SeenHost[]> {
    if (this.#hosts !== undefined && performance.now() < this.#hosts.untilMs) return this.#hosts.value;
    const value = this.#use((cluster) => cluster.hosts.list());
    this.#hosts = { untilMs: performance.now() + FRESH_MS, value };
    value.catch(() => (this.#hosts = undefined));
    return value;
  }

  /** Asks a host to take no more work, or to take some again. @throws NotThereError; ClusterError */
  async setDraining(name: string, isDraining: boolean): Promise<void> {
    await this.#use(async ({ hosts }) => {
      if (!(await hosts.list()).some((host) => host.name === name)) throw new NotThereError(`there is no host ${name}`);
      await hosts.setDraining(name, isDraining);
    });
    this.#hosts = undefined;
  }

  /** Finds an analysis of the lab in the cluster. @param number of the lab */
  async findAnalysis(number: number): Promise<QueuedAnalysis | undefined> {
    return this.#use(async ({ queue, lab }) => (await queue.list({ origin: lab, number }))[0]);
  }

  /** Finds where the machines of a host are looked at. */
  async findLive(host: string): Promise<LivePlace | undefined> {
    return this.#use(({ hosts }) => hosts.findLive(host));
  }

  async close(): Promise<void> {
    await (await this.#cluster?.catch(() => undefined))?.close();
  }

  async #use<Result>(act: (cluster: Cluster) => Promise<Result>): Promise<Result> {
    const used = (this.#cluster ??= openCluster(this.labFolder, this.log));
    try {
      return await act(await used);
    } catch (error) {
      if (error instanceof NotThereError) throw error;
      // One that could not be reached is asked anew by the next who wants to know.
      if (this.#cluster === used) {
        this.#cluster = undefined;
        void used.then((cluster) => cluster.close()).catch(() => undefined);
      }
      throw error instanceof ClusterError ? error : new ClusterError(`the cluster cannot be asked: ${error instanceof Error ? error.message : String(error)}`); // prettier-ignore
    }
  }
}
