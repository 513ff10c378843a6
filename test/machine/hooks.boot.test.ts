import assert from "node:assert/strict";
import { test } from "node:test";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";

/**
 * Adds and removes hooks in the loop of native/guest/programs/stepper.c while it runs, and compares what each hook saw
 * with the counters of the two processes: every step once, from the first after adding to the last before removing.
 */
function hookSteps(hooked: string, turns: number): (serial: string) => string {
  return (serial) => `
    import { CallbackManager, Engine, getRunningProcess, readVa } from "rebox";
    ${scriptPrelude(serial)}
    const TURNS = ${turns};
    let cm: CallbackManager;
    const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    const readFlushes = async () => /TB flush count +(\\d+)/.exec(await Engine.get().hmp("info jit"))?.[1];
    export function initialize_callbacks(handle: number, print: (text: string) => void): void {
      cm = new CallbackManager(handle);
      void watch(print).catch((error) => print("failed " + error)).finally(() => Engine.get().quit());
    }
    async function watch(print: (text: string) => void): Promise<void> {
      const truth = await untilTruth("stepper.ready");
      const addresses = { step: BigInt(truth.get("stepper.step")!), middle: BigInt(truth.get("stepper.middle")!) };
      const counter = BigInt(truth.get("stepper.steps")!);
      const readSteps = (pgd: bigint) => Number(readVa(pgd, counter, 8).readBigUInt64LE());
      const pgds = new Set<bigint>();
      const find = cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, (cpu) => void pgds.add(getRunningProcess(cpu)),
        { addr: addresses.step });
      while (pgds.size < 2) await sleep(20);
      cm.rmCallback(find);
      const flushes = await readFlushes();
      let seen = 0, wrong = 0, foreign = 0, late = 0;
      for (let turn = 0; turn < TURNS; turn++) {
        const { type, at, own } = ${hooked};
        const wanted = own ? [[...pgds][turn % 2]!] : [...pgds];
        const before = new Map(wanted.map((pgd) => [pgd, readSteps(pgd)]));
        const first = new Map<bigint, number>(), last = new Map<bigint, number>();
        let removed = false;
        const name = cm.addCallback(type, (cpu: number) => {
          const pgd = getRunningProcess(cpu);
          if (!wanted.includes(pgd)) { foreign++; return; }
          if (removed) late++;
          const steps = readSteps(pgd);
          seen++;
          if (!first.has(pgd)) first.set(pgd, steps);
          else if (steps !== last.get(pgd)! + 1) wrong++;
          last.set(pgd, steps);
        }, { addr: addresses[at], ...(own ? { pgd: wanted[0]! } : {}) });
        const hitsWanted = seen + 50;
        while (seen < hitsWanted) await sleep(1);
        cm.rmCallback(name);
        removed = true;
        for (const [pgd, steps] of first) {
          const missed = steps - before.get(pgd)!;
          const after = readSteps(pgd) - last.get(pgd)!;
          if (missed < 0 || missed > 1 || after < 0 || after > 1) wrong++;
        }
      }
      print("seen " + (seen >= TURNS * 50) + " wrong " + wrong + " foreign " + foreign + " late " + late);
      print("flushed " + (flushes === undefined || (await readFlushes()) !== flushes));
    }
    export function clean(): void {
      cm.clean();
    }
  `;
}

const VARIANTS = [
  {
    title: "blocks of all processes",
    hooked: `{ type: CallbackManager.BLOCK_BEGIN_CB, at: "step", own: false } as const`,
  },
  {
    title: "instructions within a block, of one of two processes that share it",
    hooked: `{ type: CallbackManager.INSN_BEGIN_CB, at: "middle", own: true } as const`,
  },
  {
    title: "both kinds in turn",
    hooked: `turn % 3 ? { type: CallbackManager.INSN_BEGIN_CB, at: "middle", own: turn % 2 === 0 } as const
                      : { type: CallbackManager.BLOCK_BEGIN_CB, at: "step", own: turn % 4 < 2 } as const`,
  },
];

for (const { title, hooked } of VARIANTS) {
  for (const cpus of [1, 2]) {
    test(`hooks see every step from adding to removing, and no other translation is thrown away: ${title}, ${cpus} vCPU`, async () => {
      const run = await runGuest({ task: "stepper", script: hookSteps(hooked, 60), qemuArgs: ["-smp", String(cpus)] });
      assert.equal(run.status, 0, run.stderr);
      assert.deepEqual(run.messages, ["seen true wrong 0 foreign 0 late 0", "flushed false"]);
    });
  }
}

test("callbacks that disturb the vCPU, in a program and in the interrupt that comes between, see every step once", async () => {
  const run = await runGuest({
    task: "stepper",
    qemuArgs: ["-smp", "2"],
    script: (serial) => `
      import { CallbackManager, Engine, getRunningProcess, readVa } from "rebox";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        // A hook that comes and goes makes the vCPU leave its block and look it up again.
        const disturb = () => cm.rmCallback(cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => {}, { addr: 0x1000n }));
        void untilTruth("stepper.ready").then((truth) => {
          const counter = BigInt(truth.get("stepper.steps")!);
          const last = new Map<bigint, bigint>();
          let seen = 0, wrong = 0, interrupts = 0;
          cm.addCallback(CallbackManager.INSN_BEGIN_CB, () => { interrupts++; disturb(); },
            { addr: BigInt(truth.get("stepper.interrupt")!) });
          cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpu) => {
            const pgd = getRunningProcess(cpu);
            const steps = readVa(pgd, counter, 8).readBigUInt64LE();
            if (last.has(pgd) && steps !== last.get(pgd)! + 1n) wrong++;
            last.set(pgd, steps);
            disturb();
            if (++seen === 100000) {
              print("processes " + last.size + " interrupted " + (interrupts > 20) + " wrong " + wrong);
              void Engine.get().quit();
            }
          }, { addr: BigInt(truth.get("stepper.middle")!) });
        });
      }
      export function clean(): void {
        cm.clean();
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, ["processes 2 interrupted true wrong 0"]);
});
