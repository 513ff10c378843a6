import { type LinuxProcess } from "rebox";
import {
  callWithin,
  compileExpression,
  type Findings,
  formatDuration,
  Investigation,
  type InvestigationResult,
  parseFlags,
  registerInvestigation,
  z,
} from "rebox/investigation";

/** For all names of all processes: an expression that takes longer will not end. */
const LONGEST_MATCH_MS = 1000;
/** No pid is larger (PID_MAX_LIMIT). */
const LARGEST_PID = 1 << 22;
const LARGEST_UID = 0xffffffff;

const Parameters = z.strictObject({
  names: z
    .array(z.string())
    .default([])
    .describe("Regular expressions for the program's path; for the process' name where it has none."),
  pids: z.array(z.int().min(0).max(LARGEST_PID)).default([]).describe("Numbers of processes."),
  uids: z
    .array(z.int().min(0).max(LARGEST_UID))
    .default([])
    .describe("Numbers of users: the real or the effective one."),
  kernelthreads: z.boolean().default(false).describe("Kernel threads, too."),
});
type Parameters = z.infer<typeof Parameters>;

interface Element {
  readonly pid: number;
  readonly ppid: number;
  readonly name: string;
  readonly executable: string;
  readonly commandline: readonly string[];
  readonly uid: number;
  readonly gid: number;
  readonly euid: number;
  readonly egid: number;
  /** Numbers of its threads. */
  readonly tids: readonly number[];
  readonly starttime: string;
  readonly kernelthread: boolean;
}

interface Statistics {
  readonly processcount: number;
  readonly totalhits: number;
  readonly exectime: string;
}

const HELP = `process lists processes of a guest: numbers, users, threads, start, command line.

-name REGEX       those whose program's path matches, or whose name where there is no program
-pid NUMBER       the process with this number
-uid NUMBER       those of this user, real or effective
-kernelthreads    kernel threads, too

Each may be given several times, but -kernelthreads; a process is listed that matches one of each kind. Without any, all are.`;

class ProcessInvestigation extends Investigation<Parameters, Element[], Statistics> {
  protected readonly schema = Parameters as z.ZodType<Parameters>;

  override validateParameters(): void {
    for (const source of this.parameters.names) compileExpression(source);
  }

  protected investigate(): Findings<Element[], Statistics> {
    const startMs = performance.now();
    const guest = this.context.getGuest();
    const errors: string[] = [];
    const { elements, processcount } = this.context.atOneMoment(() => {
      const processes = guest
        .getProcessList()
        .filter(({ isKernelThread }) => this.parameters.kernelthreads || !isKernelThread);
      const found: Element[] = [];
      for (const process of processes) {
        try {
          const element = this.#read(process);
          if (element) found.push(element);
        } catch (error) {
          errors.push(`process ${process.pid} (${process.name}): ${(error as Error).message}`);
        }
      }
      return { elements: this.#selectNames(found), processcount: processes.length };
    });
    const exectime = formatDuration((performance.now() - startMs) * 1e6);
    return {
      found: elements.length > 0,
      elements,
      statistics: { processcount, totalhits: elements.length, exectime },
      errors,
    };
  }

  /** Undefined when its numbers are not those that are looked for: most of it need not be read then. */
  #read(process: LinuxProcess): Element | undefined {
    const { pids, uids } = this.parameters;
    if (pids.length > 0 && !pids.includes(process.pid)) return undefined;
    const { uid, gid, euid, egid } = process.credentials;
    if (uids.length > 0 && !uids.includes(uid) && !uids.includes(euid)) return undefined;
    return {
      ...{ pid: process.pid, ppid: process.ppid, name: process.name },
      ...{ executable: process.executable, commandline: process.commandLine },
      ...{ uid, gid, euid, egid, tids: process.threads.map(({ tid }) => tid) },
      ...{ starttime: process.startTime.toISOString(), kernelthread: process.isKernelThread },
    };
  }

  /** The names are the guest's, and may be made to keep an expression busy. */
  #selectNames(elements: Element[]): Element[] {
    const expressions = this.parameters.names.map((source) => compileExpression(source));
    if (expressions.length === 0) return elements;
    return callWithin(LONGEST_MATCH_MS, () =>
      elements.filter(({ executable, name }) =>
        expressions.some((expression) => expression.test(executable === "" ? name : executable)),
      ),
    );
  }

  printResults(result: InvestigationResult, foundOnly: boolean): string[] {
    const lines = ((result.elements ?? []) as Element[]).map((one) => {
      const command = one.commandline.length > 0 ? one.commandline.join(" ") : `[${one.name}]`;
      const threads = one.tids.length > 1 ? ` threads=${one.tids.join(",")}` : "";
      return `${one.pid} ppid=${one.ppid} uid=${one.uid} gid=${one.gid} started=${one.starttime}${threads} ${one.executable} ${command}`;
    });
    if (foundOnly) return lines;
    for (const error of result.errors ?? []) lines.push(`error: ${error}`);
    const statistics = result.statistics as Statistics | null;
    if (statistics) {
      const { totalhits, processcount, exectime } = statistics;
      lines.push(`stat: ${totalhits} of ${processcount} processes in ${exectime}`);
    }
    return lines;
  }

  paramsParser(args: readonly string[]): Parameters {
    const flags = { name: "texts", pid: "texts", uid: "texts", kernelthreads: "switch" } as const;
    const given = parseFlags(args, flags, HELP);
    const toNumbers = (texts: unknown): number[] =>
      ((texts ?? []) as string[]).map((text) => (/^\d+$/.test(text) ? Number(text) : NaN));
    const [pids, uids] = [toNumbers(given.pid), toNumbers(given.uid)];
    if ([...pids, ...uids].some(Number.isNaN)) throw new Error("-pid and -uid need a number");
    return this.accept({ names: given.name ?? [], pids, uids, kernelthreads: given.kernelthreads ?? false });
  }

  /** Command lines hold passwords, now and then. */
  enhancePrivacy(result: InvestigationResult): InvestigationResult {
    if (!Array.isArray(result.elements)) return result;
    const mask = (one: Element): Element => ({
      ...one,
      commandline: one.commandline.map((word, index) => (index === 0 ? word : "masked")),
    });
    return { ...result, elements: (result.elements as Element[]).map(mask) };
  }
}

registerInvestigation("process", { newRun: (context) => new ProcessInvestigation(context) });
