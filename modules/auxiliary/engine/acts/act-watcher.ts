/** Tells what system calls have done, by what they returned. */
import {
  CallbackManager,
  type Cpu,
  findGuest,
  getRunningProcess,
  type LinuxProcess,
  type SystemCallEntry,
} from "rebox";
import {
  type CallChoice,
  CallReturns,
  findRunningProcess,
  findTargetScope,
  findTaskProcess,
  type TargetScope,
} from "rebox/trusted";
import { ActStacks } from "./act-stacks";
import type { Act, FindAct, ReportAct } from "./acts";
import { chooseCalls } from "./call-choices";
import { findReturnPlace, type ReturnPlace } from "./call-return";
import { FileActs, type SettleDescriptor } from "./file-acts";
import { widenCall, widenName } from "./narrow-calls";
import { NetworkActs } from "./network-acts";
import { PendingConnections } from "./pending-connections";
import { ProcessActs } from "./process-acts";
import { RingActs } from "./ring-acts";
import type { Tracer } from "../call-tracers";
import type { Traced } from "../traced-processes";

/** Calls that wait for their return at one moment. */
const MOST_WAITING = 1000;

/** A call whose return is waited for. */
interface Waiting {
  readonly pgd: bigint;
  /** Of one that is waited for in the program. */
  readonly place?: ReturnPlace;
  /** Waits no more. */
  readonly end: () => void;
}

/** Tells what a call has done. */
type CarryOut = (result: bigint, cpu: Cpu, process: LinuxProcess | undefined) => void;

/** Watches calls that change files, processes or the kernel, or reach the network. */
export class ActWatcher {
  private readonly waiting = new Set<Waiting>();
  /** Those in the kernel; null where it does not show them, undefined until the first. */
  private returns: CallReturns | null | undefined;
  private readonly pending: PendingConnections;
  private readonly ring: RingActs;
  private readonly files: FileActs;
  private readonly calls: ReadonlyMap<string, FindAct>;
  /** Those of the target, and those of others: the system's never take the place of the target's. */
  private readonly told = { target: 0, system: 0 };
  private readonly stacks: ActStacks;

  /**
   * @param limits so many acts are told, of the target and again of all others, and so many of the target have their call stack told
   * @param findOwn finds a process of the scope by its number
   */
  constructor(
    private readonly callbacks: CallbackManager,
    private readonly limits: { readonly acts: number; readonly stacks: number },
    private readonly tell: (value: unknown) => void,
    settle: SettleDescriptor,
    private readonly findOwn: (pid: number) => Traced | undefined,
  ) {
    const report: ReportAct = (act, caller, facts) => this.report(act, caller, facts);
    this.stacks = new ActStacks(limits.stacks);
    this.pending = new PendingConnections(callbacks);
    this.files = new FileActs(report, settle);
    this.ring = new RingActs(report, this.pending, findOwn, (caller, path) => this.files.isNewWriter(caller, path));
    const all = [this.files, new NetworkActs(report, this.pending), new ProcessActs(report)];
    this.calls = new Map(all.flatMap(({ calls }) => Object.entries(calls)));
  }

  /** Chooses the calls of a name that see() is to be called for; undefined for none. */
  choose(call: string, bits: 32 | 64): CallChoice | undefined {
    const name = bits === 64 ? call : widenName(call);
    if (name === "socketcall") return "all";
    return name !== undefined && this.calls.has(name) ? chooseCalls(name) : undefined;
  }

  /** Sees a call that was chosen, before it is carried out. */
  see(call: Tracer, values: readonly bigint[], caller: Traced, cpu: Cpu, entry: SystemCallEntry): void {
    const whose = findWhose(caller);
    if (this.told[whose] >= this.limits.acts) return;
    const known = entry.bits === 64 ? { name: call.name, values } : widenCall(call.name, values, caller.pgd);
    const act = known && this.calls.get(known.name)?.(known.values, caller, call.pointerBits);
    if (!act) return;
    if (whose === "system") {
      if (this.waiting.size >= MOST_WAITING / 2) return;
    } else if (this.waiting.size >= MOST_WAITING) {
      // A program can make calls that never return: the one that has waited longest makes room.
      const [oldest] = this.waiting;
      this.end(oldest!);
    }
    this.waitForReturn(caller, cpu, entry, act);
  }

  /** Watches what a scope's processes do without a system call for each act. */
  watchRings(scope: TargetScope): void {
    this.ring.hook(scope, this.callbacks);
    // A file that is made as it is opened, and may stay empty.
    scope.writtenFiles?.followMade(({ pid, path, cpu, task }) => {
      const caller = this.findOwn(pid);
      if (caller === undefined) return;
      this.stacks.during(cpu, findTaskProcess(task), () => this.files.tellPath(caller, path));
    });
  }

  /** Tells what is not decided yet. */
  finish(): void {
    this.pending.end();
  }

  /** The guest has started again, and its callbacks were removed. */
  restart(): void {
    this.waiting.clear();
    this.returns?.dispose();
    this.returns = undefined;
    this.pending.forget();
  }

  /** Forgets a process that has ended, or executes another program. */
  forget(pgd: bigint): void {
    for (const each of this.waiting) if (each.pgd === pgd) this.end(each);
  }

  private report(act: string, caller: Traced, facts: object): void {
    const { pid, name } = caller;
    const whose = findWhose(caller);
    if (++this.told[whose] > this.limits.acts) return;
    const stack = whose === "target" ? this.stacks.take(act) : undefined;
    this.tell({ act, pid, process: name, ...facts, ...(stack === undefined ? {} : { stack }) });
    if (this.told[whose] === this.limits.acts) this.tell({ act: "full", whose });
  }

  private waitForReturn(caller: Traced, cpu: Cpu, entry: SystemCallEntry, act: Act): void {
    const { pgd } = caller;
    const place = findReturnPlace(entry, cpu);
    if (place === undefined) return;
    const { bits } = entry;
    const carryOut: CarryOut = (result, now, process) => {
      try {
        this.stacks.during(now, process, () => act(BigInt.asIntN(bits, result), process));
      } catch {
        // The kernel's tables are damaged, or the process has gone: there is nothing to tell.
      }
    };
    const returns = bits === 64 ? this.findReturns(entry) : undefined;
    // A handler of a signal came in between, and the program makes the call again.
    for (const each of this.waiting) if (each.place !== undefined && isSame(each, pgd, place)) this.end(each);
    const end = returns?.expect(cpu, (ended) => {
      this.waiting.delete(waiting);
      // It is begun anew, or another program is executed.
      if (ended === undefined || getRunningProcess(ended.cpu.index) !== pgd) return;
      // In the kernel the program's own base of GS is where findRunningProcess() would look.
      if (ended.result !== undefined) carryOut(ended.result, ended.cpu, findTaskProcess(ended.task));
      else this.waitInProgram(pgd, place, bits, carryOut);
    });
    if (end === undefined) return this.waitInProgram(pgd, place, bits, carryOut);
    const waiting: Waiting = { pgd, end };
    this.waiting.add(waiting);
  }

  private findReturns({ address }: SystemCallEntry): CallReturns | undefined {
    if (this.returns === undefined) {
      const guest = findGuest();
      this.returns = (guest && CallReturns.hook(guest, this.callbacks, address)) ?? null;
    }
    return this.returns ?? undefined;
  }

  /** Waits where the program goes on. */
  private waitInProgram(pgd: bigint, { address, stack }: ReturnPlace, bits: 32 | 64, carryOut: CarryOut): void {
    const listener = (cpuIndex: number, now: Cpu): void => {
      if ((bits === 64 ? now.RSP : now.ESP) !== stack || getRunningProcess(cpuIndex) !== pgd) return;
      this.end(waiting);
      carryOut(bits === 64 ? now.RAX : now.EAX, now, findCaller(now, pgd));
    };
    const callback = this.callbacks.addCallback(CallbackManager.INSN_BEGIN_CB, listener, { addr: address, pgd });
    const waiting: Waiting = { pgd, place: { address, stack }, end: () => this.callbacks.rmCallback(callback) };
    this.waiting.add(waiting);
  }

  private end(waiting: Waiting): void {
    if (this.waiting.delete(waiting)) waiting.end();
  }
}

function isSame({ pgd, place }: Waiting, ofPgd: bigint, { address, stack }: ReturnPlace): boolean {
  return pgd === ofPgd && place?.address === address && place.stack === stack;
}

/** The process of an address space that a vCPU runs. */
function findCaller(cpu: Cpu, pgd: bigint): LinuxProcess | undefined {
  const running = findRunningProcess(cpu);
  return running?.pgd === pgd ? running : findGuest()?.findProcess(pgd);
}

function findWhose({ pid }: Traced): "target" | "system" {
  return findTargetScope()?.findOrigin(pid) === undefined ? "system" : "target";
}
