/** Records the system calls of the guest's processes, and tells what they did; for the module of the same name. */
import { closeSync, openSync, writeSync } from "node:fs";
import {
  CallbackManager,
  type Cpu,
  findGuest,
  getProcessList,
  listSystemCallEntries,
  listSystemCalls,
  type SystemCall,
  type SystemCallEntry,
} from "rebox";
import { type GuestObserver } from "rebox/lab";
import { findTargetScope, onAdoption, onTargetBegin, type TargetScope } from "rebox/trusted";
import { readPieces, readSixth } from "../../../scripts/_read_pieces";
import { ArgumentKind, chooseKind, createShow, escape, hex, type Show } from "../../../scripts/_system_call_arguments";
import { ActWatcher } from "./act-watcher";
import { type ProcessCalls, type Traced, TracedProcesses } from "./traced-processes";

/** In characters; what is written at once. */
const CHUNK = 1 << 16;
const FLUSH_MS = 200;
/** Marks a call of the x32 ABI, whose numbers are among those of 64 bits (arch/x86/include/uapi/asm/unistd.h). */
const X32 = 0x40000000;
const UNKNOWN_REGISTERS = 6;
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
}

/** What the module gets at the end. */
export interface SyscallResult {
  readonly processes: readonly ProcessCalls[];
  readonly recorded: number;
  /** Calls that were left out of the file because it had its size. */
  readonly cut: number;
}

interface Tracer {
  readonly name: string;
  readonly bits: 32 | 64;
  readonly shows: readonly Show[];
  readonly kinds: readonly ArgumentKind[];
  readonly isRecorded: boolean;
}

export function observe({ callbacks, options, tell }: GuestObserver): () => SyscallResult {
  return new SyscallRecorder(callbacks, options as unknown as SyscallOptions, tell).begin();
}

class SyscallRecorder {
  private readonly descriptor: number;
  private readonly beganMs = performance.now();
  private readonly tracers: Record<32 | 64, Map<number, Tracer>> = { 32: new Map(), 64: new Map() };
  private readonly processes = new TracedProcesses((pgd) => this.acts.forget(pgd));
  private readonly acts: ActWatcher;
  private lines = "";
  private size = 0;
  private recorded = 0;
  private cut = 0;
  private isHooked = false;

  constructor(
    private readonly callbacks: CallbackManager,
    private readonly options: SyscallOptions,
    tell: (value: unknown) => void,
  ) {
    this.descriptor = openSync(options.file, "wx");
    this.acts = new ActWatcher(callbacks, options.mostActs, tell);
  }

  begin(): () => SyscallResult {
    const forget = this.options.whose === "target" ? this.followTarget() : this.followAll();
    const timer = setInterval(() => this.flush(), FLUSH_MS);
    return () => {
      forget();
      clearInterval(timer);
      this.flush();
      closeSync(this.descriptor);
      return { processes: this.processes.list(), recorded: this.recorded, cut: this.cut };
    };
  }

  /** Traces the scope, from its beginning; nothing is hooked before. */
  private followTarget(): () => void {
    const ends: (() => void)[] = [];
    ends.push(
      onTargetBegin((scope) => {
        const end = scope.follow({
          begins: ({ pid, pgd, name }) => this.processes.addOwn(pid, pgd, name),
          executes: ({ pid, pgd, name }) => this.processes.addOwn(pid, pgd, name),
          ends: ({ pid }) => this.processes.removeOwn(pid),
        });
        ends.push(end, onAdoption((pid, pgd, name) => this.processes.addOwn(pid, pgd, name))); // prettier-ignore
        for (const { pid, pgd, name } of getProcessList()) {
          if (scope.findOrigin(pid) !== undefined) this.processes.addOwn(pid, pgd, name);
        }
        this.hook(scope);
      }),
    );
    return () => ends.forEach((end) => end());
  }

  /** Traces processes of the whole system. */
  private followAll(): () => void {
    const { callbacks, options } = this;
    const isThere = findGuest() !== undefined;
    if (isThere && options.whose === "all") for (const { pid, pgd, name } of getProcessList()) this.processes.add(pid, pgd, name); // prettier-ignore
    callbacks.addCallback(CallbackManager.CREATEPROC_CB, (pid, pgd, name) => {
      this.processes.add(pid, pgd, name);
      // No process makes a call before the first one has begun: the guest is held there until the hooks are set.
      return this.isHooked ? undefined : new Promise<void>((resolve) => setTimeout(resolve, 0)).then(() => this.hook());
    });
    callbacks.addCallback(CallbackManager.REMOVEPROC_CB, (_pid, pgd) => this.processes.remove(pgd));
    // A process that was there before, and acts for the target now.
    const forget = onAdoption((pid, pgd, name) => {
      if (!this.processes.has(pgd)) this.processes.add(pid, pgd, name);
    });
    if (isThere) this.hook();
    return forget;
  }

  private hook(scope?: TargetScope): void {
    if (this.isHooked) return;
    this.isHooked = true;
    for (const call of listSystemCalls()) this.tracers[call.bits].set(call.number, this.createTracer(call));
    const condition = scope?.conditions.entering;
    const findCaller =
      condition === undefined
        ? (cpu: Cpu, cpuIndex: number) => this.processes.findBySpace(cpu, cpuIndex)
        : (cpu: Cpu) => this.processes.findOwn(scope?.findCaller(cpu));
    for (const entry of listSystemCallEntries()) {
      const listener = this.createListener(entry, findCaller);
      const name = this.callbacks.addCallback(CallbackManager.INSN_BEGIN_CB, listener, { addr: entry.address });
      if (condition !== undefined) this.callbacks.setCondition(name, condition);
    }
  }

  private createListener(
    { bits, number, arguments: registers, sixthAt }: SystemCallEntry,
    findCaller: (cpu: Cpu, cpuIndex: number) => Traced | undefined,
  ) {
    const known = this.tracers[bits];
    return (cpuIndex: number, cpu: Cpu): void => {
      const caller = findCaller(cpu, cpuIndex);
      if (caller === undefined) return;
      const index = Number(cpu[number]) & ~X32;
      let tracer = known.get(index);
      if (tracer === undefined) known.set(index, (tracer = this.createUnknown(bits, index)));
      caller.calls.set(tracer.name, (caller.calls.get(tracer.name) ?? 0) + 1);
      const values = tracer.shows.map((_, at) => {
        const register = registers[at];
        if (register !== undefined) return cpu[register];
        return readSixth(caller.pgd, sixthAt === undefined ? 0n : cpu[sixthAt]);
      });
      if (tracer.isRecorded) this.record(tracer, caller, values);
      // The instruction "syscall" leaves in RCX where it returns to; of others that is not known.
      if (bits === 64) this.acts.see(tracer.name, values, caller, cpu);
    };
  }

  private record(
    { name, bits, shows, kinds }: Tracer,
    { pid, pgd, name: process }: Traced,
    values: readonly bigint[],
  ): void {
    if (this.size >= this.limitOf(pid)) return void this.cut++;
    const showArgument = (show: Show, index: number): string => {
      const kind = kinds[index] ?? ArgumentKind.Value;
      const value = values[index]!;
      if (kind === ArgumentKind.Value) return show(value, undefined);
      return show(value, readPieces(kind, value, values[index + 1] ?? 0n, pgd, bits));
    };
    const text = shows.map(showArgument).join(", ");
    const seconds = ((performance.now() - this.beganMs) / 1000).toFixed(3);
    const line = `${seconds} ${pid} ${escape(process)} ${name}(${text})\n`;
    this.recorded++;
    this.size += line.length;
    this.lines += line;
    if (this.lines.length >= CHUNK) this.flush();
  }

  /** While the target is followed, half of the file is for it alone. */
  private limitOf(pid: number): number {
    const { mostBytes } = this.options;
    const scope = findTargetScope();
    return scope === undefined || scope.findOrigin(pid) !== undefined ? mostBytes : mostBytes / 2;
  }

  private flush(): void {
    const bytes = Buffer.from(this.lines, "latin1");
    this.lines = "";
    for (let at = 0; at < bytes.length;) at += writeSync(this.descriptor, bytes, at);
  }

  private createTracer({ name, bits, parameters }: SystemCall): Tracer {
    const { calls } = this.options;
    const kinds = (parameters ?? []).map((parameter, index, all) => chooseKind(parameter, all[index + 1]));
    const shows = parameters
      ? parameters.map((parameter, index) => createShow(parameter, kinds[index]!, bits))
      : Array.from({ length: UNKNOWN_REGISTERS }, () => hex);
    return { name, bits, shows, kinds, isRecorded: calls.length === 0 || calls.includes(name) };
  }

  private createUnknown(bits: 32 | 64, number: number): Tracer {
    return this.createTracer({ name: `syscall_${number}`, bits, number, parameters: undefined });
  }
}
