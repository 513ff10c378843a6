import {
  ALL_PROCESSES,
  CallbackManager,
  Engine,
  getBlockCount,
  getRunningProcess,
  isMonitoredProcess,
  sendKey,
  setBlockCounting,
  startMonitoringProcess,
  stopMonitoringProcess,
} from "rebox";
import { AuditGroup, GROUP_TYPES } from "./audit-group";
import type { Random } from "./random";
import type { SoakContext } from "./soak-context";
import { TickWatch } from "./tick-watch";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A key and its codes: one when it is pressed, two when it is let go (scan code set 2). */
const KEY = "a";
const CODES_PER_KEY = 3;
const KEY_LIMIT_MS = 60_000;

/** Runs one round of the soak: adds callbacks at random, disturbs, pauses the guest, and compares the counts. */
export class Audit {
  readonly #monitored: bigint[] = [];
  readonly #extra = new Set<string>();
  readonly #isAll: boolean;
  #events = 0;
  #disturbances = 0;

  constructor(
    readonly context: SoakContext,
    readonly random: Random,
  ) {
    this.#isAll = random.chance(50);
  }

  /** @returns how many events its callbacks had */
  async run(): Promise<number> {
    const { context, random } = this;
    const engine = Engine.get();
    await engine.pause();
    this.#startMonitoring();
    const counting = this.#isAll && random.chance(60);
    setBlockCounting(counting);
    const groups = Array.from(
      { length: random.between(1, 3) },
      () => new AuditGroup(context, random, random.pick(GROUP_TYPES), this.#isAll),
    );
    const watches = context.workers
      .filter(() => random.chance(70))
      .map((worker) => new TickWatch(context, worker, random, random.chance(50)));
    const blocks = counting ? this.#compareBlocks() : undefined;
    await engine.resume();
    await this.#disturb();
    await engine.pause();
    await Promise.all(groups.map((group) => group.settle()));
    // A slice hands over what is left in the streams.
    await engine.qmp("query-status");
    await sleep(0);
    await sleep(5);
    for (const group of groups) group.check();
    for (const watch of watches) watch.check();
    if (blocks) this.#checkBlocks(blocks, groups);
    for (const group of groups) this.#events += group.calls;
    for (const part of [...groups, ...watches]) part.remove();
    for (const name of this.#extra) context.callbacks.rmCallback(name);
    setBlockCounting(false);
    this.#stopMonitoring();
    await engine.resume();
    // Whatever is called now was removed.
    await sleep(random.between(0, 30));
    return this.#events;
  }

  #startMonitoring(): void {
    const pgds = this.#isAll ? [ALL_PROCESSES] : this.context.workers.map(({ pgd }) => pgd);
    for (const pgd of pgds) {
      startMonitoringProcess(pgd);
      this.#monitored.push(pgd);
    }
  }

  #stopMonitoring(): void {
    for (const pgd of this.#monitored.splice(0)) {
      if (!stopMonitoringProcess(pgd)) this.context.violate(`0x${pgd.toString(16)} was not monitored any more`);
    }
    for (const { pgd } of this.context.workers) {
      if (isMonitoredProcess(pgd)) this.context.violate(`0x${pgd.toString(16)} is still monitored`);
    }
  }

  /** Counts blocks by a callback, from the first on that both have counted. */
  #compareBlocks(): { calls: number; first: number } {
    const blocks = { calls: 0, first: -1 };
    const name = this.context.callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => {
      if (blocks.first < 0) blocks.first = getBlockCount();
      blocks.calls++;
    });
    this.#extra.add(name);
    return blocks;
  }

  #checkBlocks(blocks: { calls: number; first: number }, groups: readonly AuditGroup[]): void {
    if (blocks.calls === 0) return;
    const counted = getBlockCount() - blocks.first + 1;
    // A block that is left because of what a callback did, and entered anew, is counted natively each time.
    const disturbances = groups.reduce((sum, group) => sum + group.disturbances, this.#disturbances);
    const fits = counted >= blocks.calls && counted <= blocks.calls + disturbances;
    if (!fits) {
      const types = groups.map(({ description }) => description).join("; ");
      this.context.violate(
        `${blocks.calls} blocks by callback, ${counted} counted natively, ${disturbances} disturbances, beside ${types}`,
      );
    }
  }

  /** Does things beside the callbacks, one after the other. */
  async #disturb(): Promise<void> {
    const { random } = this;
    const acts = [
      () => this.#hookKernel(),
      () => this.#changeMonitoring(),
      () => this.#ask(),
      () => this.#pauseAndResume(),
      () => this.#pressKey(),
      () => this.#attachAndDetach(),
      () => Promise.resolve(),
    ];
    for (let left = random.between(1, 4); left > 0; left--) {
      await sleep(random.between(5, 150));
      await random.pick(acts)();
    }
    await sleep(random.between(5, 150));
  }

  /** Hooks a kernel function twice, one of them from within the other, and removes both from within a callback. */
  async #hookKernel(): Promise<void> {
    const { random, context } = this;
    const addr = random.pick(context.kernel);
    const type = random.pick(["BLOCK_BEGIN_CB", "INSN_BEGIN_CB"] as const);
    const calls = { first: 0, second: 0 };
    let removed = false;
    const last = random.between(2, 200);
    const manager = context.callbacks;
    let second: string | undefined;
    const first: string = manager.addCallback(
      type,
      () => {
        if (removed) context.violate("a kernel hook was called after its removal");
        calls.first++;
        if (second === undefined) this.#disturbances++;
        second ??= manager.addCallback(
          type,
          () => {
            if (removed) context.violate("a kernel hook was called after its removal");
            calls.second++;
            if (calls.second > last) remove();
          },
          { addr },
        );
      },
      { addr },
    );
    const remove = (): void => {
      this.#disturbances++;
      removed = true;
      for (const name of [first, second]) {
        if (name !== undefined && manager.callbackExists(name)) manager.rmCallback(name);
      }
    };
    await sleep(random.between(1, 100));
    // The first was there one call earlier; between two blocks none of them is ahead.
    if (calls.first > 0 && calls.first !== calls.second + 1) {
      context.violate(
        `two hooks at 0x${addr.toString(16)}, one added in the other's first call: ${JSON.stringify(calls)}`,
      );
    }
    if (!removed) remove();
  }

  async #changeMonitoring(): Promise<void> {
    const pgd = this.random.chance(50)
      ? getRunningProcess(this.random.between(0, 1))
      : this.random.pick(this.context.workers).pgd;
    startMonitoringProcess(pgd);
    if (!isMonitoredProcess(pgd)) this.context.violate(`0x${pgd.toString(16)} is not monitored`);
    if (this.random.chance(50)) await sleep(this.random.between(1, 50));
    if (!stopMonitoringProcess(pgd)) this.context.violate(`0x${pgd.toString(16)} was not monitored any more`);
  }

  async #ask(): Promise<void> {
    const engine = Engine.get();
    const cpus = (await engine.qmp("query-cpus-fast")) as unknown[];
    if (cpus.length !== 2) this.context.violate(`QMP says ${cpus.length} vCPUs`);
    const answers = await Promise.all([
      engine.qmp("query-status"),
      engine.hmp("info registers"),
      engine.qmp("no-such-command").catch((error: Error) => error.message),
    ]);
    if (!String(answers[2]).includes("no-such-command")) this.context.violate(`QMP answered ${String(answers[2])}`);
  }

  async #pauseAndResume(): Promise<void> {
    const engine = Engine.get();
    await engine.pause();
    if (engine.state !== "paused") this.context.violate(`the guest is ${engine.state} after pause()`);
    await sleep(this.random.between(0, 20));
    await engine.resume();
  }

  async #pressKey(): Promise<void> {
    let codes = 0;
    const name = this.context.callbacks.addCallback(CallbackManager.KEYSTROKE_CB, () => void codes++);
    this.#extra.add(name);
    await sendKey(KEY, 1);
    const end = Date.now() + KEY_LIMIT_MS;
    while (codes < CODES_PER_KEY && Date.now() < end) await sleep(5);
    if (codes !== CODES_PER_KEY) this.context.violate(`${codes} codes of one key`);
  }

  async #attachAndDetach(): Promise<void> {
    const manager = this.context.callbacks;
    const type = this.random.pick(["BLOCK_BEGIN_CB", "MEM_WRITE_CB", "CONTEXTCHANGE_CB"] as const);
    const name = manager.addCallback(type, () => {});
    manager.addTrigger(name, `${this.context.trigger}-${type}`);
    manager.setTriggerVar(name, "every", this.random.between(1, 50));
    manager.setTriggerVar(name, "text", "x".repeat(this.random.between(0, 1000)));
    await sleep(this.random.between(0, 40));
    if (this.random.chance(50)) manager.rmTrigger(name);
    await sleep(this.random.between(0, 10));
    manager.rmCallback(name);
  }
}
