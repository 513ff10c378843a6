/** Tells which functions of a program have led to its acts. */
import { type Cpu, findGuest, type LinuxProcess } from "rebox";
import { type CallFrame, readStackOfCpu } from "rebox/trusted";

/** The frames by which a way is known again: a program that walks through folders would have a new one in each. */
const KNOWN_BY = 4;
/** For each stack that is told, so many are looked at: most acts have a way that is known. */
const LOOKS = 4;

/** The call stacks of acts: each way to a kind of act once, up to a number. */
export class ActStacks {
  /** The call whose act is told. */
  private call: { readonly cpu: Cpu; readonly process: LinuxProcess | undefined } | undefined;
  private left: number;
  private looks: number;
  private readonly known = new Set<string>();

  /** @param most so many are told */
  constructor(most: number) {
    this.left = most;
    this.looks = most * LOOKS;
  }

  /** Has acts that are told in the meantime be those of a call that a vCPU has come back from. */
  during(cpu: Cpu, process: LinuxProcess | undefined, tell: () => void): void {
    this.call = { cpu, process };
    try {
      tell();
    } finally {
      this.call = undefined;
    }
  }

  /** Takes the stack of the act that is told; undefined when its way is known, or there were enough, and for one that is decided later than its call returns. */
  take(act: string): readonly CallFrame[] | undefined {
    const { cpu, process } = this.call ?? {};
    const guest = findGuest();
    if (this.left === 0 || this.looks === 0 || cpu === undefined || process === undefined || guest === undefined)
      return undefined;
    this.looks--;
    const frames = readStackOfCpu(guest, process, cpu);
    const nearest = frames.slice(0, KNOWN_BY).map(({ address }) => address);
    const way = [act, process.pid, ...nearest].join(" ");
    if (frames.length === 0 || this.known.has(way)) return undefined;
    this.known.add(way);
    this.left--;
    return frames;
  }
}
