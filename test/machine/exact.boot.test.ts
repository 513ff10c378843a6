import assert from "node:assert/strict";
import { test } from "node:test";
import type { GuestRun } from "../kit/guests/guest-run";
import { watchSequence } from "../kit/guests/sequence-run";

function checkRun(run: GuestRun): void {
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  assert.equal(run.truth.get("exact.first"), String(0x5a));
  assert.equal(run.truth.get("exact.added"), "1");
}

// exact_begin's own first NOP is where monitoring starts; what follows it is counted:
// 9 NOP, MOV, 100 x (DEC, JNZ), 14 instructions up to POP, LEA, MOV, MOV, REP STOSB, CALL, RET, LEA, JMP,
// XOR, CPUID, XOR, CPUID, MOV, SYSCALL.
const BEFORE_STOS = 9 + 1 + 200 + 14 + 3;
const AFTER_STOS = 1 + 1 + 2 + 6;

test("every instruction begins and ends once, in the order of the program", async () => {
  const run = await watchSequence(
    `
      const begun: bigint[] = [], ended: bigint[] = [];
      cm.addCallback(CallbackManager.INSN_BEGIN_CB, (_, vcpu) => {
        if (isInside(vcpu.RIP, vcpu)) begun.push(vcpu.RIP);
      });
      cm.addCallback(CallbackManager.INSN_END_CB, (_, vcpu) => void ended.push(vcpu.RIP));
      (globalThis as any).begun = begun;
      (globalThis as any).ended = ended;
    `,
    `
      const { begun, ended } = globalThis as unknown as Record<"begun" | "ended", bigint[]>;
      // REP STOSB may be begun anew for each turn, as it is when an interrupt comes in between.
      let stos = 0;
      for (let i = 1; i < begun.length; i++) if (begun[i] === begun[i - 1]) stos++;
      print("stos " + (stos + 1));
      print("instructions " + (begun.length - (stos + 1)));
      print("decrements " + begun.filter((pc) => pc === at.loop).length);
      print("calls " + begun.filter((pc) => pc === at.function).length);
      const inside = new Set(begun);
      // The vCPU is at the next instruction when one ends: every one but the first was announced so.
      const announced = ended.filter((pc) => inside.has(pc)).length;
      print("announced " + (begun.length - announced <= 1));
    `,
  );
  checkRun(run);
  const [stos, ...rest] = run.messages;
  assert.match(stos!, /^stos [1-8]$/);
  assert.deepEqual(rest, [`instructions ${BEFORE_STOS + AFTER_STOS}`, "decrements 100", "calls 1", "announced true"]);
});

test("memory is reported with address, size, value and the page behind it, once for each access", async () => {
  const run = await watchSequence(
    `
      const seen: string[] = [];
      const offset = (vaddr: bigint) => vaddr >= at.buffer && vaddr < at.buffer + 8192n ? "b+" + (vaddr - at.buffer) : "stack";
      const physical = (vaddr: bigint, haddr: bigint) =>
        findPa(getRunningProcess(), vaddr) === haddr ? "" : " at another page";
      cm.addCallback(CallbackManager.MEM_WRITE_CB, (_, vaddr, size, haddr, data) => {
        if (isInside(readCpu(0).RIP)) {
          const written = vaddr >= at.buffer && size <= 8 ? readVa(getRunningProcess(), vaddr, size).readUIntLE(0, Math.min(size, 6)) : 0;
          const after = size > 6 || written === Number(data) ? "" : " not written yet";
          seen.push("W" + size + " " + offset(vaddr) + " " + (offset(vaddr) === "stack" ? "" : data.toString(16)) + physical(vaddr, haddr) + after);
        }
      });
      cm.addCallback(CallbackManager.MEM_READ_CB, (_, vaddr, size, haddr) => {
        if (isInside(readCpu(0).RIP)) seen.push("R" + size + " " + offset(vaddr) + physical(vaddr, haddr));
      });
      (globalThis as any).seen = seen;
    `,
    `for (const access of (globalThis as unknown as { seen: string[] }).seen) print(access);`,
  );
  checkRun(run);
  const stos = Array.from({ length: 7 }, (_, index) => `W1 b+${32 + index} a5`);
  assert.deepEqual(run.messages, [
    "W1 b+0 5a",
    "W2 b+2 1234",
    "W4 b+4 89abcdef",
    "W8 b+8 7edcba98",
    "R1 b+0",
    "R2 b+2",
    "R4 b+4",
    "R8 b+8",
    "W8 b+4092 1122334455667788",
    "R8 b+4092",
    "R4 b+16",
    "W4 b+16 1",
    "W8 stack ",
    "R8 stack",
    ...stos,
    "W8 stack ",
    "R8 stack",
  ]);
});

test("the next address of a block is where the next block begins: jump, loop, call, return, indirect jump", async () => {
  const run = await watchSequence(
    `
      const ends: { cur: bigint; next: bigint }[] = [], begins: bigint[] = [];
      cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, (_, vcpu, tb) => {
        if (vcpu.CPL === 3n) begins.push(tb.pc);
      });
      cm.addCallback(CallbackManager.BLOCK_END_CB, (_, vcpu, tb, cur, next) => {
        // An interrupt may have come in between: then the vCPU is in the kernel already.
        if ((tb.pc >= at.begin && tb.pc < at.end) || tb.pc === at.function) ends.push({ cur, next });
      });
      (globalThis as any).ends = ends;
      (globalThis as any).begins = begins;
    `,
    `
      const { ends, begins } = globalThis as unknown as { ends: { cur: bigint; next: bigint }[]; begins: bigint[] };
      const leads = (to: bigint) => ends.filter(({ next }) => next === to).length;
      print("loop " + leads(at.loop));
      print("function " + leads(at.function));
      print("target " + leads(at.target));
      print("wrong " + ends.filter(({ cur, next }) => next === 0n || cur === 0n || !begins.includes(next)).length);
      print("returns " + ends.filter(({ cur }) => cur === at.function).length);
    `,
  );
  checkRun(run);
  const said = new Map(run.messages.map((message) => message.split(" ") as [string, string]));
  // 99 times back; falling in from above is part of the block before.
  assert.equal(said.get("loop"), "99");
  assert.equal(said.get("function"), "1");
  assert.equal(said.get("target"), "1");
  assert.equal(said.get("returns"), "1");
});

test("opcodes are counted by range, with prefixes skipped and two bytes understood", async () => {
  const run = await watchSequence(
    `
      const counts: Record<string, number> = {};
      const nexts: Record<string, bigint> = {};
      const sizes: Record<string, number> = {};
      const count = (name: string, startOpcode: number, endOpcode: number) => {
        cm.addCallback(CallbackManager.OPCODE_RANGE_CB, (_, vcpu, pc, nextPc, insnSize) => {
          if ((pc >= at.begin && pc < at.end) || pc === at.function) {
            counts[name] = (counts[name] ?? 0) + 1;
            nexts[name] = nextPc;
            sizes[name] = insnSize;
          }
        }, { startOpcode, endOpcode });
      };
      count("nop", 0x90, 0x90);
      count("jcc", 0x70, 0x7f);
      count("call", 0xe8, 0xe8);
      count("ret", 0xc3, 0xc3);
      count("stos", 0xaa, 0xab);
      count("cpuid", 0x0fa2, 0x0fa2);
      count("syscall", 0x0f05, 0x0f05);
      (globalThis as any).seen = { counts, nexts, sizes };
    `,
    `
      const { counts, nexts, sizes } = (globalThis as any).seen as
        { counts: Record<string, number>; nexts: Record<string, bigint>; sizes: Record<string, number> };
      for (const [name, count] of Object.entries(counts)) {
        if (name !== "stos") print(name + " " + count);
        else print("stos " + (count >= 1 && count <= 8));
      }
      print("call leads to the function " + (nexts.call === at.function));
      print("no next " + (nexts.ret === 0n && nexts.syscall === 0n));
      print("sizes " + [sizes.call, sizes.ret, sizes.jcc, sizes.cpuid, sizes.syscall].join(" "));
    `,
  );
  checkRun(run);
  assert.deepEqual(run.messages.toSorted(), [
    "call 1",
    "call leads to the function true",
    "cpuid 2",
    "jcc 100",
    "no next true",
    "nop 9",
    "ret 1",
    // E8 with 4 bytes of distance, C3, 7x with one byte of distance, 0F A2, 0F 05: the processor's manual.
    "sizes 5 1 2 2 2",
    "stos true",
    "syscall 1",
  ]);
});

test("monitoring that ends in a callback ends at once, in the middle of a block", async () => {
  const run = await watchSequence(
    `
      const after = { writes: 0, ends: 0 };
      let stopped = false;
      cm.addCallback(CallbackManager.INSN_END_CB, () => {
        if (stopped) after.ends++;
      });
      cm.addCallback(CallbackManager.MEM_WRITE_CB, (cpu, vaddr) => {
        if (stopped) after.writes++;
        if (vaddr === at.buffer) {
          stopped = true;
          stopMonitoringProcess(getRunningProcess(cpu));
        }
      });
      (globalThis as any).after = after;
    `,
    `
      const { writes, ends } = (globalThis as any).after;
      print("afterwards: " + writes + " writes, " + ends + " instructions ended");
    `,
  );
  checkRun(run);
  assert.deepEqual(run.messages, ["afterwards: 0 writes, 0 instructions ended"]);
});
