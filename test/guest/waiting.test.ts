import assert from "node:assert/strict";
import { test } from "node:test";
import { watchSequence } from "./sequence-run";
import { runGuest } from "./guest-run";

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
