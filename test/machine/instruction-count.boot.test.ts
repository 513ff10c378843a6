import assert from "node:assert/strict";
import { test } from "node:test";
import { type GuestRun, runGuest } from "../kit/guests/guest-run";
import { watchSequence } from "../kit/guests/sequence-run";

/** A machine in which nothing comes from the host: no time, no chance, no input. */
const CLOSED = [
  ...["-icount", "shift=4,sleep=off", "-rtc", "base=2026-01-01T00:00:00,clock=vm", "-seed", "7"],
  ...["-cpu", "qemu64,-rdrand"],
];

/** Boots with a script; notes how many instructions there were at each of the first changes of the address space. */
async function bootCounted(onBegin: string): Promise<{ run: GuestRun; counts: number[] }> {
  const run = await runGuest({
    task: "poweroff",
    boots: true,
    kernelArgs: "loglevel=7",
    qemuArgs: CLOSED,
    timeoutMs: 110_000,
    script: () => `
      import { ALL_PROCESSES, CallbackManager, getInstructionCount, readCpu, startMonitoringProcess } from "rebox";
      let cm: CallbackManager;
      let print: (text: string) => void;
      const counts: number[] = [];
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        print = printer;
        cm = new CallbackManager(handle);
        const changes = new CallbackManager(handle);
        changes.addCallback(CallbackManager.CONTEXTCHANGE_CB, (_, pgd) => {
          counts.push(getInstructionCount(), Number(pgd));
          if (counts.length >= 500) changes.clean();
        });
        ${onBegin}
      }
      export function clean(): void {
        cm.clean();
        print("counts " + JSON.stringify(counts));
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  const counts = run.messages.find((text) => text.startsWith("counts "))!;
  return { run, counts: JSON.parse(counts.slice("counts ".length)) as number[] };
}

test("under -icount the guest's clock is the same with a script that leaves blocks all the time as with one that does nothing", async () => {
  const bare = await bootCounted("");
  assert.equal(bare.counts.length, 500);
  assert.match(bare.run.console, /^\[ +\d+\.\d{6}\] /m);
  const busy = await bootCounted(`
    let calls = 0, turns = 0, carries = 0n;
    let second: string | undefined;
    const end = () => { if (second !== undefined) cm.rmCallback(second); second = undefined; };
    startMonitoringProcess(ALL_PROCESSES);
    // Hooks that come and go leave the block; flags that are read within one are put together there.
    cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => {
      if (++calls % 40 !== 0) return;
      if (++turns === 400) return cm.clean();
      if (second !== undefined) end();
      else second = cm.addCallback(CallbackManager.INSN_BEGIN_CB, (_, cpu) => {
        carries += cpu.RFLAGS & 1n;
        if (carries % 3n === 0n) end();
      }, { filter: { every: 11 } });
    }, { filter: { every: 50 } });
    cm.addCallback(CallbackManager.MEM_WRITE_CB, () => void (carries += readCpu(0).RFLAGS & 1n), { filter: { every: 500 } });
  `);
  assert.deepEqual(busy.counts, bare.counts);
  assert.equal(busy.run.console, bare.run.console);
});

test("the count is that of the instructions before the event's, whatever a callback reads, and ports can be read within a block", async () => {
  const run = await watchSequence(
    `
    const seen: number[] = [];
    const note = (kind: number) => { seen.push(kind, getInstructionCount(), Number(cpu.RFLAGS & 1n), getInstructionCount()); };
    cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => note(0));
    cm.addCallback(CallbackManager.INSN_BEGIN_CB, () => note(1));
    cm.addCallback(CallbackManager.MEM_WRITE_CB, () => note(2));
    cm.addCallback(CallbackManager.INSN_BEGIN_CB, () => void readIoPort(0x61, 1), { filter: { every: 5 } });
    Object.assign(globalThis, { seen });
    `,
    `print("seen " + JSON.stringify((globalThis as any).seen));`,
    ["-icount", "shift=4"],
  );
  assert.equal(run.status, 0, run.stderr);
  const seen = JSON.parse(run.messages.find((text) => text.startsWith("seen "))!.slice(5)) as number[];
  let [instructions, last] = [0, 0];
  for (let at = 0; at < seen.length; at += 4) {
    const [kind, before, , after] = seen.slice(at, at + 4) as [number, number, number, number];
    assert.equal(after, before);
    if (kind === 1) {
      // Those of the sequence, and of what interrupts it: each counts one.
      if (instructions++ > 0) assert.equal(before, last + 1, `event ${at / 4}`);
      last = before;
    } else if (kind === 2) assert.equal(before, last, `event ${at / 4}`);
    else if (instructions > 0) assert.equal(before, last + 1, `event ${at / 4}`);
  }
  assert.ok(instructions > 100, `only ${instructions} instructions`);
});

test("without -icount there is no count, and the error says how to get one", async () => {
  const run = await runGuest({
    task: "poweroff",
    script: () => `
      import { Engine, EngineUsageError, getInstructionCount } from "rebox";
      export function initialize_callbacks(_: number, print: (text: string) => void): void {
        try { getInstructionCount(); } catch (error) { print(String(error instanceof EngineUsageError) + " " + (error as Error).message); }
      }
      export const clean = (): void => undefined;
    `,
  });
  assert.match(run.messages.join("\n"), /^true the machine does not count its instructions: start it with -icount/);
});
