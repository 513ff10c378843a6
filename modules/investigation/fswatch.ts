import { CallbackManager } from "rebox";
import {
  type Findings,
  type InvestigationResult,
  PersistentInvestigation,
  registerInvestigation,
  z,
} from "rebox/investigation";
import { type FileEvent, FileEvents, type FileEventKind, followGuest } from "rebox/trusted";

const RECURSIVE = "recursive:";
const DEFAULT_PATHS = [
  "recursive:/etc",
  "recursive:/bin",
  "recursive:/sbin",
  "recursive:/usr/bin",
  "recursive:/usr/sbin",
];
const DEFAULT_SUPPRESS_S = 15 * 60;
/** Objects whose last alert is remembered; the oldest go first. */
const MOST_OBJECTS = 10_000;
const LEVELS: Readonly<Record<Exclude<FileEventKind, "open">, string>> = {
  write: "critical",
  create: "high",
  rename: "medium",
  remove: "low",
};

const paths = z.union([z.string(), z.array(z.string())]);
/** fswatch.cfg: [fswatch] suppress, in seconds; [paths] path, once for each. */
const Config = z.strictObject({
  suppress: z.number().min(0).default(DEFAULT_SUPPRESS_S),
  paths: z.strictObject({ path: paths.default(DEFAULT_PATHS) }).default({ path: DEFAULT_PATHS }),
});

const Parameters = z.strictObject({});

interface Elements {
  readonly ok: boolean;
  /** Whether the guest's kernel is watched now. */
  readonly iswatching: boolean;
  readonly paths: readonly string[];
}

interface Statistics {
  readonly alerts: number;
  /** Changes that were not told of, because their object was a moment ago. */
  readonly suppressed: number;
  /** Changes of all files, also of those that are not watched. */
  readonly events: number;
  /** Changes whose file could not be read out of the guest's kernel. */
  readonly unreadable: number;
}

interface WatchedPath {
  readonly path: string;
  readonly isRecursive: boolean;
}

/** Alerts when files are written, made, renamed or removed (MIG's module fswatch), seen in the guest's kernel. */
class FileWatch extends PersistentInvestigation<
  z.infer<typeof Config>,
  z.infer<typeof Parameters>,
  Elements,
  Statistics
> {
  protected readonly configSchema = Config;
  protected readonly schema = Parameters;
  private watched: readonly WatchedPath[] = [];
  private callbacks: CallbackManager | undefined;
  private readonly told = new Map<string, number>();
  private readonly counts = { alerts: 0, suppressed: 0, events: 0, unreadable: 0 };

  protected start(): void {
    const { path } = this.config.paths;
    this.watched = (Array.isArray(path) ? path : [path]).map(parsePath);
    const end = followGuest(
      (guest) => {
        // Hooks of a kernel that runs no longer.
        this.callbacks?.clean();
        this.callbacks = new CallbackManager(0);
        const missing = new FileEvents(
          guest,
          (event) => this.onEvent(event),
          (text) => this.onProblem(text),
        ).hook(this.callbacks);
        if (missing.length > 0) this.context.alert("high", `this kernel has no ${missing.join(", ")}: not all is seen`);
      },
      (error) => this.context.alert("high", `files cannot be watched: ${(error as Error).message}`),
    );
    this.context.own(() => {
      end();
      this.callbacks?.clean();
    });
  }

  protected query(): Findings<Elements, Statistics> {
    const told = this.watched.map(({ path, isRecursive }) => (isRecursive ? RECURSIVE + path : path));
    const elements = { ok: true, iswatching: this.callbacks !== undefined, paths: told };
    return { found: this.counts.alerts > 0, elements, statistics: { ...this.counts } };
  }

  printResults({ elements, statistics, errors }: InvestigationResult, foundOnly: boolean): string[] {
    const { ok = false, iswatching = false, paths: told = [] } = (elements ?? {}) as Partial<Elements>;
    if (foundOnly) return [`ok is ${ok}`];
    const { alerts = 0, suppressed = 0, events = 0 } = (statistics ?? {}) as Partial<Statistics>;
    return [
      `ok is ${ok}`,
      ...told.map((path) => `watching ${path}`),
      ...(iswatching ? [] : ["the guest's kernel is not watched yet"]),
      ...(errors ?? []).map((error) => `error: ${error}`),
      `stat: ${alerts} alerts, ${suppressed} suppressed, ${events} changes seen`,
    ];
  }

  /** Called for every change in the guest, while it waits: what is not watched goes at once. */
  private onEvent({ kind, path, newPath, pid, process }: FileEvent): void {
    this.counts.events++;
    const who = pid === undefined ? "the kernel" : `${process} (${pid})`;
    const isWatched = this.isWatched(path);
    // Nothing else was asked for.
    if (kind === "open") return;
    if (kind === "write") {
      if (isWatched) this.tell(kind, path, `${path} changed: written by ${who}`);
    } else if (kind === "create") {
      if (isWatched) this.tell(kind, path, `${path} created by ${who}`);
    } else if (kind === "remove") {
      if (isWatched) this.tell(kind, path, `${path} path removed by ${who}`);
    } else if (newPath !== undefined && (isWatched || this.isWatched(newPath))) {
      this.tell(kind, newPath, `${path} renamed to ${newPath} by ${who}`);
    }
  }

  private onProblem(text: string): void {
    this.counts.unreadable++;
    this.context.log(`a change whose file is not known: ${text}`);
  }

  private isWatched(path: string): boolean {
    return this.watched.some(({ path: root, isRecursive }) => {
      if (path === root) return true;
      const start = root === "/" ? "/" : `${root}/`;
      return path.startsWith(start) && (isRecursive || !path.slice(start.length).includes("/"));
    });
  }

  private tell(kind: keyof typeof LEVELS, path: string, text: string): void {
    const key = `${kind} ${path}`;
    const nowMs = performance.now();
    const lastMs = this.told.get(key);
    if (lastMs !== undefined && nowMs - lastMs < this.config.suppress * 1000) {
      this.counts.suppressed++;
      return;
    }
    this.told.delete(key);
    this.told.set(key, nowMs);
    const [oldest] = this.told.keys();
    if (this.told.size > MOST_OBJECTS && oldest !== undefined) this.told.delete(oldest);
    // What is made anew is another object: what is done to it is told again.
    if (kind === "remove") for (const other of ["write", "create"]) this.told.delete(`${other} ${path}`);
    if (kind === "create") this.told.delete(`remove ${path}`);
    this.counts.alerts++;
    this.context.alert(LEVELS[kind], text);
  }
}

function parsePath(text: string): WatchedPath {
  const isRecursive = text.startsWith(RECURSIVE);
  const path = isRecursive ? text.slice(RECURSIVE.length) : text;
  if (!path.startsWith("/")) throw new Error(`the path ${JSON.stringify(text)} must begin with / or ${RECURSIVE}/`);
  return { path: path.replace(/(?<=.)\/+$/, ""), isRecursive };
}

registerInvestigation("fswatch", { newPersistentRun: (context) => new FileWatch(context) });
