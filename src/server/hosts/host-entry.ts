import { randomUUID } from "node:crypto";
import { freemem, loadavg, totalmem } from "node:os";
import { statfsSync } from "node:fs";
import type { HostList, HostLoad, HostState, LivePlace } from "../../lab/cluster/host-list";

/** A host, by what does not change of it. */
export interface HostFacts {
  readonly name: string;
  /** The name of its lab in the cluster. */
  readonly lab: string;
  /** Absolute. */
  readonly labFolder: string;
  readonly version: string;
  readonly machines: readonly string[];
  readonly live?: LivePlace | undefined;
}

/** The entry of a host in the list by which the cluster sees it. */
export class HostEntry {
  /** Somebody has asked it to take no more work, or it gets none. */
  isDraining = false;
  /** Why it gets no work; undefined when it gets some. */
  refusal: string | undefined;
  /** How many hosts the cluster has. */
  hosts = 1;
  readonly #process = randomUUID();
  #hasJoined = false;

  constructor(
    private readonly list: HostList,
    readonly host: HostFacts,
  ) {}

  /** Tells that the host is there. @throws ClusterError when another one has its name */
  async tell(state: HostState, analyses: number, queues: readonly string[]): Promise<void> {
    const { labFolder, ...facts } = this.host;
    const { bavail, bsize } = statfsSync(labFolder);
    const load: HostLoad = { analyses, processes: loadavg()[0]!, freeMemory: freemem(), memory: totalmem(), freeDisk: bavail * bsize }; // prettier-ignore
    const orders = await this.list.tell({
      ...facts,
      process: this.#process,
      joins: !this.#hasJoined,
      state,
      load,
      queues,
    });
    this.#hasJoined = true;
    this.refusal = orders.refusal;
    this.isDraining = orders.isDraining || orders.refusal !== undefined;
    this.hosts = orders.hosts;
  }

  /** Takes the host from the list. */
  async leave(): Promise<void> {
    await this.list.leave({ name: this.host.name, lab: this.host.lab, process: this.#process });
  }
}
