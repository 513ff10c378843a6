import { existsSync } from "node:fs";
import { join } from "node:path";
import { getReboxVersion } from "../../config/folders";
import { openDatabase } from "../../lab/analysis/analysis-places";
import type { Cleaning } from "../../lab/analysis/end-abandoned";
import { ServedQueue } from "../../lab/analysis/queue/served-queue";
import { openCluster } from "../../lab/cluster/open-cluster";
import { ClusterError, MachineryManagerError } from "../../lab/errors";
import { Lab } from "../../lab/lab";
import { hasClones } from "../../lab/machinery/golden/clones";
import { takeLock } from "../../lab/process-lock";
import type { Doors } from "../../scripts/loading/doors";
import { getServerFolder } from "../accounts/account-database";
import { Dispatcher, type StartAnalysis } from "../queue/dispatcher";
import { WorkPool } from "../results/work-pool";
import { HostAgent } from "./host-agent";
import { HostEntry } from "./host-entry";
import { LiveDoor, type LiveSettings } from "./live-door";

/** Between two looks at the lab's queue, in milliseconds: what the host itself gives to it is begun at once. */
const POLL_MS = 1_000;

/** Everything that a host needs of those who start it. */
export interface HostOptions {
  readonly name: string;
  /** Absolute. */
  readonly labFolder: string;
  readonly api: Doors;
  readonly startAnalysis: StartAnalysis;
  /** Where its machines can be looked at by servers of the cluster; undefined lets nobody look. */
  readonly live?: LiveSettings | undefined;
  /** For people. */
  log(text: string): void;
}

/** A host that takes work. */
export interface RunningHost {
  /** Takes no more, waits for what runs, and leaves the cluster. */
  close(): Promise<void>;
}

/**
 * Starts the host of a lab.
 *
 * @throws ServerError when the place of `live` cannot be listened on; ClusterError when the lab has no cluster, the cluster cannot be reached, has another host of this name, or the lab is served already
 */
export async function startHost({ name, labFolder, api, startAnalysis, live, log }: HostOptions): Promise<RunningHost> {
  if (!existsSync(join(labFolder, "conf"))) throw new ClusterError(`${labFolder} is no lab: it has no folder conf; make one with rebox lab init`); // prettier-ignore
  const cleaning: (() => void | Promise<void>)[] = [];
  const clean = async () => {
    let failure: unknown;
    for (const act of cleaning.splice(0).toReversed()) {
      try {
        await act();
      } catch (error) {
        // Nothing else stays for that.
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
  };
  try {
    cleaning.push(await lockLab(labFolder));
    const cluster = await openCluster(labFolder, log);
    cleaning.push(() => cluster.close());
    const lab = await Lab.open(labFolder, { api, log });
    cleaning.push(() => lab.close());
    lab.checkHasMachines();
    for (const failure of lab.failures) log(failure);
    const machines = [...lab.manager.machines].filter(({ facts }) => !hasClones(facts)).map((machine) => machine.name);
    // Nobody looks before there is an agent: no analysis has begun.
    const agents: HostAgent[] = [];
    const door = live && (await LiveDoor.open(live, lab, (analysis) => agents[0]?.findTarget(analysis)));
    if (door !== undefined) cleaning.push(() => door.close());
    const facts = { name, labFolder, machines, lab: cluster.lab, version: getReboxVersion(), live: door?.place };
    const entry = new HostEntry(cluster.hosts, facts);
    await entry.tell("working", 0, []);
    const database = openDatabase(labFolder);
    cleaning.push(() => database.close());
    const queue = new ServedQueue(database);
    const work = new WorkPool();
    cleaning.push(() => work.close());
    // On a thread of its own: a long report would cost the leases of all that runs here.
    const writeReport: Cleaning["writeReport"] = async (folder, record) => void (await work.do({ kind: "abandoned", labFolder, folder, record })); // prettier-ignore
    const cleaner: Cleaning = { labFolder, database, api, log, writeReport };
    const maker = new Dispatcher(cleaner, queue, machines.length, startAnalysis, POLL_MS);
    const agent = new HostAgent({ name, labFolder, lab, database, queue, maker, cluster, entry, log });
    agents.push(agent);
    agent.start();
    cleaning.push(() => agent.drain());
    return { close: clean };
  } catch (error) {
    await clean().catch(() => undefined);
    throw error;
  }
}

/** A lab's queue is worked by one process: its host or its server. */
async function lockLab(labFolder: string): Promise<() => Promise<void>> {
  try {
    return await takeLock(join(getServerFolder(labFolder), "serve.lock"), { timeoutMs: 0, owner: "rebox host" });
  } catch (error) {
    if (!(error instanceof MachineryManagerError)) throw error;
    throw new ClusterError(`${labFolder} is served already: ${error.message}; end that first`);
  }
}
