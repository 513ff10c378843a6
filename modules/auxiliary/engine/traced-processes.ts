/** Knows whose system calls are recorded: processes with the programs that they execute. */
/** Of more processes the calls are counted together. */
const MOST_PROCESSES = 10_000;

/** What the calls of a process were. */
export interface ProcessCalls {
  readonly pid: number;
  readonly name: string;
  readonly calls: Readonly<Record<string, number>>;
}

interface Counted {
  readonly pid: number;
  name: string;
  readonly calls: Map<string, number>;
}

/** Whose calls are recorded: a process with the program that it executes. */
export interface Traced extends Readonly<Counted> {
  readonly pgd: bigint;
}

/** The processes whose calls are recorded, by address space, and those of the scope by their number, too. */
export class TracedProcesses {
  private readonly spaces = new Map<bigint, Traced>();
  /** Those of the scope, by pid: vfork(2) shares address spaces. */
  private readonly own = new Map<number, Traced>();
  private readonly processes = new Map<number, Counted>();
  /** Those beyond the number that is kept. */
  private readonly others: Counted = { pid: 0, name: "others", calls: new Map<string, number>() };

  /** @param onForgotten is called with an address space that is used no longer */
  constructor(private readonly onForgotten: (pgd: bigint) => void) {}

  /** Whether the program of an address space is known. */
  has(pgd: bigint): boolean {
    return this.spaces.has(pgd);
  }

  /** Adds a process, or the program that it executes from now on. */
  add(pid: number, pgd: bigint, name: string): void {
    if (pgd === 0n) return;
    this.spaces.set(pgd, { pid, pgd, name, calls: this.count(pid, name).calls });
  }

  /** Removes the process of an address space. */
  remove(pgd: bigint): void {
    this.spaces.delete(pgd);
    this.onForgotten(pgd);
  }

  /** Adds a process of the scope, or the program that it executes from now on. */
  addOwn(pid: number, pgd: bigint, name: string): void {
    this.removeOwn(pid);
    const traced = { pid, pgd, name, calls: this.count(pid, name).calls };
    this.own.set(pid, traced);
    if (!this.spaces.has(pgd)) this.spaces.set(pgd, traced);
  }

  /** Removes a process of the scope with the program that it has executed until now. */
  removeOwn(pid: number): void {
    const before = this.own.get(pid);
    if (before === undefined) return;
    this.own.delete(pid);
    const other = [...this.own.values()].find(({ pgd }) => pgd === before.pgd);
    if (other === undefined) this.remove(before.pgd);
    else this.spaces.set(before.pgd, other);
  }

  /** Forgets all processes: the guest has started again. What they have called is kept. */
  forgetAll(): void {
    for (const pgd of [...this.spaces.keys()]) this.remove(pgd);
    this.own.clear();
  }

  /** Finds a process of the scope. */
  findOwn(pid: number): Traced | undefined {
    return this.own.get(pid);
  }

  /** Finds the process of an address space. */
  findBySpace(pgd: bigint): Traced | undefined {
    return this.spaces.get(pgd);
  }

  /** Lists what each process has called until now. */
  list(): ProcessCalls[] {
    const counted = [...this.processes.values(), ...(this.others.calls.size > 0 ? [this.others] : [])];
    return counted.map(({ pid, name, calls }) => ({ pid, name, calls: Object.fromEntries(calls) }));
  }

  /** Counts the calls of a process; one that executes another program goes on. */
  private count(pid: number, name: string): Counted {
    let process = this.processes.get(pid);
    if (process === undefined) {
      const isCounted = this.processes.size < MOST_PROCESSES;
      process = { pid, name, calls: isCounted ? new Map<string, number>() : this.others.calls };
      if (isCounted) this.processes.set(pid, process);
    }
    process.name = name;
    return process;
  }
}
