/** Records the system calls of the guest's processes, and tells what they did; for the module of the same name. */
import {
  CallbackManager,
  type Cpu,
  findGuest,
  getProcessList,
  listSystemCallEntries,
  type SystemCallEntry,
} from "rebox";
import { type GuestObserver } from "rebox/lab";
import {
  CallJournal,
  findTargetScope,
  type JournaledCall,
  type JournalRecord,
  onAdoption,
  onTargetBegin,
  type TargetScope,
} from "rebox/trusted";
import { ActWatcher } from "./acts/act-watcher";
import { changesDescriptors } from "./acts/call-choices";
import { CallLog } from "./call-log";
import { CallTracers, type Tracer } from "./call-tracers";
import { type ProcessCalls, type Traced, TracedProcesses } from "./traced-processes";

/** How long calls may lie in the journal. */
const TAKE_MS = 200;

/** What the module gives. */
export interface SyscallOptions {
  /** Absolute path. */
  readonly file: string;
  readonly mostBytes: number;
  /** The processes that are traced: those of the scope, those that begin, or also those that are there already. */
  readonly whose: "target" | "new" | "all";
  /** Names of the calls that are recorded; all when there is none. */
  readonly calls: readonly string[];
  readonly mostActs: number;
  /** How many acts of the target have their call stack told. */
  readonly mostStacks: number;
}

/** What the module gets at the end. */
export interface SyscallResult {
  readonly processes: readonly ProcessCalls[];
  readonly recorded: number;
  /** Calls that were left out of the file because it had its size. */
  readonly cut: number;
}

export function observe({ callbacks, options, tell }: GuestObserver): () => SyscallResult {
  return new SyscallRecorder(callbacks, options as unknown as SyscallOptions, tell).begin();
}

class SyscallRecorder {
  private readonly journal = new CallJournal();
  private readonly log: CallLog;
  private readonly processes = new TracedProcesses((pgd) => {
    this.acts.forget(pgd);
    this.journal.unsettle(pgd);
  });
  private readonly acts: ActWatcher;
  /** The calls that the kernel has; undefined until they are hooked. */
  private tracers: CallTracers | undefined;
  /** By their index in records. */
  private entries: readonly SystemCallEntry[] = [];

  constructor(
    private readonly callbacks: CallbackManager,
    private readonly options: SyscallOptions,
    tell: (value: unknown) => void,
  ) {
    this.log = new CallLog(options.file);
    const settle = (pgd: bigint, descriptor: bigint): void => this.journal.settle(pgd, descriptor);
    const limits = { acts: options.mostActs, stacks: options.mostStacks };
    this.acts = new ActWatcher(callbacks, limits, tell, settle, (pid) => this.processes.findOwn(pid));
  }

  begin(): () => SyscallResult {
    const forget = this.options.whose === "target" ? this.followTarget() : this.followAll();
    const timer = setInterval(() => {
      this.take();
      this.log.flush();
    }, TAKE_MS);
    return () => {
      forget();
      clearInterval(timer);
      this.take();
      this.acts.finish();
      this.journal.dispose();
      this.log.close();
      return { processes: this.processes.list(), recorded: this.log.recorded, cut: this.log.cut };
    };
  }

  /** Traces the scope, from its beginning; nothing is hooked before. */
  private followTarget(): () => void {
    // What was journaled until then is of the process as it was.
    const add = (pid: number, pgd: bigint, name: string): void => {
      this.take();
      this.processes.addOwn(pid, pgd, name);
    };
    let end: () => void = () => undefined;
    const forget = onTargetBegin((scope) => {
      const ends = [
        scope.follow({
          begins: ({ pid, pgd, name }) => add(pid, pgd, name),
          executes: ({ pid, pgd, name }) => add(pid, pgd, name),
          ends: ({ pid }) => {
            this.take();
            this.processes.removeOwn(pid);
          },
        }),
        onAdoption(add),
      ];
      end = () => ends.splice(0).forEach((each) => each());
      for (const { pid, pgd, name } of getProcessList()) {
        if (scope.findOrigin(pid) !== undefined) this.processes.addOwn(pid, pgd, name);
      }
      this.hook(scope);
      return () => {
        this.take();
        end();
        this.callbacks.clean();
        this.acts.restart();
        this.tracers = undefined;
        this.processes.forgetAll();
      };
    });
    return () => {
      forget();
      end();
    };
  }

  /** Traces processes of the whole system. */
  private followAll(): () => void {
    const { callbacks, options } = this;
    const isThere = findGuest() !== undefined;
    if (isThere && options.whose === "all") for (const { pid, pgd, name } of getProcessList()) this.processes.add(pid, pgd, name); // prettier-ignore
    callbacks.addCallback(CallbackManager.CREATEPROC_CB, (pid, pgd, name) => {
      this.take();
      this.processes.add(pid, pgd, name);
      // No process makes a call before the first one has begun: the guest is held there until the hooks are set.
      return this.tracers !== undefined
        ? undefined
        : new Promise<void>((resolve) => setTimeout(resolve, 0)).then(() => this.hook());
    });
    callbacks.addCallback(CallbackManager.REMOVEPROC_CB, (_pid, pgd) => {
      this.take();
      this.processes.remove(pgd);
    });
    // A process that was there before, and acts for the target now.
    const forget = onAdoption((pid, pgd, name) => {
      this.take();
      if (!this.processes.has(pgd)) this.processes.add(pid, pgd, name);
    });
    if (isThere) this.hook();
    return forget;
  }

  private hook(scope?: TargetScope): void {
    if (this.tracers !== undefined) return;
    const tracers = (this.tracers = new CallTracers(this.options.calls));
    const entries = (this.entries = listSystemCallEntries());
    if (scope !== undefined) this.acts.watchRings(scope);
    const others = { kinds: 0, hasPieces: tracers.areOthersRecorded };
    for (const [index, entry] of entries.entries()) {
      const calls = new Map([...tracers.list(entry.bits)].map(([number, tracer]) => [number, this.choose(tracer)]));
      const onPassed = (cpu: Cpu): void => this.take(cpu);
      this.journal.hook(this.callbacks, entry, index, calls, others, onPassed, scope?.conditions.entering);
    }
  }

  private choose({ name, bits, kinds, isRecorded }: Tracer): JournaledCall {
    const passed = this.acts.choose(name, bits);
    return { kinds, hasPieces: isRecorded, passed, isUnsettling: changesDescriptors(name) };
  }

  /** Takes what was journaled. @param cpu the vCPU that is about to carry out the last call, when that was passed */
  private take(cpu?: Cpu): void {
    for (const record of this.journal.take()) this.see(record, cpu);
  }

  private see(record: JournalRecord, cpu: Cpu | undefined): void {
    const { whose } = this.options;
    const caller = whose === "target" ? this.processes.findOwn(record.pid) : this.processes.findBySpace(record.pgd);
    if (caller === undefined) return;
    const entry = this.entries[record.entry]!;
    const tracer = this.tracers!.get(entry.bits, record.number);
    caller.calls.set(tracer.name, (caller.calls.get(tracer.name) ?? 0) + 1);
    if (!tracer.isRecorded && !record.isPassed) return;
    const values = record.readValues(tracer.shows.length);
    if (tracer.isRecorded) this.log.record(tracer, caller, record, values, this.limitOf(caller));
    if (record.isPassed && cpu !== undefined) this.acts.see(tracer, values, caller, cpu, entry);
  }

  /** While the target is followed, half of the file is for it alone. */
  private limitOf({ pid }: Traced): number {
    const { mostBytes, whose } = this.options;
    const scope = whose === "target" ? undefined : findTargetScope();
    return scope === undefined || scope.findOrigin(pid) !== undefined ? mostBytes : mostBytes / 2;
  }
}
