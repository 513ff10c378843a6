import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { checkTriggers, watchTriggers } from "../kit/guests/trigger-run";

// Between exact_begin and exact_end: 10 NOP, MOV, 100 x (DEC, JNZ), 14 instructions up to POP, LEA, MOV, MOV, REP STOSB
// (counted apart: it may be begun anew for each of its 7 turns), CALL, LEA, JMP, XOR, CPUID, XOR, CPUID, MOV, SYSCALL.
// exact_function, a RET, lies behind exact_end.
const IN_RANGE = 10 + 1 + 200 + 14 + 3 + 1 + 2 + 6;

test("the memory range triggers pass exactly the instructions, reads and writes of their range, unmonitored", async () => {
  const run = await watchTriggers(
    `
      state.bp = add("INSN_BEGIN_CB", "bp_memrange", (_, cpu) => {
        count(cpu.RIP === state.last ? "stos again" : "bp");
        state.last = cpu.RIP;
      });
      state.any = add("INSN_BEGIN_CB", "bp_memrange", (cpuIndex) => getRunningProcess(cpuIndex) === pgd && count("any"));
      state.bpw = add("MEM_WRITE_CB", "bpw_memrange", () => count("bpw"));
      state.bpr = add("MEM_READ_CB", "bpr_memrange", () => count("bpr"));
      state.other = add("MEM_WRITE_CB", "bpw_memrange", () => count("other"));
      state.bpwh = add("MEM_WRITE_CB", "bpwh_memrange", () => count("bpwh"));
      state.bprh = add("MEM_READ_CB", "bprh_memrange", () => count("bprh"));
      state.second = add("MEM_WRITE_CB", "bpwh_memrange", () => count("second page"));
      // Without a trigger: the process is not monitored.
      cm.addCallback("INSN_BEGIN_CB", () => count("monitored only"));
      cm.addCallback("MEM_WRITE_CB", () => count("monitored only"));
    `,
    `
      range(state.bp, at.begin, at.end);
      cm.setTriggerVar(state.bp, "pgd", pgd);
      range(state.any, at.loop, at.loop + 1n);
      cm.setTriggerVar(state.any, "pgd", -1);
      for (const name of [state.bpw, state.bpr, state.other]) {
        range(name, at.buffer, at.buffer + 8192n);
        cm.setTriggerVar(name, "pgd", name === state.other ? pgd + 0x1000n : pgd);
      }
      const first = findPa(pgd, at.buffer)!, second = findPa(pgd, at.buffer + 4096n)!;
      range(state.bpwh, first, first + 4096n);
      range(state.bprh, first, first + 4096n);
      range(state.second, second, second + 4096n);
    `,
    `
      print("bp " + counts.bp + " " + ((counts["stos again"] ?? 0) <= 6));
      for (const name of ["any", "bpw", "bpr", "other", "bpwh", "bprh", "second page", "monitored only"]) {
        print(name + " " + (counts[name] ?? 0));
      }
    `,
  );
  checkTriggers(run);
  assert.deepEqual(run.messages, [
    `bp ${IN_RANGE + 1} true`,
    "any 100",
    // 4 widths, across the pages, the locked addition, and 7 of STOSB.
    "bpw 13",
    "bpr 6",
    "other 0",
    "bpwh 13",
    "bprh 6",
    "second page 1",
    "monitored only 0",
  ]);
});

test("the wx triggers pass the first event of each page, and again after erase_vars", async () => {
  const run = await watchTriggers(
    `
      state.write = add("MEM_WRITE_CB", "memwrite_wx", () => count("write"));
      state.erased = add("MEM_WRITE_CB", "memwrite_wx", () => {
        count("erased write");
        if (counts["erased write"] === 1) cm.callTriggerFunction(state.erased, "erase_vars");
      });
      state.block = add("BLOCK_BEGIN_CB", "blockbegin_wx", () => count("block"));
      state.again = add("BLOCK_BEGIN_CB", "blockbegin_wx", () => {
        count("erased block");
        cm.callTriggerFunction(state.again, "erase_vars");
      });
    `,
    `
      for (const name of [state.write, state.erased]) {
        range(name, at.buffer, at.buffer + 8192n);
        cm.setTriggerVar(name, "pgd", pgd);
      }
      for (const name of [state.block, state.again]) {
        range(name, at.loop, at.loop + 1n);
        cm.setTriggerVar(name, "pgd", pgd);
      }
    `,
    `for (const [name, number] of Object.entries(counts).toSorted()) print(name + " " + number);`,
  );
  checkTriggers(run);
  // The loop is entered in the middle of a block: 99 of its turns are blocks.
  assert.deepEqual(run.messages, ["block 1", "erased block 99", "erased write 3", "write 2"]);
});

test("the user-only triggers leave the kernel out: coverage, opcodes, instructions; TLB entries of one process", async () => {
  const log = join(mkdtempSync(join(tmpdir(), "rebox-coverage-")), "log");
  try {
    const run = await watchTriggers(
      `
        state.coverage = add("BLOCK_BEGIN_CB", "block_user_only_coverage", (_, __, tb) => {
          const page = "page " + (tb.pc >> 12n);
          count(page);
          if (counts[page] !== 1) count("page twice");
        });
        const opcodes = (name: string, startOpcode: number, endOpcode: number) => {
          const callback = (_: number, __: unknown, pc: bigint) => { if (isInside(pc)) count(name); };
          state[name] = add("OPCODE_RANGE_CB", "opcode_user_only", callback, { startOpcode, endOpcode });
        };
        opcodes("call", 0xe8, 0xe8);
        opcodes("ret", 0xc3, 0xc3);
        opcodes("jcc", 0x70, 0x7f);
        opcodes("syscall", 0x0f05, 0x0f05);
        state.user = add("INSN_BEGIN_CB", "user_only", (cpuIndex, cpu) => {
          if (isKernelRunning(cpuIndex)) count("kernel");
          else if (cpu.RIP >= at.begin && cpu.RIP < at.loop && getRunningProcess(cpuIndex) === pgd) count("user");
        });
        state.tlb = add("TLB_EXEC_CB", "tlb_to_cr3", () => {
          count("tlb");
          if (getRunningProcess() !== pgd) count("tlb foreign");
        });
        cm.addCallback("TLB_EXEC_CB", () => { if (pgd !== 0n && getRunningProcess() === pgd) count("tlb all"); });
      `,
      `
        for (const name of [state.coverage, state.call, state.ret, state.jcc, state.syscall, state.tlb]) {
          cm.setTriggerVar(name, "cr3", pgd);
        }
        cm.setTriggerVar(state.coverage, "log_name", ${JSON.stringify(log)});
        cm.setTriggerVar(state.coverage, "proc_num", 7);
      `,
      `
        for (const name of ["call", "ret", "jcc", "syscall", "kernel", "user", "tlb foreign", "page twice"]) {
          print(name + " " + (counts[name] ?? 0));
        }
        print("tlb " + (counts.tlb! > 0 && counts.tlb === counts["tlb all"]));
        print("error " + cm.getTriggerVar(state.coverage, "error"));
        cm.rmCallback(state.coverage);
        const log = readFile(${JSON.stringify(log)});
        const seen: Record<string, number> = {};
        for (let offset = 0; offset < log.length; offset += 16) {
          const pc = log.readBigUInt64LE(offset);
          for (const name of ["loop", "function", "target"] as const) {
            if (pc === at[name]) seen[name] = (seen[name] ?? 0) + 1;
          }
          if (pc >> 47n || log.readUInt32LE(offset + 8) === 0 || log.readUInt32LE(offset + 12) !== 7) print("bad record");
        }
        print(JSON.stringify(seen));
      `,
    );
    checkTriggers(run);
    assert.deepEqual(run.messages, [
      "call 1",
      "ret 1",
      "jcc 100",
      "syscall 0",
      "kernel 0",
      // 10 NOP and MOV
      "user 11",
      "tlb foreign 0",
      "page twice 0",
      "tlb true",
      "error undefined",
      '{"loop":99,"function":1,"target":1}',
    ]);
  } finally {
    rmSync(resolve(log, ".."), { recursive: true, force: true });
  }
});
