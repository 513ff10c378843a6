import {
  type Findings,
  type InvestigationResult,
  parseFlags,
  PersistentInvestigation,
  registerInvestigation,
  z,
} from "rebox/investigation";

const HELP = `dispatch: sends the alerts of other persistent modules to a server
Without flags: how many were sent.`;
const DEFAULT_CHANNEL_SIZE = 1024;
/** After which a server that does not answer is given up, in milliseconds. */
const SEND_LIMIT_MS = 10_000;
/** How often it is said that alerts were dropped, in milliseconds. */
const DROP_NOTICE_MS = 300_000;

/** [dispatch] of dispatch.cfg. */
const Config = z.strictObject({
  // Each alert is posted there as a JSON object.
  httpurl: z.url({ protocol: /^https?$/ }),
  // How many alerts may wait.
  channelsize: z.number().int().min(1).max(1_000_000).default(DEFAULT_CHANNEL_SIZE),
});

const Parameters = z.strictObject({
  // What rebox sends; nobody else has a reason to.
  alert: z
    .strictObject({
      timestamp: z.string(),
      module: z.string(),
      level: z.string(),
      text: z.string(),
      hostname: z.string(),
    })
    .optional(),
});

interface Statistics {
  sent: number;
  /** The server refused them, or did not answer. */
  failed: number;
  /** There were too many waiting. */
  dropped: number;
  waiting: number;
}

type Alert = NonNullable<z.infer<typeof Parameters>["alert"]>;

/** MIG's dispatch: alerts leave the engine one after the other, and the watch goes on meanwhile. */
class Dispatch extends PersistentInvestigation<z.infer<typeof Config>, z.infer<typeof Parameters>, null, Statistics> {
  protected readonly configSchema = Config;
  protected readonly schema = Parameters;
  private readonly waiting: Alert[] = [];
  private sent = 0;
  private failed = 0;
  private dropped = 0;
  private isSending = false;

  protected start(): void {
    let told = 0;
    setInterval(() => {
      if (this.dropped > told)
        this.context.log(`${this.dropped - told} alerts were dropped: more than ${this.config.channelsize} waited`);
      told = this.dropped;
    }, DROP_NOTICE_MS);
  }

  protected query({ alert }: z.infer<typeof Parameters>): Findings<null, Statistics> {
    if (alert) this.take(alert);
    const { sent, failed, dropped } = this;
    return { found: false, elements: null, statistics: { sent, failed, dropped, waiting: this.waiting.length } };
  }

  private take(alert: Alert): void {
    if (this.waiting.length >= this.config.channelsize) {
      this.dropped++;
      return;
    }
    this.waiting.push(alert);
    if (!this.isSending) void this.sendAll();
  }

  private async sendAll(): Promise<void> {
    this.isSending = true;
    for (let alert = this.waiting[0]; alert && !this.context.signal.aborted; alert = this.waiting[0]) {
      try {
        await this.send(alert);
        this.sent++;
      } catch (error) {
        if (this.failed++ === 0) this.context.log(`${this.config.httpurl}: ${(error as Error).message}`);
      }
      this.waiting.shift();
    }
    this.isSending = false;
  }

  private async send(alert: Alert): Promise<void> {
    const response = await fetch(this.config.httpurl, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(alert),
      signal: AbortSignal.any([this.context.signal, AbortSignal.timeout(SEND_LIMIT_MS)]),
    });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`the server answers ${response.status}`);
  }

  printResults({ statistics }: InvestigationResult): string[] {
    const { sent, failed, dropped, waiting } = statistics as Statistics;
    return [`stat: ${sent} alerts sent, ${failed} failed, ${dropped} dropped, ${waiting} waiting`];
  }

  paramsParser(args: readonly string[]): unknown {
    return parseFlags(args, {}, HELP);
  }
}

registerInvestigation("dispatch", { newPersistentRun: (context) => new Dispatch(context) });
