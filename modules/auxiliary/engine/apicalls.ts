/** Records calls of functions of libraries; for the module of the same name. */
import { closeSync, openSync, writeSync } from "node:fs";
import { CallbackManager, findGuest, getProcessList, type HookedProcess, type RecordedCall } from "rebox";
import { type GuestObserver } from "rebox/lab";
import { findTargetScope } from "rebox/trusted";
import { showCall, showCaller } from "../../../scripts/_api_calls";
import { escape } from "../../../scripts/_system_call_arguments";
import { readFunctions, traceFunctions } from "../../../scripts/_traced_functions";

/** Of more processes the calls are counted together. */
const MOST_PROCESSES = 10_000;
/** Address spaces that are remembered, the last ones; of those that live a guest has far fewer. */
const MOST_SPACES = 50_000;

/** What the module gives. */
export interface ApiCallOptions {
  /** Absolute path. */
  readonly file: string;
  /** As in api_trace; all of the C library that are known when there is none. */
  readonly functions: readonly string[];
  /** Whether also processes are traced that are there already. */
  readonly isOfAll: boolean;
  readonly isInside: boolean;
  readonly mostBytes: number;
}

/** What the module gets at the end. */
export interface ApiCallResult {
  readonly processes: readonly {
    readonly pid: number;
    readonly name: string;
    readonly calls: Readonly<Record<string, number>>;
  }[];
  readonly recorded: number;
  /** Calls that were left out of the file because it had its size. */
  readonly cut: number;
}

interface Counted {
  readonly pid: number;
  name: string;
  readonly calls: Map<string, number>;
}

export function observe({ callbacks, options }: GuestObserver): () => ApiCallResult {
  return new ApiCallRecorder(callbacks, options as unknown as ApiCallOptions).begin();
}

class ApiCallRecorder {
  private readonly descriptor: number;
  /** The processes that are traced, by address space. One that has ended may still have calls that are handed over. */
  private readonly begun = new Map<bigint, { readonly pid: number; readonly name: string }>();
  private readonly processes = new Map<number, Counted>();
  /** Those beyond the number that is kept. */
  private readonly others: Counted = { pid: 0, name: "others", calls: new Map<string, number>() };
  private readonly beganMs = performance.now();
  private size = 0;
  private recorded = 0;
  private cut = 0;

  constructor(
    private readonly callbacks: CallbackManager,
    private readonly options: ApiCallOptions,
  ) {
    this.descriptor = openSync(options.file, "wx");
  }

  begin(): () => ApiCallResult {
    const { callbacks, options } = this;
    if (options.isOfAll && findGuest() !== undefined) {
      for (const { pid, pgd, name } of getProcessList()) this.begun.set(pgd, { pid, name });
    }
    const isProcess = ({ pgd }: HookedProcess): boolean => this.begun.has(pgd);
    const choice = { process: isProcess, fromOutside: !options.isInside };
    traceFunctions(readFunctions(options.functions), (calls) => this.note(calls), choice);
    // Behind the hooks: calls that were made before are written before. A process has begun before its modules are loaded.
    callbacks.addCallback(CallbackManager.CREATEPROC_CB, (pid, pgd, name) => {
      this.begun.delete(pgd);
      this.begun.set(pgd, { pid, name });
      for (const oldest of this.begun.keys()) if (this.begun.size > MOST_SPACES) this.begun.delete(oldest);
    });
    return () => {
      closeSync(this.descriptor);
      const counted = [...this.processes.values(), ...(this.others.calls.size > 0 ? [this.others] : [])];
      const processes = counted.map(({ pid, name, calls }) => ({ pid, name, calls: Object.fromEntries(calls) }));
      return { processes, recorded: this.recorded, cut: this.cut };
    };
  }

  private note(calls: readonly RecordedCall[]): void {
    let text = "";
    for (const call of calls) {
      const process = this.getProcess(call);
      process.calls.set(call.name, (process.calls.get(call.name) ?? 0) + 1);
      if (this.size >= this.limitOf(call.pid)) {
        this.cut++;
        continue;
      }
      const seconds = ((call.beganMs - this.beganMs) / 1000).toFixed(3);
      const shown = `${showCall(call)}, ${call.durationMs.toFixed(3)} ms, ${showCaller(call)}`;
      const line = `${seconds} ${process.pid} ${escape(process.name)}/${call.tid} ${shown}\n`;
      this.recorded++;
      this.size += line.length;
      text += line;
    }
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length;) at += writeSync(this.descriptor, bytes, at);
  }

  private getProcess({ pgd, pid: own }: RecordedCall): Counted {
    const { pid, name } = this.begun.get(pgd) ?? { pid: own, name: "" };
    let process = this.processes.get(pid);
    if (process === undefined) {
      if (this.processes.size >= MOST_PROCESSES) return this.others;
      this.processes.set(pid, (process = { pid, name, calls: new Map<string, number>() }));
    }
    process.name = name;
    return process;
  }

  /** While the target is followed, half of the file is for it alone. */
  private limitOf(pid: number): number {
    const { mostBytes } = this.options;
    const scope = findTargetScope();
    return scope === undefined || scope.findOrigin(pid) !== undefined ? mostBytes : mostBytes / 2;
  }
}
