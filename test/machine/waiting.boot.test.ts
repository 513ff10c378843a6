import assert from "node:assert/strict";
import { test } from "node:test";
import { watchSequence } from "../kit/guests/sequence-run";
import { runGuest } from "../kit/guests/guest-run";

test("a callback that returns a promise holds the guest, exactly there, and is not called twice", async () => {
  const run = await watchSequence(
    `
      const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
      let insns = 0, blocks = 0, waits = 0, moved = 0;
      cm.addCallback(CallbackManager.INSN_BEGIN_CB, async (_, vcpu) => {
        if (vcpu.RIP !== at.loop) return;
        insns++;
        if (insns > 5) return;
        const rip = vcpu.RIP, rcx = vcpu.RCX;
        await sleep(20);
        waits++;
        if (vcpu.RIP !== rip || vcpu.RCX !== rcx || vcpu.RCX !== BigInt(101 - insns)) moved++;
      }, { filter: { pc: { from: at.loop, to: at.loop + 1n } } });
      cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, async (_, vcpu, tb) => {
        if (tb.pc === at.loop) {
          blocks++;
          if (blocks <= 3) await sleep(10);
        }
      }, { filter: { mode: "user" } });
      (globalThis as any).report = () =>
        "loop " + insns + " blocks " + blocks + " waits " + waits + " moved " + moved;
    `,
    `print((globalThis as any).report());`,
  );
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  assert.deepEqual(run.messages, ["loop 100 blocks 99 waits 5 moved 0"]);
  assert.equal(run.truth.get("exact.added"), "1");
});

test("while a callback is waited for, the machine can be paused and resumed, and everything else goes on", async () => {
  const run = await runGuest({
    task: "poweroff",
    script: () => `
      import { CallbackManager, Engine, readCpu } from "rebox";
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        cm = new CallbackManager(handle);
        let calls = 0;
        const name = cm.addCallback(CallbackManager.CONTEXTCHANGE_CB, async () => {
          if (++calls === 1) {
            await Engine.get().pause();
            printer("state " + Engine.get().state);
            await Engine.get().resume();
            printer("state " + Engine.get().state + " calls " + calls);
          } else if (calls === 2) {
            throw new Error("on purpose");
          } else if (calls === 3) {
            setTimeout(() => {
              printer("calls " + calls);
              cm.rmCallback(name);
            }, 100);
            await new Promise(() => {});
          }
        });
      }
      export function clean(): void {
        cm.clean();
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.cause, "guest-shutdown");
  assert.deepEqual(run.messages, ["state paused", "state running calls 1", "calls 3"]);
  assert.match(run.stderr, /on purpose/);
});

test("a memory callback that waits holds the guest behind the instruction of the access, and nothing is told twice", async () => {
  const run = await watchSequence(
    `
      const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
      const begun: bigint[] = [];
      const state = { writes: 0, wrong: [] as string[], blocks: 0 };
      let next: bigint | undefined;
      cm.addCallback(CallbackManager.INSN_BEGIN_CB, (_, vcpu) => {
        if (!isInside(vcpu.RIP, vcpu)) return;
        if (next !== undefined && next !== vcpu.RIP) state.wrong.push(next.toString(16) + " " + vcpu.RIP.toString(16));
        next = undefined;
        begun.push(vcpu.RIP);
      });
      cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, (_, vcpu, tb) => {
        if (tb.pc === at.loop && vcpu.CPL === 3n) state.blocks++;
      });
      cm.addCallback(CallbackManager.MEM_WRITE_CB, async (index) => {
        const { RIP, CPL } = readCpu(index);
        if (CPL !== 3n) return;
        state.writes++;
        await sleep(5);
        next = readCpu(index).RIP;
        // REP STOSB stays where it is until its last turn.
        const size = next - RIP;
        if (size > 15n || (size <= 0n && readVa(getRunningProcess(), RIP, 1)[0] !== 0xf3)) {
          state.wrong.push(RIP.toString(16) + " held at " + next.toString(16));
        }
      }, { filter: { address: { from: at.buffer, to: at.buffer + 8192n } } });
      Object.assign(globalThis, { state, begun });
    `,
    `
      const { state, begun } = globalThis as unknown as { state: { writes: number, wrong: string[], blocks: number }, begun: bigint[] };
      let stos = 0;
      for (let i = 1; i < begun.length; i++) if (begun[i] === begun[i - 1]) stos++;
      print("writes " + state.writes + " instructions " + (begun.length - stos) + " loops " + state.blocks + " wrong " + state.wrong);
    `,
  );
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  // As exact.test.ts counts them: 13 stores into the buffer, 7 of them by REP STOSB, and 238 instructions.
  assert.deepEqual(run.messages, ["writes 13 instructions 238 loops 99 wrong "]);
  assert.equal(run.truth.get("exact.added"), "1");
});
