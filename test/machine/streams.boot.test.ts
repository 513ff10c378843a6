import { test } from "node:test";
import { checkMessages } from "../kit/systems/guest-events-run";
import { watchSequence } from "../kit/guests/sequence-run";

// The sequence of native/guest/programs/exact.c, counted by hand: see exact.test.ts.

test("a stream that is all that listens has every event with its columns: memory, blocks, instructions", async () => {
  const run = await watchSequence(
    `
      const pgd = getRunningProcess();
      const seen = { writes: [] as string[], loopBlocks: 0, nops: 0, wrong: [] as string[] };
      (globalThis as any).seen = seen;
      const word = (words: Uint32Array, i: number) => (BigInt(words[2 * i + 1]!) << 32n) | BigInt(words[2 * i]!);
      const isCode = (pc: bigint) => pc >= at.begin && pc < at.end;
      // A small one, that is full in the middle of the sequence.
      cm.addStream("MEM_WRITE_CB", (batch) => {
        for (let i = 0; i < batch.length; i++) {
          const address = batch.address[i]!;
          if (address < at.buffer || address >= at.buffer + 8192n) continue;
          seen.writes.push(batch.size[i] + " " + (address - at.buffer) + " " + batch.data[i]!.toString(16));
          if (!isCode(batch.pc[i]!)) seen.wrong.push("pc of a write");
          if (batch.physical[i] !== findPa(pgd, address)) seen.wrong.push("physical address");
          for (const name of ["pc", "pgd", "address", "physical", "data", "number"] as const) {
            if (word(batch.words[name], i) !== batch[name][i]) seen.wrong.push("words of " + name);
          }
        }
      }, { capacity: 5, columns: ["cpu", "pc", "pgd", "address", "physical", "data", "number", "size"] });
      let blocks = 0n, insns = 0n;
      cm.addStream("BLOCK_BEGIN_CB", (batch) => {
        for (let i = 0; i < batch.length; i++) {
          if (batch.pc[i] === at.loop) seen.loopBlocks++;
          if (batch.pgd[i] !== pgd || batch.cpu[i] !== 0 || batch.number[i]! <= blocks) seen.wrong.push("block");
          // DEC and JNZ: two instructions, in 5 bytes.
          if (batch.pc[i] === at.loop && batch.number[i] !== blocks + 2n) seen.wrong.push("instructions of the loop");
          blocks = batch.number[i]!;
        }
      }, { capacity: 7 });
      cm.addStream("INSN_BEGIN_CB", (batch) => {
        for (let i = 0; i < batch.length; i++) {
          if (batch.pc[i]! >= at.begin && batch.pc[i]! < at.begin + 10n) seen.nops++;
          if (batch.pgd[i] !== pgd || batch.number[i] !== insns + 1n) seen.wrong.push("instruction");
          insns = batch.number[i]!;
        }
      }, { capacity: 3 });
    `,
    `
      setTimeout(() => {
        const { writes, loopBlocks, nops, wrong } = (globalThis as any).seen;
        for (const line of writes) print(line);
        print("loop " + loopBlocks + " nops " + nops + " wrong: " + [...new Set(wrong)].join());
      }, 50);
    `,
  );
  checkMessages(run, [
    "1 0 5a",
    "2 2 1234",
    "4 4 89abcdef",
    "8 8 7edcba98",
    "8 4092 1122334455667788",
    "4 16 1",
    ...Array.from({ length: 7 }, (_, index) => `1 ${32 + index} a5`),
    // The first NOP is where the streams begin; falling into the loop from above is part of the block before.
    "loop 99 nops 9 wrong: ",
  ]);
});

test("a handler may end its own stream, and another listener may come beside it", async () => {
  const run = await watchSequence(
    `
      const seen = { stream: 0, ended: 0, after: 0, callback: 0 };
      (globalThis as any).seen = seen;
      const inBuffer = (address: bigint) => address >= at.buffer && address < at.buffer + 8192n;
      const ends = cm.addStream("BLOCK_BEGIN_CB", (batch) => {
        if (seen.ended++) seen.after++;
        cm.rmCallback(ends);
      }, { capacity: 2 });
      cm.addStream("MEM_WRITE_CB", (batch) => {
        for (let i = 0; i < batch.length; i++) if (inBuffer(batch.address[i]!)) seen.stream++;
        if (seen.stream === 3 && !cm.callbackExists("beside")) {
          cm.addCallback("MEM_WRITE_CB", (cpuIndex, vaddr) => void (inBuffer(vaddr) && seen.callback++), { name: "beside" });
        }
        if (seen.stream === 6 && cm.callbackExists("beside")) cm.rmCallback("beside");
      }, { capacity: 1 });
    `,
    `
      setTimeout(() => {
        const { stream, ended, after, callback } = (globalThis as any).seen;
        print("stream " + stream + " ended " + ended + " after " + after + " callback " + callback);
      }, 50);
    `,
  );
  // Beside it from the fourth write on; the sixth is the stream's before the callback's, which is removed then.
  checkMessages(run, ["stream 13 ended 1 after 0 callback 2"]);
});
