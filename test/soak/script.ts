import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { CallbackManager, Engine, getRunningProcess } from "rebox";
import { Audit } from "./audit";
import { GROUP_TYPES } from "./audit-group";
import { Random } from "./random";
import type { SoakContext, Worker } from "./soak-context";

/** What the soak's runner tells this script, as JSON in REBOX_SOAK. */
interface SoakOrder {
  readonly seed: number;
  /** The number of the first audit; the choices of an audit follow from the seed and its number. */
  readonly first: number;
  readonly seconds: number;
  readonly serial: string;
  readonly trigger: string;
}

const AUDITS_PER_REPORT = 10;
const FORGOTTEN_MS = 100;

let callbacks: CallbackManager;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

async function readWhenThere(order: SoakOrder, keys: readonly string[]): Promise<Map<string, bigint>> {
  for (;;) {
    const text = readFileSync(order.serial, "latin1");
    const facts = new Map(
      [...text.matchAll(/^rebox-guest: (\S+?)=(0x[0-9a-f]+|\d+)\r?$/gm)].map(([, key, value]) => [
        key!,
        BigInt(value!),
      ]),
    );
    if (keys.every((key) => facts.has(key))) return facts;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Finds the address space of each worker: both run the same program, and each has a vCPU of its own. */
async function findWorkers(facts: Map<string, bigint>): Promise<Worker[]> {
  const pgds: bigint[] = [];
  const name = callbacks.addCallback(
    CallbackManager.INSN_BEGIN_CB,
    (cpuIndex) => void (pgds[cpuIndex] = getRunningProcess(cpuIndex)),
    { addr: facts.get("soaker.0.tick")! },
  );
  while (pgds[0] === undefined || pgds[1] === undefined) await new Promise((resolve) => setTimeout(resolve, 20));
  callbacks.rmCallback(name);
  if (pgds[0] === pgds[1]) throw new Error("two processes have one address space");
  const fact = (cpu: number, key: string) => facts.get(`soaker.${cpu}.${key}`)!;
  return [0, 1].map((cpu) => ({
    cpu,
    pgd: pgds[cpu]!,
    tick: fact(cpu, "tick"),
    ticks: fact(cpu, "ticks"),
    words: fact(cpu, "words"),
  }));
}

async function soak(order: SoakOrder, print: (text: string) => void): Promise<void> {
  const kernel = ["schedule", "handle_mm_fault", "__x64_sys_read", "do_syscall_64"].map((name) => `symbol.${name}`);
  const facts = await readWhenThere(order, [...kernel, "soaker.0.ready", "soaker.1.ready"]);
  const workers = await findWorkers(facts);
  let audit = order.first;
  const context: SoakContext = {
    callbacks,
    workers,
    kernel: kernel.map((name) => facts.get(name)!),
    trigger: order.trigger,
    violate: (what) => print(`violation in audit ${audit}: ${what}`),
  };
  // Compiled before it matters: the guest stands still meanwhile.
  for (const type of GROUP_TYPES) {
    const opcodes = type === "OPCODE_RANGE_CB" ? { startOpcode: 0, endOpcode: 0 } : {};
    const name = callbacks.addCallback(type, () => {}, opcodes);
    callbacks.addTrigger(name, `${order.trigger}-${type}`);
    callbacks.rmCallback(name);
  }
  const end = Date.now() + order.seconds * 1000;
  let events = 0;
  print("ready");
  for (; Date.now() < end; audit++) {
    print(`begin ${audit}`);
    events += await new Audit(context, new Random(order.seed, audit)).run();
    if (audit % AUDITS_PER_REPORT === 0) {
      collectGarbage();
      await new Promise((resolve) => setTimeout(resolve, FORGOTTEN_MS));
      collectGarbage();
      const { heapUsed, external } = process.memoryUsage();
      print(`report ${JSON.stringify({ audits: audit - order.first + 1, events, heap: heapUsed + external })}`);
    }
  }
  print(`end ${JSON.stringify({ audits: audit - order.first, events })}`);
  await Engine.get().quit();
}

export function initialize_callbacks(handle: number, print: (text: string) => void): void {
  callbacks = new CallbackManager(handle);
  soak(JSON.parse(process.env["REBOX_SOAK"]!) as SoakOrder, print).catch((error: Error) => {
    print(`violation: ${error.stack}`);
    void Engine.get().quit();
  });
}

export const clean = (): void => callbacks.clean();
