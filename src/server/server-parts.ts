import type { AnalysisDatabase } from "../lab/analysis/analysis-database";
import type { AnalysisIndex } from "../lab/analysis/search/analysis-index";
import type { AnalysisSearch } from "../lab/analysis/search/search-analyses";
import type { ServedQueue } from "../lab/analysis/queue/served-queue";
import type { AuditLog } from "./accounts/audit-log";
import type { Sessions } from "./accounts/sessions";
import type { Tokens } from "./accounts/tokens";
import type { Users } from "./accounts/users";
import type { ClusterView } from "./hosts/cluster-view";
import type { LiveViews } from "./live/live-views";
import type { Inquiries } from "./machines/inquiries";
import type { MachineTasks } from "./machines/machine-tasks";
import type { MachineWatch } from "./machines/machine-watch";
import type { AnalysisMaker } from "./queue/dispatcher";
import type { SampleStore } from "./queue/sample-store";
import type { Replays } from "./recordings/replays";
import type { ReportTickets } from "./results/report-tickets";
import type { WorkPool } from "./results/work-pool";
import type { ServerSettings } from "./settings";
import type { AddressCheck } from "./webhooks/address-check";
import type { WebhookStore } from "./webhooks/webhook-store";
import type { RequestCounts } from "./http/request-counts";
import type { EventStreams } from "./results/event-streams";

/** The accounts of a server. */
export interface Accounts {
  readonly users: Users;
  readonly tokens: Tokens;
  readonly sessions: Sessions;
  readonly audit: AuditLog;
}

/** Everything that the routes of a server use. */
export interface ServerParts {
  /** Absolute. */
  readonly labFolder: string;
  readonly settings: ServerSettings;
  readonly accounts: Accounts;
  readonly database: AnalysisDatabase;
  readonly queue: ServedQueue;
  readonly index: AnalysisIndex;
  readonly search: AnalysisSearch;
  readonly samples: SampleStore;
  readonly dispatcher: AnalysisMaker;
  /** The hosts of the lab's cluster; undefined when it has none. */
  readonly cluster: ClusterView | undefined;
  readonly machines: MachineWatch;
  readonly tasks: MachineTasks;
  readonly inquiries: Inquiries;
  readonly replays: Replays;
  readonly work: WorkPool;
  readonly streams: EventStreams;
  readonly views: LiveViews;
  readonly webhooks: WebhookStore;
  /** The addresses that webhooks may reach. */
  readonly addresses: AddressCheck;
  readonly tickets: ReportTickets;
  readonly counts: RequestCounts;
  /** How many analyses may run at once. */
  readonly mostRunning: number;
  /** Milliseconds since 1970. */
  readonly startedMs: number;
  /** For people. */
  log(text: string): void;
}
