import assert from "node:assert/strict";
import { test } from "node:test";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { checkTwins, FIRST, SECOND, watchTwins } from "../kit/guests/twin-run";

// What a hook and its removal have to keep to, counted by native/guest/programs/twin.c itself.

test("a callback that ends the monitoring and removes itself is called for the monitored process only, and never again", async () => {
  const run = await watchTwins(
    "exec",
    1,
    `
      const [target] = pgds;
      startMonitoringProcess(target!);
      const name = cm.addCallback("BLOCK_BEGIN_CB", (cpuIndex) => {
        count("calls");
        if (getRunningProcess(cpuIndex) !== target) count("foreign");
        if (counts.calls === 100) {
          stopMonitoringProcess(target!);
          cm.rmCallback(name);
        }
      });
    `,
    `print("calls " + counts.calls + " foreign " + (counts.foreign ?? 0) + " " + isMonitoredProcess(target!) + cm.callbackExists(name));`,
  );
  checkTwins(run);
  assert.deepEqual(run.messages, ["calls 100 foreign 0 falsefalse"]);
});

test("a hook that a callback adds is called at its address and in its process only, monitored or not", async () => {
  const run = await watchTwins(
    "exec",
    1,
    `
      // A block of the process, found by monitoring it; then its address alone.
      const [target] = pgds;
      startMonitoringProcess(target!);
      const general = cm.addCallback("BLOCK_BEGIN_CB", (cpuIndex, cpu, tb) => {
        if (tb.pc !== at.poll) return;
        cm.rmCallback(general);
        stopMonitoringProcess(target!);
        cm.addCallback("BLOCK_BEGIN_CB", (index, vcpu, block) => {
          count("hook");
          if (vcpu.PC !== at.work || block.pc !== at.work || getRunningProcess(index) !== target) count("elsewhere");
        }, { addr: at.work, pgd: target! });
      });
      while (cm.callbackExists(general)) await sleep(5);
    `,
    `print([${FIRST}, ${SECOND}].includes(counts.hook!) + " " + (counts.elsewhere ?? 0));`,
  );
  checkTwins(run);
  assert.deepEqual(run.messages, ["true 0"]);
});

test("a hook that is added in a callback holds within the block that is being executed", async () => {
  const run = await watchTwins(
    "fork",
    1,
    `
      // The first instruction of the function, and the third: both are in one block.
      const first = cm.addCallback("INSN_BEGIN_CB", (cpuIndex, cpu) => {
        const pgd = getRunningProcess(cpuIndex);
        cm.rmCallback(first);
        state.count = readVa(pgd, at.count, 8).readBigUInt64LE();
        cm.addCallback("INSN_BEGIN_CB", (index, vcpu) => {
          if (counts.added === undefined) state.added = readVa(pgd, at.count, 8).readBigUInt64LE();
          if (vcpu.PC !== at.add) count("elsewhere");
          count("added");
        }, { addr: at.add, pgd });
      }, { addr: at.work });
    `,
    `
      print("in the same turn " + (state.count === state.added));
      print([${FIRST}, ${SECOND}].includes(counts.added!) + " " + (counts.elsewhere ?? 0));
    `,
  );
  checkTwins(run);
  assert.deepEqual(run.messages, ["in the same turn true", "true 0"]);
});

for (const type of ["BLOCK_BEGIN_CB", "INSN_BEGIN_CB"]) {
  test(`two hooks at one address are both called, in their order, and one that is removed leaves the other: ${type}`, async () => {
    const run = await watchTwins(
      "fork",
      2,
      `
        const order: string[] = [];
        const one = cm.addCallback("${type}", () => {
          count("one");
          if (order.length < 4) order.push("one");
          if (counts.one === 200) cm.rmCallback(one);
        }, { addr: at.work });
        cm.addCallback("${type}", () => {
          count("two");
          if (order.length < 4) order.push("two");
        }, { addr: at.work });
      `,
      `print(order.join() + " " + counts.one + " " + counts.two);`,
    );
    checkTwins(run);
    assert.deepEqual(run.messages, [`one,two,one,two 200 ${FIRST + SECOND}`]);
  });
}

test("what a callback on the second vCPU adds holds there at once, as on the first", async () => {
  const run = await watchTwins(
    "exec",
    2,
    `
      for (const cpu of [0, 1]) {
        const first = cm.addCallback("BLOCK_BEGIN_CB", (cpuIndex) => {
          if (cpuIndex !== cpu) return;
          cm.rmCallback(first);
          const pgd = getRunningProcess(cpuIndex);
          cm.addCallback("INSN_BEGIN_CB", (index) => {
            count("added " + index);
          }, { addr: at.add, pgd });
        }, { addr: at.work });
      }
    `,
    `print([0, 1].map((cpu) => counts["added " + cpu]).toSorted().join());`,
  );
  checkTwins(run);
  assert.deepEqual(run.messages, [`${FIRST},${SECOND}`]);
});

test("all callbacks that are removed while an event is delivered are not called again, not even for it", async () => {
  const run = await watchTwins(
    "fork",
    1,
    `
      const other = new CallbackManager(cm.getModuleHandle());
      for (const pgd of pgds) startMonitoringProcess(pgd);
      // The script is unloaded so: its callbacks of all types go, in the middle of one of them.
      for (const type of ["BLOCK_BEGIN_CB", "INSN_BEGIN_CB", "INSN_END_CB", "MEM_WRITE_CB"] as const) {
        for (let number = 0; number < 3; number++) {
          other.addCallback(type, () => {
            count("calls");
            if (state.cleaned) count("afterwards");
            if (counts.calls === 1000) {
              other.clean();
              state.cleaned = true;
            }
          });
        }
      }
      cm.addCallback("BLOCK_BEGIN_CB", () => count("work"), { addr: at.work });
    `,
    `
      print("calls " + counts.calls + " afterwards " + (counts.afterwards ?? 0) + " work " + counts.work);
      print("left " + listCallbacks().length);
    `,
  );
  checkTwins(run);
  assert.deepEqual(run.messages, [`calls 1000 afterwards 0 work ${FIRST + SECOND}`, "left 1"]);
});

test("in every turn a hook removes itself, and another one adds it again: each is called once a turn", async () => {
  const run = await watchTwins(
    "fork",
    1,
    `
      const [pgd] = pgds;
      const add = () => {
        const name = cm.addCallback("BLOCK_BEGIN_CB", () => {
          count("begin");
          cm.rmCallback(name);
        }, { addr: at.work, pgd: pgd! });
      };
      add();
      cm.addCallback("INSN_BEGIN_CB", () => {
        count("add");
        add();
      }, { addr: at.add, pgd: pgd! });
    `,
    `print(counts.begin + " " + counts.add);`,
  );
  checkTwins(run);
  // Which of the two it was is not said.
  assert.ok([`${FIRST} ${FIRST}`, `${SECOND} ${SECOND}`].includes(run.messages[0]!), run.messages[0]);
});

test("a hook whose callback changes hooks is called once a turn, also when two processes take turns on one vCPU", async () => {
  const run = await watchTwins(
    "fork",
    1,
    `
        // Adding the first hook at an offset, and removing the last, has the vCPU leave the block.
        let other: string | undefined;
        cm.addCallback("INSN_BEGIN_CB", () => {
          count("calls");
          if (other !== undefined) cm.rmCallback(other);
          other = other === undefined ? cm.addCallback("BLOCK_BEGIN_CB", () => {}, { addr: at.work }) : undefined;
        }, { addr: at.add });
      `,
    `print("calls " + counts.calls);`,
  );
  checkTwins(run);
  assert.deepEqual(run.messages, [`calls ${FIRST + SECOND}`]);
});

test("a hook that removed itself is called again when it is added anew", async () => {
  const run = await runGuest({
    task: "soak",
    qemuArgs: ["-smp", "2"],
    script: (serial) => `
      import { CallbackManager, Engine, getRunningProcess, readCpu, readVa } from "rebox";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      const ROUNDS = 20;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        void (async () => {
          const truth = await untilTruth("soaker.0.ready");
          const tick = BigInt(truth.get("soaker.0.tick")!), ticks = BigInt(truth.get("soaker.0.ticks")!);
          const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
          const engine = Engine.get();
          let pgd = 0n;
          const found = cm.addCallback("INSN_BEGIN_CB", (cpuIndex) => {
            if (cpuIndex === 0) pgd = getRunningProcess(0);
          }, { addr: tick });
          while (pgd === 0n) await sleep(10);
          cm.rmCallback(found);
          const read = () => readVa(pgd, ticks, 8).readBigUInt64LE();
          const late: bigint[] = [];
          for (let round = 0; round < ROUNDS; round++) {
            await sleep(20);
            await engine.pause();
            // In the function, before the addition (4 bytes from its start): that turn has begun already.
            const rip = readCpu(0).RIP;
            const begun = getRunningProcess(0) === pgd && rip > tick && rip <= tick + 4n;
            const expected = read() + (begun ? 1n : 0n);
            let seen: bigint | undefined;
            const name = cm.addCallback("BLOCK_BEGIN_CB", () => {
              seen = read();
              cm.rmCallback(name);
            }, { addr: tick, pgd });
            await engine.resume();
            while (seen === undefined) await sleep(5);
            late.push(seen - expected);
          }
          print("turns too late: " + late.join(" "));
          await engine.quit();
        })();
      }
      export const clean = (): void => cm.clean();
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, [`turns too late: ${Array.from({ length: 20 }, () => 0).join(" ")}`]);
});
