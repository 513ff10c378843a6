import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { type GuestRun, runGuest, runRebox, scriptPrelude } from "./guest-run";

const PROJECT = resolve(__dirname, "../../../..");

/**
 * Runs native/guest/programs/exact.c with triggers: `onReady` attaches them, `onBegin` sets their variables when the
 * sequence begins (`pgd` is its process, which is not monitored), and `onEnd` prints what was seen.
 */
function watchSequence(onReady: string, onBegin: string, onEnd: string): Promise<GuestRun> {
  return runGuest({
    task: "exact",
    script: (serial) => `
      import { CallbackManager, Engine, findPa, getRunningProcess, isKernelRunning, readVa, writeRegister,
               writeVa } from "rebox";
      import { readFileSync as readFile } from "node:fs";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      let at: Record<"begin" | "loop" | "function" | "target" | "end" | "poll" | "buffer" | "go", bigint>;
      let pgd = 0n;
      const counts: Record<string, number> = {};
      const count = (name: string) => void (counts[name] = (counts[name] ?? 0) + 1);
      // Another program may have something else at the same addresses.
      const isOurs = (cpuIndex: number) => {
        try {
          return readVa(getRunningProcess(cpuIndex), at.begin, 10).every((byte) => byte === 0x90);
        } catch {
          return false;
        }
      };
      const isInside = (pc: bigint) => (pc >= at.begin && pc < at.end) || pc === at.function;
      // A callback with a shipped trigger; returns its name.
      const add = (type: any, trigger: string, callback: (...args: any[]) => void, options = {}): string => {
        const name = cm.addCallback(type, callback, options);
        cm.addTrigger(name, "triggers/trigger_" + trigger);
        return name;
      };
      const range = (name: string, begin: bigint, end: bigint) => {
        cm.setTriggerVar(name, "begin", begin);
        cm.setTriggerVar(name, "end", end);
      };
      const state: Record<string, any> = {};
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        void untilTruth("exact.ready").then(async (truth) => {
          at = Object.fromEntries([...truth].filter(([key]) => key.startsWith("exact."))
            .map(([key, value]) => [key.slice(6), BigInt(value)])) as typeof at;
          cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex) => {
            if (!isOurs(cpuIndex)) return;
            pgd = getRunningProcess(cpuIndex);
            ${onBegin}
          }, { addr: at.begin });
          cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex) => {
            if (!isOurs(cpuIndex)) return;
            ${onEnd}
          }, { addr: at.end });
          ${onReady}
          const poll = cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex) => {
            if (!isOurs(cpuIndex)) return;
            const one = Buffer.alloc(8, 0);
            one[0] = 1;
            writeVa(getRunningProcess(cpuIndex), at.go, one);
            cm.rmCallback(poll);
          }, { addr: at.poll });
        });
      }
      export function clean(): void {
        cm.clean();
      }
    `,
  });
}

function checkRun(run: GuestRun): void {
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  assert.equal(run.truth.get("exact.added"), "1");
}

// Between exact_begin and exact_end: 10 NOP, MOV, 100 x (DEC, JNZ), 14 instructions up to POP, LEA, MOV, MOV, REP STOSB
// (counted apart: it may be begun anew for each of its 7 turns), CALL, LEA, JMP, XOR, CPUID, XOR, CPUID, MOV, SYSCALL.
// exact_function, a RET, lies behind exact_end.
const IN_RANGE = 10 + 1 + 200 + 14 + 3 + 1 + 2 + 6;

test("the memory range triggers pass exactly the instructions, reads and writes of their range, unmonitored", async () => {
  const run = await watchSequence(
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
  checkRun(run);
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
  const run = await watchSequence(
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
  checkRun(run);
  // The loop is entered in the middle of a block: 99 of its turns are blocks.
  assert.deepEqual(run.messages, ["block 1", "erased block 99", "erased write 3", "write 2"]);
});

test("the user-only triggers leave the kernel out: coverage, opcodes, instructions; TLB entries of one process", async () => {
  const log = join(mkdtempSync(join(tmpdir(), "rebox-coverage-")), "log");
  try {
    const run = await watchSequence(
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
    checkRun(run);
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

test("variables go both ways, and two callbacks with one trigger share nothing", async () => {
  const run = await watchSequence(
    `
      state.one = add("BLOCK_BEGIN_CB", "getset_var_example", () => {
        const list = cm.getTriggerVar(state.one, "list0") as Uint8Array;
        print(cm.getTriggerVar(state.one, "text0") + " " + cm.getTriggerVar(state.one, "count0") + " " + list.length);
        const pcs = new BigUint64Array(list.buffer);
        print("addresses " + pcs.filter((pc) => pc !== 0n).length);
      });
      state.two = add("BLOCK_BEGIN_CB", "getset_var_example", () => print(String(cm.getTriggerVar(state.two, "text0"))));
      // The template on the loop's first instruction: every 10th turn of 100.
      const counted = () => getRunningProcess() === pgd && count("template");
      state.template = add("INSN_BEGIN_CB", "template", counted, { addr: at.loop });
      cm.setTriggerVar(state.template, "every", 10n);
    `,
    `
      cm.callTriggerFunction(state.template, "reset");
      for (const [name, number, text] of [[state.one, 99, "één"], [state.two, 3, "two"]] as const) {
        cm.setTriggerVar(name, "var1", number);
        cm.setTriggerVar(name, "var2", text);
        cm.setTriggerVar(name, "var3", pgd);
      }
    `,
    `
      print("template " + counts.template + " " + cm.getTriggerVar(state.template, "count"));
      cm.callTriggerFunction(state.template, "reset");
      print("template " + cm.getTriggerVar(state.template, "count") + " " + cm.getTriggerVar(state.template, "none"));
      cm.setTriggerVar(state.template, "bytes", Uint8Array.of(1, 0, 3));
      cm.setTriggerVar(state.template, "minus", -1);
      cm.setTriggerVar(state.template, "empty", "");
      print((cm.getTriggerVar(state.template, "bytes") as Uint8Array).join() + " " +
        (cm.getTriggerVar(state.template, "minus") === 0xffffffffffffffffn) + " '" + cm.getTriggerVar(state.template, "empty") + "'");
    `,
  );
  checkRun(run);
  assert.equal(run.messages[0], "two: 3");
  assert.match(run.messages[1]!, /^één: 99 99 792$/);
  // Which blocks is not said: an interrupt's are the process' too.
  assert.equal(run.messages[2], "addresses 99");
  assert.deepEqual(run.messages.slice(3), ["template 10 100", "template 0 undefined", "1,0,3 true ''"]);
});

test("branches are traced by kind, a moved stack is found, code beside the stack is found", async () => {
  const run = await watchSequence(
    `
      const all = { startOpcode: 0x9a, endOpcode: 0xff };
      state.tracer = add("OPCODE_RANGE_CB", "jmp_call_ret_tracer", (_, __, pc) => {
        if (isInside(pc)) count("traced " + (cm.getTriggerVar(state.tracer, "opcode") as bigint).toString(16));
      }, all);
      state.direct = add("OPCODE_RANGE_CB", "jmp_call_ret_tracer", (_, __, pc) => {
        if (isInside(pc)) count("direct " + (cm.getTriggerVar(state.direct, "opcode") as bigint).toString(16));
      }, all);
      state.shadow = add("OPCODE_RANGE_CB", "shadow_stack", (_, __, pc) => { if (isInside(pc)) count("shadow"); }, all);
      state.shift = add("BLOCK_END_CB", "block_end_stack_shift", (_, __, tb, pc) => { if (isInside(pc)) count("shift"); });
      state.beside = add("BLOCK_BEGIN_CB", "block_begin_shellcode_detect", (_, __, tb) => {
        count(tb.pc === at.loop ? "beside in the loop" : tb.pc === at.begin ? "beside before" : "beside");
      });
      // The program's stack goes to its own buffer in the loop's second turn, which is the first to be a block.
      let turn = 0;
      const move = cm.addCallback("INSN_BEGIN_CB", (cpuIndex, cpu) => {
        if (!isOurs(cpuIndex) || ++turn === 1) return;
        state.stack = cpu.RSP;
        writeRegister(cpuIndex, "RSP", at.buffer + 7936n);
        cm.rmCallback(move);
      }, { addr: at.loop });
    `,
    `
      for (const name of [state.tracer, state.direct, state.shadow, state.shift, state.beside]) {
        cm.setTriggerVar(name, "pgd", pgd);
      }
      cm.setTriggerVar(state.tracer, "enable_ff_jmp", 1);
      cm.setTriggerVar(state.shift, "shift", 0x1000);
      cm.setTriggerVar(state.shift, "skip_context_change", 1);
      cm.setTriggerVar(state.beside, "shift", at.buffer + 8192n - at.begin);
    `,
    `
      writeRegister(0, "RSP", state.stack);
      delete counts.beside;
      for (const [name, number] of Object.entries(counts).toSorted()) print(name + " " + number);
    `,
  );
  checkRun(run);
  assert.deepEqual(run.messages, [
    "beside in the loop 98",
    "direct c3 1",
    "direct e8 1",
    "shift 1",
    "traced c3 1",
    "traced e8 1",
    "traced ff 1",
  ]);
});

test("the shadow stack finds the return whose address was overwritten", async () => {
  const run = await watchSequence(
    `
      const all = { startOpcode: 0x9a, endOpcode: 0xff };
      for (const kind of ["stack", "set"]) {
        state[kind] = add("OPCODE_RANGE_CB", "shadow_stack", (_, cpu, pc) => {
          if (isInside(pc)) print(kind + " " + (pc === at.function) + " " + (cpu.RIP === at.target));
        }, all);
      }
      cm.addCallback("INSN_BEGIN_CB", (cpuIndex, cpu) => {
        const bytes = Buffer.alloc(8);
        bytes.writeBigUInt64LE(at.target);
        if (isOurs(cpuIndex)) writeVa(pgd, cpu.RSP, bytes);
      }, { addr: at.function });
    `,
    `
      cm.setTriggerVar(state.stack, "pgd", pgd);
      cm.setTriggerVar(state.set, "pgd", pgd);
      cm.setTriggerVar(state.set, "thread_independent", 1);
    `,
    "",
  );
  checkRun(run);
  assert.deepEqual(run.messages, ["stack true true", "set true true"]);
});

test("hooks, contexts and key codes have triggers too; a trigger may be added and removed where it decides", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-triggers-"));
  try {
    const own = (name: string, type: string, condition: string) =>
      writeFileSync(
        join(folder, `${name}.c`),
        TRIGGER.replace("INSN_BEGIN_CB", type).replace("return 1;", `return ${condition};`),
      );
    own("block", "OP_BLOCK_BEGIN_CB", "get_tb_addr(params.block_begin_params.tb) == get_cpu_addr(get_qemu_cpu(0))");
    own("context", "CONTEXTCHANGE_CB", "params.vmi_context_change_params.new_pgd == get_running_process(0)");
    own("insn", "INSN_END_CB", "1");
    own("key", "KEYSTROKE_CB", "params.keystroke_params.keycode == 0xf0");
    own("never", "CONTEXTCHANGE_CB", "0");
    const run = await watchSequence(
      `
        const attach = (name: string, file: string) => cm.addTrigger(name, ${JSON.stringify(folder)} + "/" + file);
        // Compiled before the guest stands still for it.
        attach(cm.addCallback("INSN_END_CB", () => {}, { name: "first" }), "insn");
        cm.rmCallback("first");
        const blocks = () => getRunningProcess() === pgd && count("block");
        attach(cm.addCallback("BLOCK_BEGIN_CB", blocks, { addr: at.function }), "block.c");
        const changed = (_: bigint, to: bigint) => {
          count(to === getRunningProcess() ? "context" : "strange");
          // To the shell, when the program has ended.
          if (state.ended && counts.context === 1) print("context, strange " + (counts.strange ?? 0));
          if (!state.ended) counts.context = 0;
        };
        attach(cm.addCallback("CONTEXTCHANGE_CB", changed), "context");
        attach(cm.addCallback("CONTEXTCHANGE_CB", () => count("never")), "never");
        attach(cm.addCallback("KEYSTROKE_CB", (code) => count("key " + code)), "key");
        const ended = cm.addCallback("INSN_END_CB", () => {
          if (pgd === 0n || getRunningProcess() !== pgd) return;
          count("ended");
          if (counts.ended === 10) cm.rmTrigger(ended);
        });
        const begin = cm.addCallback("INSN_BEGIN_CB", (cpuIndex) => {
          if (!isOurs(cpuIndex)) return;
          attach(ended, "insn");
          cm.rmCallback(begin);
        }, { addr: at.begin });
        const press = (down: boolean) => Engine.get().qmp("input-send-event",
          { events: [{ type: "key", data: { down, key: { type: "qcode", data: "a" } } }] });
        await press(true);
        await press(false);
        while (!counts["key 240"]) await new Promise((done) => setTimeout(done, 20));
      `,
      ``,
      `
        for (const name of ["block", "never", "ended"]) print(name + " " + (counts[name] ?? 0));
        print("keys " + Object.keys(counts).filter((name) => name.startsWith("key")).join());
        state.ended = true;
      `,
    );
    checkRun(run);
    // The keyboard's own codes: A is 0x1c, and 0xf0 0x1c when it is released.
    assert.deepEqual(run.messages, ["block 1", "never 0", "ended 10", "keys key 240", "context, strange 0"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

const TRIGGER = `
  #include "rebox_trigger.h"
  REBOX_TRIGGER_API_VERSION;
  callback_type_t get_type(void) { return INSN_BEGIN_CB; }
  int trigger(callback_handle_t handle, callback_params_t params) { return 1; }
  void clean(callback_handle_t handle) {}
`;

/** Runs a script on a machine without a vCPU, which has nothing to execute: what is refused is refused before that. */
async function runWithoutGuest(files: Record<string, string>, body: string): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-triggers-"));
  const temporary = join(folder, "temporary");
  try {
    mkdirSync(temporary);
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(folder, name), text);
    }
    writeFileSync(
      join(folder, "script.ts"),
      `
        import * as fs from "node:fs";
        import { CallbackManager, Engine } from "rebox";
        export function initialize_callbacks(handle: number, print: (text: string) => void): void {
          const cm = new CallbackManager(handle);
          const folder = ${JSON.stringify(folder)};
          const attempt = (act: () => void) => {
            try {
              act();
              print("done");
            } catch (error) {
              print((error as Error).name + ": " + (error as Error).message.replaceAll(folder, "."));
            }
          };
          ${body}
          setTimeout(() => void Engine.get().quit(), 0);
        }
        export function clean(): void {}
      `,
    );
    const run = await runRebox(
      [
        ...["run", "--trust", "--json", join(folder, "log.json"), "--script", join(folder, "script.ts")],
        ...["--", "-machine", "none", "-display", "none", "-monitor", "none"],
      ],
      60_000,
      undefined,
      { TMPDIR: temporary },
    );
    assert.equal(run.status, 0, run.stderr);
    const left = readdirSync(temporary).filter((name) => name.startsWith("rebox-trigger-"));
    assert.deepEqual(left, [], "no copy of a trigger is left behind");
    return readFileSync(join(folder, "log.json"), "utf8")
      .split("\n")
      .filter((line) => line.includes('"message"'))
      .map((line) => (JSON.parse(line) as { text: string }).text);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("a trigger that does not fit is refused with the reason, and the callback stays as it was", async () => {
  const lines = await runWithoutGuest(
    {
      "good.c": TRIGGER,
      "type.c": TRIGGER.replace("INSN_BEGIN_CB", "CREATEPROC_CB"),
      "missing.cc": TRIGGER.replace("void clean", "static void clean_up").replace('#include "rebox_trigger.h"', "$&"),
      "version.c": TRIGGER.replace("REBOX_TRIGGER_API_VERSION;", ""),
      "old.c": TRIGGER.replace("REBOX_TRIGGER_API_VERSION;", "const uint32_t rebox_trigger_api_version = 0x10001;"),
      "broken.c": "int trigger(void) { return nothing; }",
      "unresolved.c": TRIGGER.replace("return 1;", "int nobody(void); return nobody();"),
      "text.so": "no library",
    },
    `
      const name = cm.addCallback("INSN_BEGIN_CB", () => {}, { name: "insn" });
      const hook = cm.addCallback("INSN_BEGIN_CB", () => {}, { name: "hook", addr: 1n });
      attempt(() => cm.addTrigger("nobody", folder + "/good.c"));
      for (const file of ["type.c", "missing.cc", "version.c", "old.c", "unresolved.c", "text.so", "absent.c",
                          "good-i386-softmmu.so", "broken.c"]) {
        attempt(() => cm.addTrigger(name, folder + "/" + file));
      }
      attempt(() => cm.addTrigger(hook, folder + "/good.c"));
      attempt(() => cm.setTriggerVar(name, "x", 1));
      attempt(() => cm.rmTrigger(name));
      attempt(() => cm.addTrigger(name, folder + "/good"));
      attempt(() => cm.addTrigger(name, folder + "/good"));
      attempt(() => cm.setTriggerVar(name, "x", 1.5));
      attempt(() => cm.setTriggerVar(name, "x", "a\\0b"));
      attempt(() => cm.callTriggerFunction(name, "f"));
      attempt(() => cm.rmTrigger(name));
      attempt(() => cm.addTrigger(name, folder + "/good-x86_64-softmmu.so"));
    `,
  );
  const expected = [
    /^RangeError: there is no callback nobody here: insn, hook/,
    /type-x86_64-softmmu.so cannot be the trigger of insn: it is a trigger for CREATEPROC_CB, and this is a callback of type INSN_BEGIN_CB/,
    /missing-x86_64-softmmu.so .*: it has no function clean\(\)/,
    /version-x86_64-softmmu.so .*: it does not say which trigger API .* REBOX_TRIGGER_API_VERSION;/,
    /old-x86_64-softmmu.so .*: it was compiled for trigger API 1\.1, and this is 1\.\d+: compile it anew/,
    /unresolved-x86_64-softmmu.so .*: undefined symbol: nobody/,
    /text.so .*invalid ELF header|text.so .*file too short/,
    /^TriggerError: there is no trigger .\/absent.c/,
    /^TriggerError: .\/good-i386-softmmu.so is named for the target i386; .* x86_64, which runs 32-bit guests too/,
    /^TriggerError: .\/broken.c does not compile:\n[^]*broken.c:1:.*nothing/,
    /good-x86_64-softmmu.so .*: it is a trigger for INSN_BEGIN_CB, .* OP_INSN_BEGIN_CB \(INSN_BEGIN_CB with addr\)/,
    /^TriggerError: the callback insn has no trigger/,
    /^TriggerError: the callback insn has no trigger/,
    /^done$/,
    /^TriggerError: the callback insn has a trigger already/,
    /^TypeError: the variable x cannot be 1.5/,
    /^TypeError: the variable x cannot hold a string with a zero/,
    /^TriggerError: the trigger of insn has declared no function f: it has none at all/,
    /^done$/,
    /^done$/,
  ];
  assert.equal(lines.length, expected.length, lines.join("\n"));
  expected.forEach((pattern, index) => assert.match(lines[index]!, pattern));
});

test("clean is called once, when the trigger or its callback is removed; a changed source is compiled anew", async () => {
  const counting = (text: string) =>
    TRIGGER.replace("void clean(callback_handle_t handle) {}", "").replace(
      "REBOX_TRIGGER_API_VERSION;",
      `
      REBOX_TRIGGER_API_VERSION;
      #include <stdio.h>
      static int cleaned;
      void trigger_init(callback_handle_t handle) {
        set_var_string(handle, "text", "${text}");
        set_var(handle, "pointer", NULL);
      }
      void clean(callback_handle_t handle) {
        FILE *file = fopen(get_var_string(handle, "log"), "a");
        fprintf(file, "%s %d\\n", get_var_string(handle, "name"), ++cleaned);
        fclose(file);
      }
    `,
    );
  const lines = await runWithoutGuest(
    { "counting.c": counting("old"), "newer.c": counting("new") },
    `
      const names = ["a", "b", "c"].map((name) => {
        const callback = cm.addCallback("INSN_BEGIN_CB", () => {}, { name });
        cm.addTrigger(callback, folder + "/counting");
        cm.setTriggerVar(callback, "log", folder + "/log");
        cm.setTriggerVar(callback, "name", name);
        return callback;
      });
      print(cm.getTriggerVar("a", "text") + " " + cm.getTriggerVar("a", "pointer"));
      cm.rmTrigger("a");
      cm.rmCallback("a");
      cm.rmCallback("b");
      fs.copyFileSync(folder + "/newer.c", folder + "/counting.c");
      fs.utimesSync(folder + "/counting.c", Date.now() / 1000 + 10, Date.now() / 1000 + 10);
      cm.addCallback("INSN_BEGIN_CB", () => {}, { name: "d" });
      cm.addTrigger("d", folder + "/counting-x86_64-softmmu.so");
      print(cm.getTriggerVar("d", "text") + " beside " + cm.getTriggerVar("c", "text"));
      cm.setTriggerVar("d", "log", folder + "/log");
      cm.setTriggerVar("d", "name", "d");
      cm.clean();
      print(fs.readFileSync(folder + "/log", "utf8").trim().split("\\n").join(", "));
    `,
  );
  assert.deepEqual(lines, ["old 0", "new beside old", "a 1, b 1, c 1, d 1"]);
});

test("make compiles a trigger, and explains that there is no i386", () => {
  const make = (target: string) => spawnSync("make", ["-B", target], { cwd: PROJECT, encoding: "utf8" });
  const built = make("triggers/trigger_template-x86_64-softmmu.so");
  assert.equal(built.status, 0, built.stderr);
  assert.ok(existsSync(join(PROJECT, "triggers/trigger_template-x86_64-softmmu.so")));
  const refused = make("triggers/trigger_template-i386-softmmu.so");
  assert.notEqual(refused.status, 0);
  assert.match(refused.stderr, /x86_64, which runs 32-bit guests too/);
});
