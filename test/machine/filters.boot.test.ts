import assert from "node:assert/strict";
import { test } from "node:test";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { watchSequence } from "../kit/guests/sequence-run";

// The sequence of native/guest/programs/exact.c, counted by hand: see exact.test.ts.

test("a filter lets through what it says and nothing else", async () => {
  const run = await watchSequence(
    `
      const buffer = { from: at.buffer, to: at.buffer + 8192n };
      const code = { from: at.begin, to: at.end };
      const counts: Record<string, number> = {};
      const count = (name: string, type: "MEM_WRITE_CB" | "INSN_BEGIN_CB", filter: CallbackFilter) => {
        counts[name] = 0;
        cm.addCallback(type, () => void counts[name]!++, { filter, name });
      };
      count("in the buffer", "MEM_WRITE_CB", { address: buffer, pc: code });
      count("eight bytes", "MEM_WRITE_CB", { address: buffer, pc: code, size: 8 });
      count("one or two bytes", "MEM_WRITE_CB", { address: buffer, pc: code, size: [1, 2] });
      count("a5", "MEM_WRITE_CB", { address: buffer, pc: code, value: { equals: 0xa5n } });
      count("low digit 8", "MEM_WRITE_CB", { address: buffer, pc: code, value: { equals: 8n, mask: 15n } });
      count("above 0xffff", "MEM_WRITE_CB", { address: buffer, pc: code, value: { above: 0xffffn } });
      count("in the kernel", "MEM_WRITE_CB", { address: buffer, pc: code, mode: "kernel" });
      count("in user mode", "MEM_WRITE_CB", { address: buffer, pc: code, mode: "user" });
      count("first in page", "MEM_WRITE_CB", { address: buffer, pc: code, firstPerPage: true });
      count("every third", "MEM_WRITE_CB", { address: buffer, pc: code, every: 3 });
      count("at most four", "MEM_WRITE_CB", { address: buffer, pc: code, hits: 4 });
      count("physical", "MEM_WRITE_CB", {
        physical: { from: findPa(getRunningProcess(), at.buffer)!, to: findPa(getRunningProcess(), at.buffer)! + 4096n },
        pc: code,
      });
      count("other process", "MEM_WRITE_CB", { address: buffer, pc: code, pgd: 0x1000n });
      count("this process", "MEM_WRITE_CB", { address: buffer, pc: code, pgd: [0x1000n, getRunningProcess()] });
      count("decrements", "INSN_BEGIN_CB", { pc: { from: at.loop, to: at.loop + 1n } });
      (globalThis as any).counts = counts;
    `,
    `
      for (const [name, count] of Object.entries((globalThis as any).counts)) print(name + ": " + count);
      const third = listCallbacks().find(({ name }) => name === "every third")!;
      print("calls " + third.calls + " errors " + third.errors + " filtered " + (third.filtered >= 9));
    `,
  );
  assert.equal(run.status, 0, run.stderr);
  // Written to the buffer: 1, 2, 4, 8 and 8 bytes, the addition's 4, and 7 times a5.
  assert.deepEqual(run.messages, [
    "in the buffer: 13",
    "eight bytes: 2",
    "one or two bytes: 9",
    "a5: 7",
    // 0x7edcba98 and 0x1122334455667788.
    "low digit 8: 2",
    // 0x89abcdef and the two before.
    "above 0xffff: 3",
    "in the kernel: 0",
    "in user mode: 13",
    // The access at 4092 begins in the first page.
    "first in page: 1",
    "every third: 4",
    "at most four: 4",
    "physical: 13",
    "other process: 0",
    "this process: 13",
    "decrements: 100",
    "calls 4 errors 0 filtered true",
  ]);
});

test("a stream holds every event, in order, with the same values as callbacks", async () => {
  const run = await watchSequence(
    `
      const called: string[] = [], streamed: string[] = [];
      const filter = { address: { from: at.buffer, to: at.buffer + 8192n } };
      let batches = 0, kept = 0, pcs = 0, last = 0n, ordered = true;
      cm.addCallback(CallbackManager.MEM_WRITE_CB, (cpu, vaddr, size, haddr, data) =>
        void called.push([cpu, vaddr, size, haddr, data].join(" ")), { filter });
      cm.addStream(CallbackManager.MEM_WRITE_CB, (batch) => {
        batches++;
        for (let i = 0; i < batch.length; i++) {
          streamed.push([batch.cpu[i], batch.address[i], batch.size[i], batch.physical[i], batch.data[i]].join(" "));
          if (batch.pgd[i] !== getRunningProcess()) streamed.push("wrong process");
        }
      }, { filter, capacity: 4, columns: ["cpu", "address", "size", "physical", "data", "pgd"] });
      cm.addStream(CallbackManager.INSN_BEGIN_CB, (batch) => {
        for (let i = 0; i < batch.length; i++) {
          if (batch.pc[i] === at.loop) pcs++;
          if (batch.number[i]! <= last) ordered = false;
          last = batch.number[i]!;
        }
      });
      const drops = cm.addStream(CallbackManager.MEM_WRITE_CB, (batch) => {
        kept += batch.length;
        (globalThis as any).dropped = () => "kept and dropped " + (kept + batch.dropped) + " " + (batch.dropped > 0);
      }, { filter, capacity: 2, onFull: "drop" });
      (globalThis as any).report = (print: (text: string) => void) => {
        // Three full batches at least; what is left comes when the event loop has its turn.
        print("called " + called.length + " streamed " + (streamed.length >= 12) + " batches " + (batches >= 3));
        print("same " + (called.slice(0, streamed.length).join() === streamed.join()));
        setTimeout(() => {
          print("all the same " + (called.join() === streamed.join()) + " " + streamed.length);
          print("loop " + pcs + " ordered " + ordered);
          print((globalThis as any).dropped());
        }, 50);
      };
    `,
    `(globalThis as any).report(print);`,
  );
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, [
    "called 13 streamed true batches true",
    "same true",
    "all the same true 13",
    "loop 100 ordered true",
    "kept and dropped 13 true",
  ]);
});

test("code that no filter lets pass is left out where it is translated, and counted all the same", async () => {
  const run = await runGuest({
    task: "busy",
    script: (serial) => `
      import { ALL_PROCESSES, CallbackManager, type CallbackFilter, type CallbackType, Engine, getBlockCount, listCallbacks,
               readCpu, setBlockCounting, startMonitoringProcess } from "rebox";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        void watch(print).catch((error) => print("failed " + error)).finally(() => Engine.get().quit());
      }
      async function watch(print: (text: string) => void): Promise<void> {
        await untilTruth("busy");
        startMonitoringProcess(ALL_PROCESSES);
        setBlockCounting(true);
        const KERNEL = { from: 0xffff800000000000n, to: 0xffffffffffffffffn };
        const filters: Record<string, CallbackFilter> = {
          user: { mode: "user" }, kernel: { mode: "kernel" }, upper: { pc: KERNEL },
          lower: { pc: [{ from: 0x1000n, to: 0x7fffffff0000n }, { from: 1n, to: 2n }] },
        };
        for (const [title, filter] of Object.entries(filters)) {
          let calls = 0, wrong = 0;
          const name = cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, (_cpu, cpu, tb) => {
            calls++;
            const isKernel = title === "kernel" || title === "upper";
            if ((cpu.CPL === 0n) !== isKernel || tb.pc > 0x7fffffffffffn !== isKernel) wrong++;
          }, { filter });
          // The first slice throws the old translations away.
          await sleep(100);
          const look = () => ({ blocks: getBlockCount(), calls, filtered: listCallbacks().find((c) => c.name === name)!.filtered });
          const before = look();
          while (calls - before.calls <= 1000) await sleep(50);
          const after = look();
          const seen = after.calls - before.calls + after.filtered - before.filtered;
          print(title + " wrong " + wrong + " missing " +
            (after.blocks - before.blocks - seen));
          cm.rmCallback(name);
        }
      }
      export function clean(): void {
        cm.clean();
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(
    run.messages,
    ["user", "kernel", "upper", "lower"].map((title) => `${title} wrong 0 missing 0`),
  );
});
