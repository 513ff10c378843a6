/** Tells what system calls have done, by what they returned. */
import { CallbackManager, type Cpu, findGuest, getRunningProcess, type LinuxProcess } from "rebox";
import { type CallChoice, findRunningProcess, findTargetScope } from "rebox/trusted";
import type { Act, FindAct, ReportAct } from "./acts";
import { chooseCalls } from "./call-choices";
import { FileActs, type SettleDescriptor } from "./file-acts";
import { NetworkActs } from "./network-acts";
import { ProcessActs } from "./process-acts";
import type { Traced } from "./traced-processes";

/** Calls that wait for their return at one moment. */
const MOST_WAITING = 1000;

/** A call whose return is waited for. */
interface Waiting {
  readonly pgd: bigint;
  readonly stack: bigint;
  readonly callback: string;
}

/** Watches calls that change files, processes or the kernel, or reach the network. */
export class ActWatcher {
  private readonly waiting = new Set<Waiting>();
  private readonly calls: ReadonlyMap<string, FindAct>;
  /** Those of the target, and those of others: the system's never take the place of the target's. */
  private readonly told = { target: 0, system: 0 };

  /** @param most so many acts are told, of the target and again of all others */
  constructor(
    private readonly callbacks: CallbackManager,
    private readonly most: number,
    private readonly tell: (value: unknown) => void,
    settle: SettleDescriptor,
  ) {
    const report: ReportAct = (act, caller, facts) => this.report(act, caller, facts);
    const all = [new FileActs(report, settle), new NetworkActs(report), new ProcessActs(report)];
    this.calls = new Map(all.flatMap(({ calls }) => Object.entries(calls)));
  }

  /** Chooses the calls of a name that see() is to be called for; undefined for none. */
  choose(call: string): CallChoice | undefined {
    return this.calls.has(call) ? chooseCalls(call) : undefined;
  }

  /** Sees a call of a program of 64 bits that was chosen, before it is carried out. */
  see(call: string, values: readonly bigint[], caller: Traced, cpu: Cpu): void {
    const whose = findWhose(caller);
    if (this.told[whose] >= this.most) return;
    const act = this.calls.get(call)?.(values, caller);
    const most = whose === "target" ? MOST_WAITING : MOST_WAITING / 2;
    if (act !== undefined && this.waiting.size < most) this.waitForReturn(caller, cpu, act);
  }

  /** Forgets a process that has ended, or executes another program. */
  forget(pgd: bigint): void {
    for (const each of this.waiting) if (each.pgd === pgd) this.end(each);
  }

  private report(act: string, caller: Traced, facts: object): void {
    const { pid, name } = caller;
    const whose = findWhose(caller);
    if (++this.told[whose] > this.most) return;
    this.tell({ act, pid, process: name, ...facts });
    if (this.told[whose] === this.most) this.tell({ act: "full", whose });
  }

  /** "syscall" leaves the address behind it in RCX (Intel SDM volume 2, SYSCALL); the stack tells threads apart. */
  private waitForReturn(caller: Traced, cpu: Cpu, act: Act): void {
    const { pgd } = caller;
    const { RCX: address, RSP: stack } = cpu;
    const listener = (cpuIndex: number, now: Cpu): void => {
      if (now.RSP !== stack || getRunningProcess(cpuIndex) !== pgd) return;
      this.end(waiting);
      try {
        act(BigInt.asIntN(64, now.RAX), findCaller(now, pgd));
      } catch {
        // The kernel's tables are damaged, or the process has gone: there is nothing to tell.
      }
    };
    const callback = this.callbacks.addCallback(CallbackManager.INSN_BEGIN_CB, listener, { addr: address, pgd });
    const waiting = { pgd, stack, callback };
    this.waiting.add(waiting);
  }

  private end(waiting: Waiting): void {
    if (!this.waiting.delete(waiting)) return;
    this.callbacks.rmCallback(waiting.callback);
  }
}

/** The process of an address space that a vCPU runs. */
function findCaller(cpu: Cpu, pgd: bigint): LinuxProcess | undefined {
  const running = findRunningProcess(cpu);
  return running?.pgd === pgd ? running : findGuest()?.findProcess(pgd);
}

function findWhose({ pid }: Traced): "target" | "system" {
  return findTargetScope()?.findOrigin(pid) === undefined ? "system" : "target";
}
