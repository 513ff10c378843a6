import {
  type CallbackFilter,
  type CallbackType,
  type EventBatch,
  type StreamType,
  getRunningProcess,
  listCallbacks,
  readVa,
  readCpu,
  writeRegister,
  writeVa,
} from "rebox";
import type { Random } from "./random";
import type { SoakContext } from "./soak-context";

/** The types whose callbacks a group may have; each is called for every event of its type. */
export const GROUP_TYPES = [
  "BLOCK_BEGIN_CB",
  "BLOCK_END_CB",
  "INSN_BEGIN_CB",
  "INSN_END_CB",
  "MEM_READ_CB",
  "MEM_WRITE_CB",
  "OPCODE_RANGE_CB",
  "TLB_EXEC_CB",
  "CONTEXTCHANGE_CB",
  "CPUID_CB",
  "NIC_SEND_CB",
  "NIC_REC_CB",
  "KEYSTROKE_CB",
] as const satisfies readonly CallbackType[];

const STREAMED: readonly CallbackType[] = [
  "BLOCK_BEGIN_CB",
  "INSN_BEGIN_CB",
  "MEM_READ_CB",
  "MEM_WRITE_CB",
  "OPCODE_RANGE_CB",
  "TLB_EXEC_CB",
  "CONTEXTCHANGE_CB",
  "CPUID_CB",
];
const OF_DEVICES: readonly CallbackType[] = ["KEYSTROKE_CB", "NIC_SEND_CB", "NIC_REC_CB"];
/** Where a callback may write registers, and stand still at the event. */
const EXACT: readonly CallbackType[] = ["BLOCK_BEGIN_CB", "INSN_BEGIN_CB", "BLOCK_END_CB", "INSN_END_CB"];

const MEMBERS = [
  "throwing",
  "filtered",
  "waiting stream",
  "dropping stream",
  "trigger",
  "promising",
  "removing itself",
  "removing another",
  "adding",
  "writing",
] as const;
type MemberKind = (typeof MEMBERS)[number];

interface Member {
  readonly kind: MemberKind | "plain";
  readonly name: string;
  /** Compares what the member counted with the plain callback's count; returns what is wrong. */
  readonly check: (plain: number) => string | undefined;
}

/** Callbacks and streams of one type, added together and removed together, whose counts must agree. */
export class AuditGroup {
  readonly #members: Member[] = [];
  readonly #removed = new Set<string>();
  readonly #promises: Promise<unknown>[] = [];
  readonly #plain: { calls: number };
  #disturbances = 0;

  /**
   * @param isAll whether every process is monitored for as long as the group lives
   */
  constructor(
    readonly context: SoakContext,
    readonly random: Random,
    readonly type: (typeof GROUP_TYPES)[number],
    readonly isAll: boolean,
  ) {
    this.#plain = { calls: 0 };
    const first = random.between(0x00, 0xf0);
    this.#opcodes =
      type === "OPCODE_RANGE_CB" ? { startOpcode: first, endOpcode: random.between(first, 0xff) } : undefined;
    // The one that all are compared with is added anywhere among them: the order must not matter.
    const kinds: (MemberKind | "plain")[] = Array.from({ length: random.between(1, 6) }, () => random.pick(MEMBERS));
    kinds.splice(random.between(0, kinds.length), 0, "plain");
    for (const kind of kinds) this.#add(kind);
  }

  readonly #opcodes: { startOpcode: number; endOpcode: number } | undefined;

  /** How often the plain callback was called. */
  get calls(): number {
    return this.#plain.calls;
  }

  /** How often a callback did something for which the guest may have left a block, to enter it anew. */
  get disturbances(): number {
    return this.#disturbances;
  }

  get description(): string {
    return `${this.type} [${this.#members.map(({ kind }) => kind).join(", ")}]`;
  }

  /** Settles when every promise has that a callback returned. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#promises);
  }

  /** Compares all counts, while the guest is paused. */
  check(): void {
    for (const { kind, check } of this.#members) {
      const wrong = check(this.#plain.calls);
      if (wrong !== undefined) {
        this.context.violate(`${this.description}: ${kind}: ${wrong}, the plain callback had ${this.#plain.calls}`);
      }
    }
  }

  /** Removes all members. */
  remove(): void {
    for (const { name } of this.#members) this.#removeOne(name);
  }

  #removeOne(name: string): void {
    if (this.#removed.has(name)) return;
    this.#removed.add(name);
    this.context.callbacks.rmCallback(name);
  }

  #statistics(name: string): { calls: number; filtered: number; errors: number } {
    return listCallbacks().find((callback) => callback.name === name) ?? { calls: -1, filtered: -1, errors: -1 };
  }

  /** Adds a callback that reports being called after its removal. */
  #callback(body: (name: string) => void | Promise<void>, filter?: CallbackFilter): string {
    const name: string = this.context.callbacks.addCallback(
      this.type,
      () => {
        if (this.#removed.has(name)) this.context.violate(`${this.description}: ${name} was called after its removal`);
        return body(name);
      },
      { ...this.#opcodes, ...(filter ? { filter } : {}) },
    );
    return name;
  }

  #add(kind: MemberKind | "plain"): void {
    const isDevice = OF_DEVICES.includes(this.type);
    if (kind.endsWith("stream") && !STREAMED.includes(this.type)) return;
    if (kind === "filtered" && isDevice) return;
    switch (kind) {
      case "plain":
        return this.#addPlain();
      case "throwing":
        return this.#addThrowing();
      case "filtered":
        return this.#addFiltered();
      case "waiting stream":
      case "dropping stream":
        return this.#addStream(kind);
      case "trigger":
        return this.#addTrigger();
      case "promising":
        return this.#addPromising();
      case "removing itself":
        return this.#addRemoving(kind);
      case "removing another":
        return this.#addRemoving(kind);
      case "adding":
        return this.#addAdding();
      case "writing":
        return this.#addWriting();
    }
  }

  #addPlain(): void {
    const name = this.#callback(() => void this.#plain.calls++);
    this.#members.push({
      kind: "plain",
      name,
      check: (plain) => {
        const { calls, filtered, errors } = this.#statistics(name);
        return calls === plain && filtered === 0 && errors === 0
          ? undefined
          : `listCallbacks() says ${calls} calls, ${filtered} filtered, ${errors} errors`;
      },
    });
  }

  #addThrowing(): void {
    const every = this.random.between(1, 500);
    let calls = 0;
    let thrown = 0;
    const name = this.#callback(() => {
      if (++calls % every === 0) {
        thrown++;
        throw new Error("on purpose");
      }
    });
    this.#members.push({
      kind: "throwing",
      name,
      check: (plain) => {
        const { errors } = this.#statistics(name);
        return calls === plain && errors === thrown ? undefined : `${calls} calls, ${thrown} thrown, ${errors} counted`;
      },
    });
  }

  #makeFilter(): CallbackFilter {
    const { random } = this;
    const worker = random.pick(this.context.workers);
    const filters: CallbackFilter[] = [
      { mode: random.pick(["user", "kernel"]) },
      { every: random.between(1, 100) },
      { hits: random.between(1, 1000) },
      { pgd: worker.pgd },
      { pc: { from: worker.tick, to: worker.tick + 64n } },
      { firstPerPage: true },
      { mode: "user", every: random.between(2, 9), pgd: this.context.workers.map(({ pgd }) => pgd) },
      { address: { from: worker.words, to: worker.words + 4096n }, hits: random.between(1, 300) },
      { value: { above: BigInt(random.between(0, 1 << 30)) } },
      { size: random.pick([1, 2, 4, 8]) },
    ];
    return random.pick(filters);
  }

  #addFiltered(): void {
    const filter = this.#makeFilter();
    let calls = 0;
    const name = this.#callback(() => void calls++, filter);
    this.#members.push({
      kind: "filtered",
      name,
      check: (plain) => {
        const said = this.#statistics(name);
        // A filter that lets nothing more through is not asked any more.
        const isUsedUp = filter.hits !== undefined && calls === filter.hits;
        const tooMany = filter.hits !== undefined && calls > filter.hits;
        const asked = calls + said.filtered;
        return calls === said.calls && (isUsedUp ? asked <= plain : asked === plain) && !tooMany
          ? undefined
          : `${calls} calls, listCallbacks() says ${said.calls} and ${said.filtered} filtered`;
      },
    });
  }

  #addStream(kind: "waiting stream" | "dropping stream"): void {
    const drop = kind === "dropping stream";
    const counted = this.type === "BLOCK_BEGIN_CB" || this.type === "INSN_BEGIN_CB";
    let records = 0;
    let dropped = 0;
    let last = 0n;
    const handler = (batch: EventBatch): void => {
      if (this.#removed.has(name))
        this.context.violate(`${this.description}: ${name} was handed over after its removal`);
      for (let index = 0; index < batch.length; index++) {
        if (batch.cpu[index]! > 1) this.context.violate(`${this.description}: a record of vCPU ${batch.cpu[index]}`);
        if (counted && batch.number[index]! <= last) this.context.violate(`${this.description}: records out of order`);
        last = batch.number[index]!;
      }
      records += batch.length;
      dropped = batch.dropped;
    };
    const capacity = this.random.between(1, drop ? 2000 : 6000);
    const name = this.context.callbacks.addStream(this.type as StreamType, handler, {
      ...this.#opcodes,
      capacity,
      onFull: drop ? "drop" : "wait",
    });
    this.#members.push({
      kind,
      name,
      check: (plain) =>
        records + dropped === plain && (drop || dropped === 0) ? undefined : `${records} records, ${dropped} dropped`,
    });
  }

  #addTrigger(): void {
    let calls = 0;
    const every = this.random.between(1, 1000);
    const name = this.#callback(() => void calls++);
    const { callbacks } = this.context;
    callbacks.addTrigger(name, `${this.context.trigger}-${this.type}`);
    callbacks.setTriggerVar(name, "every", every);
    this.#members.push({
      kind: "trigger",
      name,
      check: (plain) => {
        callbacks.callTriggerFunction(name, "publish");
        const asked = Number(callbacks.getTriggerVar(name, "count"));
        // It is asked about every process' events, and the plain callback is called for those of monitored ones.
        const fits = this.isAll || OF_DEVICES.includes(this.type) ? asked === plain : asked >= plain;
        return fits && calls === Math.floor(asked / every)
          ? undefined
          : `asked ${asked} times, passed ${calls}, one of ${every}`;
      },
    });
  }

  #addPromising(): void {
    const every = this.random.between(1, 3000);
    const most = this.random.between(1, 6);
    let calls = 0;
    let promised = 0;
    let rejected = 0;
    const name = this.#callback(() => {
      if (++calls % every !== 0 || promised === most) return;
      promised++;
      this.#disturbances++;
      const delayMs = this.random.between(0, 15);
      const fails = this.random.chance(40);
      if (fails) rejected++;
      const promise = new Promise<void>((resolve, reject) => {
        setTimeout(() => (fails ? reject(new Error("on purpose")) : resolve()), delayMs);
      });
      this.#promises.push(promise);
      return promise;
    });
    this.#members.push({
      kind: "promising",
      name,
      check: (plain) => {
        const { errors } = this.#statistics(name);
        return calls === plain && errors === rejected
          ? undefined
          : `${calls} calls, ${rejected} rejected, ${errors} counted`;
      },
    });
  }

  #addRemoving(kind: "removing itself" | "removing another"): void {
    const after = this.random.between(1, 5000);
    let calls = 0;
    let victimCalls = 0;
    const victim = kind === "removing another" ? this.#callback(() => void victimCalls++) : undefined;
    const name = this.#callback((own) => {
      if (++calls === after) {
        this.#disturbances++;
        this.#removeOne(victim ?? own);
      }
    });
    const least = (plain: number): boolean => calls === Math.min(after, plain);
    if (victim !== undefined) {
      this.#members.push({
        kind,
        name: victim,
        check: (plain) =>
          victimCalls === Math.min(after, plain) ? undefined : `${victimCalls} calls, removed after ${after}`,
      });
    }
    this.#members.push({
      kind,
      name,
      check: (plain) =>
        (victim === undefined ? least(plain) : calls === plain) ? undefined : `${calls} calls, removes after ${after}`,
    });
  }

  #addAdding(): void {
    const after = this.random.between(1, 2000);
    let calls = 0;
    let added = 0;
    const name = this.#callback(() => {
      if (++calls === after) {
        this.#disturbances++;
        const other = this.#callback(() => void added++);
        this.#members.push({
          kind: "adding",
          name: other,
          // The event being delivered does not reach a new callback; all after it do. So do, when they are executed at
          // last, blocks and instructions that a vCPU had left before, each for a disturbance: all others know them.
          check: (plain) =>
            added >= plain - after && added <= plain - after + this.#disturbances
              ? undefined
              : `${added} calls of one added in call ${after}`,
        });
      }
    });
    this.#members.push({
      kind: "adding",
      name,
      check: (plain) => (calls === plain ? undefined : `${calls} calls`),
    });
  }

  #addWriting(): void {
    const every = this.random.between(1, 200);
    let calls = 0;
    const name = this.#callback(() => {
      if (++calls % every !== 0) return;
      this.#disturbances++;
      for (const worker of this.context.workers) {
        const bytes = readVa(worker.pgd, worker.words + 4000n, 96);
        // What a TLB or context callback may not do, it does not.
        if (EXACT.includes(this.type)) writeVa(worker.pgd, worker.words + 4000n, bytes);
      }
      if (EXACT.includes(this.type)) {
        const cpu = readCpu(this.random.between(0, 1));
        writeRegister(cpu.index, "RBX", cpu.RBX);
        getRunningProcess(cpu.index);
      }
    });
    this.#members.push({
      kind: "writing",
      name,
      check: (plain) => (calls === plain ? undefined : `${calls} calls`),
    });
  }
}
