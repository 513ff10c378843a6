import assert from "node:assert/strict";
import { test } from "node:test";
import { watchSequence } from "./sequence-run";

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
