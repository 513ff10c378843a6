import { CallbackManager, getRunningProcess } from "rebox";
import type { Random } from "./random";
import { readTicks, type SoakContext, type Worker } from "./soak-context";

/** Watches a worker's function, and compares with the count that the worker itself keeps in its memory. */
export class TickWatch {
  readonly #names: string[] = [];
  readonly #start: bigint;
  #hooked = 0n;
  #last: bigint | undefined;
  #written = 0n;
  #removed = false;
  #checksWrites = false;

  /**
   * Must be made while the guest is paused.
   *
   * @param watchesWrites whether the worker is monitored for as long as this lives
   */
  constructor(
    readonly context: SoakContext,
    readonly worker: Worker,
    random: Random,
    watchesWrites: boolean,
  ) {
    this.#start = readTicks(worker);
    const type = random.pick(["BLOCK_BEGIN_CB", "INSN_BEGIN_CB"] as const);
    const options = { addr: worker.tick, pgd: worker.pgd };
    this.#names.push(context.callbacks.addCallback(type, (cpuIndex: number) => this.#onTick(cpuIndex), options));
    if (watchesWrites) {
      this.#checksWrites = true;
      const filter = { address: { from: worker.ticks, to: worker.ticks + 8n }, pgd: worker.pgd };
      this.#names.push(
        context.callbacks.addCallback(
          CallbackManager.MEM_WRITE_CB,
          (cpuIndex, _, size, __, data) => this.#onWrite(cpuIndex, size, data),
          { filter },
        ),
      );
    }
  }

  #where(): string {
    return `worker ${this.worker.cpu}`;
  }

  #onTick(cpuIndex: number): void {
    const { violate } = this.context;
    const ticks = readTicks(this.worker);
    this.#hooked++;
    if (this.#removed) violate(`${this.#where()}: the hook was called after its removal`);
    if (cpuIndex !== this.worker.cpu) violate(`${this.#where()}: the hook was called for vCPU ${cpuIndex}`);
    if (getRunningProcess(cpuIndex) !== this.worker.pgd) violate(`${this.#where()}: the hook was called elsewhere`);
    if (this.#last !== undefined && ticks !== this.#last + 1n) {
      violate(`${this.#where()}: the hook was called at tick ${ticks}, and before that at ${this.#last}`);
    }
    this.#last = ticks;
  }

  #onWrite(cpuIndex: number, size: number, data: bigint): void {
    this.#written++;
    if (cpuIndex !== this.worker.cpu || size !== 8 || data !== this.#start + this.#written) {
      this.context.violate(
        `${this.#where()}: vCPU ${cpuIndex} wrote ${size} bytes, ${data}; it began at ${this.#start}, write ${this.#written}`,
      );
    }
  }

  /** Compares the counts, while the guest is paused. */
  check(): void {
    const ticks = readTicks(this.worker) - this.#start;
    // The guest may stand behind the hook and in front of the addition, or be there at the start.
    if (this.#hooked < ticks - 1n || this.#hooked > ticks + 1n) {
      this.context.violate(`${this.#where()}: ${this.#hooked} hooks of ${ticks} calls`);
    }
    if (this.#checksWrites && this.#written !== ticks) {
      this.context.violate(`${this.#where()}: ${this.#written} writes of ${ticks} calls`);
    }
  }

  remove(): void {
    this.#removed = true;
    for (const name of this.#names) this.context.callbacks.rmCallback(name);
  }
}
