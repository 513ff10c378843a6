import { chmodSync, existsSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { ConfigProblems } from "../config/schema/config-problems";
import { AnalysisEnds } from "../lab/analysis/queue/analysis-ends";
import { openDatabase } from "../lab/analysis/analysis-places";
import type { Cleaning } from "../lab/analysis/end-abandoned";
import { AnalysisIndex } from "../lab/analysis/search/analysis-index";
import { AnalysisSearch } from "../lab/analysis/search/search-analyses";
import { ServedQueue } from "../lab/analysis/queue/served-queue";
import { MachineryManagerError } from "../lab/errors";
import { readLabSettings } from "../lab/lab-settings";
import { takeLock } from "../lab/process-lock";
import type { Doors } from "../scripts/loading/doors";
import { getServerFolder, openAccountDatabase } from "./accounts/account-database";
import { AuditLog } from "./accounts/audit-log";
import { Sessions } from "./accounts/sessions";
import { Tokens } from "./accounts/tokens";
import { Users } from "./accounts/users";
import { createApp } from "./create-app";
import { ServerError } from "./errors";
import type { RouteAccess } from "./http/access";
import { RequestCounts } from "./http/request-counts";
import { LiveViews } from "./live/live-views";
import { Inquiries } from "./machines/inquiries";
import { MachineTasks } from "./machines/machine-tasks";
import { MachineWatch } from "./machines/machine-watch";
import { findClusterSettings } from "../lab/cluster/cluster-settings";
import { ClusterView } from "./hosts/cluster-view";
import { ClusterMaker } from "./hosts/cluster-maker";
import { Dispatcher, type StartAnalysis } from "./queue/dispatcher";
import { SampleStore } from "./queue/sample-store";
import { Replays } from "./recordings/replays";
import { EventStreams } from "./results/event-streams";
import { ReportTickets } from "./results/report-tickets";
import { WorkPool } from "./results/work-pool";
import type { ServerParts } from "./server-parts";
import { AddressCheck } from "./webhooks/address-check";
import { WebhookSender } from "./webhooks/webhook-sender";
import { WebhookStore } from "./webhooks/webhook-store";
import { checkExposure, type ListenPlace, type ServerSettings } from "./settings";

/** How long requests that go on may take when the server ends, in milliseconds. */
const GRACE_MS = 10_000;
/** Analyses of before there was an index are added by and by: the first requests come before them. */
const INDEX_AFTER_MS = 1_000;

/** Everything that a server needs of those who start it. */
export interface ServerOptions {
  readonly labFolder: string;
  readonly settings: ServerSettings;
  /** How many analyses may run at once; without it, max_analyses_count of conf/lab.yaml. */
  readonly mostRunning?: number | undefined;
  /** The parts of rebox that modules can import. */
  getApi(): Doors;
  readonly startAnalysis: StartAnalysis;
  /** For people. */
  log(text: string): void;
}

/** A server that answers. */
export interface RunningServer {
  /** "http://127.0.0.1:8700", or the path of its socket. */
  readonly address: string;
  /** Each route with the right that it needs. */
  readonly routes: readonly RouteAccess[];
  /** Ends it. Analyses that run go on, those that wait stay in the queue. */
  close(): Promise<void>;
}

/**
 * Starts the server of a lab.
 *
 * @throws ServerError when there is no lab or no user, when another server serves it, or the place to listen is taken
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { settings } = options;
  const labFolder = resolve(options.labFolder);
  if (!existsSync(join(labFolder, "conf"))) throw new ServerError(`${labFolder} is no lab: it has no folder conf; make one with rebox lab init`); // prettier-ignore
  checkExposure(settings);
  for (const file of settings.tls === undefined ? [] : [settings.tls.certificate, settings.tls.key])
    if (!existsSync(file))
      throw new ServerError(`${file} is not there; --tls-certificate and --tls-key name PEM files`);
  const cleaning: (() => void | Promise<void>)[] = [];
  const clean = async () => {
    for (const act of cleaning.reverse()) await act();
  };
  try {
    cleaning.push(await lockLab(labFolder));
    const parts = openParts(labFolder, options, cleaning);
    const routes: RouteAccess[] = [];
    const app = await createApp(parts, routes);
    cleaning.push(() => void parts.streams.close());
    cleaning.push(async () => {
      const late = setTimeout(() => app.server.closeAllConnections(), GRACE_MS);
      parts.streams.close();
      parts.views.close();
      await app.close();
      clearTimeout(late);
    });
    const address = await listen(app, settings.listen, settings.tls !== undefined);
    parts.dispatcher.start();
    cleaning.push(() => parts.dispatcher.stop());
    const { webhooks: store, search, database, log } = parts;
    const sender = new WebhookSender({ store, search, log, check: parts.addresses, ends: new AnalysisEnds(database) });
    sender.start();
    cleaning.push(() => sender.stop());
    // Behind the words that it serves.
    const warming = setImmediate(() => parts.work.warm());
    cleaning.push(() => clearImmediate(warming));
    const index = () => parts.work.doApart({ kind: "index", labFolder });
    const indexing = setTimeout(() => void index().catch((error: unknown) => log(`the index: ${String(error)}`)), INDEX_AFTER_MS); // prettier-ignore
    cleaning.push(() => clearTimeout(indexing));
    return { address, routes, close: clean };
  } catch (error) {
    await clean();
    throw error;
  }
}

/** Takes the right to serve a lab, which only one process has at a time. */
async function lockLab(labFolder: string): Promise<() => Promise<void>> {
  const file = join(getServerFolder(labFolder), "serve.lock");
  try {
    return await takeLock(file, { timeoutMs: 0, owner: "rebox serve" });
  } catch (error) {
    if (!(error instanceof MachineryManagerError)) throw error;
    throw new ServerError(`${labFolder} is served already (${file}): ${error.message}; end that server first`);
  }
}

function openParts(
  labFolder: string,
  { settings, mostRunning, getApi, startAnalysis, log }: ServerOptions,
  cleaning: (() => void | Promise<void>)[],
): ServerParts {
  const accountDatabase = openAccountDatabase(labFolder);
  cleaning.push(() => void accountDatabase.close());
  const accounts = {
    ...{ users: new Users(accountDatabase), tokens: new Tokens(accountDatabase) },
    ...{ sessions: new Sessions(accountDatabase), audit: new AuditLog(accountDatabase) },
  };
  if (accounts.users.list().length === 0)
    throw new ServerError("there is no user yet; add one: rebox serve add-user NAME --role administrator");
  const database = openDatabase(labFolder);
  cleaning.push(() => database.close());
  const queue = new ServedQueue(database);
  const limit = mostRunning ?? readLabSettings(labFolder, new ConfigProblems()).max_analyses_count;
  const machines = new MachineWatch(labFolder, getApi, log);
  cleaning.push(() => machines.close());
  const inquiries = new Inquiries(labFolder);
  cleaning.push(() => inquiries.close());
  const replays = new Replays(labFolder);
  cleaning.push(() => replays.close());
  const work = new WorkPool();
  cleaning.push(() => work.close());
  const cleaningUp: Cleaning = {
    ...{ labFolder, database, log },
    // Loaded when a module of the lab is: that takes longer than all else at the start.
    get api() {
      return getApi();
    },
    writeReport: async (folder, record) => void (await work.do({ kind: "abandoned", labFolder, folder, record })),
  };
  const cluster = findClusterSettings(labFolder) === undefined ? undefined : new ClusterView(labFolder, log);
  cleaning.push(async () => cluster?.close());
  rmSync(join(getServerFolder(labFolder), "outgoing"), { recursive: true, force: true });
  return {
    ...{ labFolder, settings, accounts, database, queue, machines, work, log, mostRunning: limit },
    ...{
      index: new AnalysisIndex(database),
      search: new AnalysisSearch(database),
      samples: new SampleStore(labFolder),
    },
    cluster,
    dispatcher:
      cluster === undefined
        ? new Dispatcher(cleaningUp, queue, limit, startAnalysis)
        : new ClusterMaker({ labFolder, database, queue, log, index: async () => void (await work.do({ kind: "index", labFolder })) }), // prettier-ignore
    ...{
      streams: new EventStreams(labFolder, database),
      tickets: new ReportTickets(),
      views: new LiveViews(accounts),
      ...{ tasks: new MachineTasks(labFolder), inquiries, replays },
      webhooks: new WebhookStore(accountDatabase),
      addresses: new AddressCheck(settings.webhookNetworks),
      counts: new RequestCounts(),
    },
    startedMs: Date.now(),
  };
}

async function listen(
  app: Awaited<ReturnType<typeof createApp>>,
  place: ListenPlace,
  isEncrypted: boolean,
): Promise<string> {
  // prettier-ignore
  if ("path" in place) await removeStale(place.path);
  try {
    await app.listen(place);
  } catch (error) {
    throw new ServerError(`cannot listen: ${(error as Error).message}; choose another place by --listen`);
  }
  if ("path" in place) {
    // A proxy of the same group may connect, and nobody else.
    chmodSync(place.path, 0o660);
    return place.path;
  }
  const { port } = app.server.address() as { port: number };
  const host = place.host.includes(":") ? `[${place.host}]` : place.host;
  return `${isEncrypted ? "https" : "http"}://${host}:${port}`;
}

/** Removes a socket on which nobody answers: a server that was killed has left it. */
async function removeStale(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const isAnswered = await new Promise<boolean>((settle) => {
    const socket = connect(path, () => {
      socket.destroy();
      settle(true);
    }).once("error", ({ code }: NodeJS.ErrnoException) => settle(code !== "ECONNREFUSED"));
  });
  if (isAnswered) throw new ServerError(`${path} is taken: another program listens there, or it is no socket; choose another place by --listen`); // prettier-ignore
  rmSync(path);
}
