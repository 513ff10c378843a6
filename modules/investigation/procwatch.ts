import { CallbackManager, getGuest, getRunningProcess, type LinuxProcess } from "rebox";
import {
  compileExpression,
  type Findings,
  type InvestigationResult,
  PersistentInvestigation,
  registerInvestigation,
  z,
} from "rebox/investigation";
import { followGuest } from "rebox/trusted";

/** Programs that are being loaded at once; what is beyond is told without what it is called with. */
const MOST_LOADING = 10_000;

const texts = z
  .union([z.string(), z.array(z.string())])
  .default([])
  .transform((value) => (Array.isArray(value) ? value : [value]));
/** [procwatch] of procwatch.cfg: which processes are told of; all of what is set must fit, each with one of its values. */
const Config = z.strictObject({
  name: texts,
  path: texts,
  commandline: texts,
  parent: texts,
  uid: z.union([z.number(), z.array(z.number())]).optional(),
  level: z.enum(["low", "medium", "high", "critical"]).default("medium"),
});
const Parameters = z.strictObject({});

interface Elements {
  readonly ok: boolean;
}

interface Statistics {
  /** Processes that have begun. */
  readonly processes: number;
  readonly alerts: number;
}

interface Filters {
  readonly names: readonly RegExp[];
  readonly paths: readonly RegExp[];
  readonly lines: readonly RegExp[];
  readonly parents: readonly RegExp[];
  readonly uids: readonly number[] | undefined;
}

/** What is known of a process that has begun; what cannot be read is empty. */
interface Begun {
  readonly path: string;
  readonly commandline: string;
  readonly parent: string;
  readonly uid: number | undefined;
}

/** Alerts when processes begin that somebody wants to know of. */
class ProcessWatch extends PersistentInvestigation<
  z.infer<typeof Config>,
  z.infer<typeof Parameters>,
  Elements,
  Statistics
> {
  protected readonly configSchema = Config as unknown as z.ZodType<z.infer<typeof Config>>;
  protected readonly schema = Parameters;
  private readonly counts = { processes: 0, alerts: 0 };
  private wanted: Filters = { names: [], paths: [], lines: [], parents: [], uids: undefined };

  /** Programs that are being loaded, by their address space: what they are called with is there a little later. */
  private readonly loading = new Map<bigint, { readonly pid: number; readonly name: string }>();
  private hooks: CallbackManager | undefined;

  protected start(): void {
    this.wanted = compileFilters(this.config);
    const end = followGuest(
      (guest) => {
        this.hooks?.clean();
        this.hooks = new CallbackManager(0);
        this.loading.clear();
        // fs/exec.c: called when all of a program is in place, before its first instruction.
        const addr = guest.kernel.findSymbol("finalize_exec");
        if (addr === undefined) return;
        this.hooks.addCallback("BLOCK_BEGIN_CB", (cpuIndex) => this.onLoaded(getRunningProcess(cpuIndex)), { addr });
      },
      (error) => this.context.alert("high", `processes cannot be watched: ${(error as Error).message}`),
    );
    this.context.own(() => {
      end();
      this.hooks?.clean();
    });
    this.context.callbacks.addCallback("CREATEPROC_CB", (pid, pgd, name) => this.onProcess(pid, pgd, name));
  }

  private onProcess(pid: number, pgd: bigint, name: string): void {
    this.counts.processes++;
    const { names } = this.wanted;
    if (!fits(names, name)) return;
    const begun = describe(pgd);
    if (begun.commandline !== "" || this.loading.size >= MOST_LOADING) this.tell(pid, name, begun);
    else this.loading.set(pgd, { pid, name });
  }

  private onLoaded(pgd: bigint): void {
    const waiting = this.loading.get(pgd);
    if (!waiting || !this.loading.delete(pgd)) return;
    this.tell(waiting.pid, waiting.name, describe(pgd));
  }

  private tell(pid: number, name: string, { path, commandline, parent, uid }: Begun): void {
    const { paths, lines, parents, uids } = this.wanted;
    if (!fits(paths, path) || !fits(lines, commandline) || !fits(parents, parent)) return;
    if (uids && (uid === undefined || !uids.includes(uid))) return;
    this.counts.alerts++;
    const details = [`path=${path}`, `uid=${uid ?? "?"}`, `parent=${parent}`, `command=${commandline}`];
    this.context.alert(this.config.level, `process ${name} (${pid}) began: ${details.join(" ")}`);
  }

  protected query(): Findings<Elements, Statistics> {
    return { found: this.counts.alerts > 0, elements: { ok: true }, statistics: { ...this.counts } };
  }

  printResults({ statistics, errors }: InvestigationResult, foundOnly: boolean): string[] {
    const { processes = 0, alerts = 0 } = (statistics ?? {}) as Partial<Statistics>;
    if (foundOnly) return [];
    return [
      ...(errors ?? []).map((error) => `error: ${error}`),
      `stat: ${alerts} alerts, ${processes} processes began`,
    ];
  }
}

function compileFilters({ name, path, commandline, parent, uid }: z.infer<typeof Config>): Filters {
  const compile = (list: readonly string[]): RegExp[] => list.map((text) => compileExpression(text));
  return {
    names: compile(name),
    paths: compile(path),
    lines: compile(commandline),
    parents: compile(parent),
    uids: uid === undefined ? undefined : [uid].flat(),
  };
}

function fits(patterns: readonly RegExp[], text: string): boolean {
  return patterns.length === 0 || patterns.some((pattern) => pattern.test(text));
}

function describe(pgd: bigint): Begun {
  const nothing = { path: "", commandline: "", parent: "", uid: undefined };
  try {
    const processes = getGuest().getProcessList();
    const process = processes.find((one) => one.pgd === pgd);
    if (!process) return nothing;
    const parent = processes.find(({ pid }) => pid === process.ppid);
    return {
      path: attempt(process, (one) => one.executable) ?? "",
      commandline: attempt(process, (one) => one.commandLine.join(" ")) ?? "",
      parent: parent?.name ?? "",
      uid: attempt(process, (one) => one.uid),
    };
  } catch {
    // The list is just being changed: the process is told without what stands there.
    return nothing;
  }
}

function attempt<Result>(process: LinuxProcess, read: (process: LinuxProcess) => Result): Result | undefined {
  try {
    return read(process);
  } catch {
    return undefined;
  }
}

registerInvestigation("procwatch", { newPersistentRun: (context) => new ProcessWatch(context) });
