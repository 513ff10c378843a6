/** The work of a host: it takes analyses from the queue, has them made, and sends their results. */
export type HostState = "working" | "ending";

/** How busy a host is. */
export interface HostLoad {
  /** The analyses that it makes. */
  readonly analyses: number;
  /** The mean number of processes that want a processor, over a minute. */
  readonly processes: number;
  /** In bytes. */
  readonly freeMemory: number;
  readonly memory: number;
  readonly freeDisk: number;
}

/** A host as it tells of itself. */
export interface HostReport {
  readonly name: string;
  /** The lab that it works for, by its name in the cluster: another one cannot have the host's name. */
  readonly lab: string;
  /** Its process: new with each start. */
  readonly process: string;
  /** Its first word: an earlier process of the same host has ended, or takes no more work. */
  readonly joins: boolean;
  readonly version: string;
  readonly state: HostState;
  readonly machines: readonly string[];
  readonly load: HostLoad;
  /** The analyses that its machines can have: names of AnalysisQueue.listFitting(). */
  readonly queues: readonly string[];
  /** Undefined when its machines are not to be looked at from elsewhere. */
  readonly live?: LivePlace | undefined;
}

/** Where the machines of a host are looked at. */
export interface LivePlace {
  /** ws://ADDRESS:PORT or wss://ADDRESS:PORT */
  readonly url: string;
  /** The word that a viewer must bring: it is new with each start of the host. */
  readonly word: string;
  /** The SHA-256 of its certificate, as X509Certificate.fingerprint256 has it; undefined for ws. */
  readonly fingerprint?: string | undefined;
}

/** A host as the cluster knows it. */
export interface SeenHost extends Omit<HostReport, "process" | "joins" | "state" | "queues" | "live"> {
  /** Away: not heard of for the time of a lease. */
  readonly state: HostState | "away";
  readonly isDraining: boolean;
  /** By the clock of the cluster. */
  readonly seen: Date;
}

/** The answer to a host's word. */
export interface HostOrders {
  /** Whether somebody has asked it to take no more work. */
  readonly isDraining: boolean;
  /** How many hosts there are; those that are away do not count. */
  readonly hosts: number;
  /** Why it gets no work: the tables of the cluster are of another version by now, or another process has its name, of a copy of its lab for example. */
  readonly refusal: string | undefined;
}

/** Says why a host gets no work any more whose name another process has. */
export function explainReplaced(name: string): string {
  return `another process of the cluster is called ${name} by now: is its lab a copy of this one? give one of them another name by --name, and another lab in conf/cluster.yaml`;
}

/** The hosts of a cluster. */
export interface HostList {
  /**
   * Tells that a host is there.
   *
   * @throws ClusterError when another one has its name
   */
  tell(report: HostReport): Promise<HostOrders>;
  /** Takes a host from the list, unless another process has its name by now. */
  leave(host: Pick<HostReport, "name" | "lab" | "process">): Promise<void>;
  /** Lists them by name. */
  list(): Promise<SeenHost[]>;
  /** Finds where the machines of a host are looked at; undefined when it is away, or shows none. */
  findLive(name: string): Promise<LivePlace | undefined>;
  /** Asks a host to take no more work, or to take some again. @throws ClusterError when there is none of that name */
  setDraining(name: string, isDraining: boolean): Promise<void>;
}
