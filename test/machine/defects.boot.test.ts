import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runGuest } from "../kit/guests/guest-run";
import { checkTwins, FIRST, SECOND, watchTwins } from "../kit/guests/twin-run";

// Defects of tools of this kind, by the number that the project's list gives them: none may be here.

test("a read or a write that meets an unmapped page is an error and never shorter, shifted or ignored", async () => {
  const run = await watchTwins(
    "fork",
    1,
    `
      const [pgd] = pgds;
      // The last mapped page of the program's data: its size is not known, its end is.
      let end = at.count & ~0xfffn;
      while (findPa(pgd!, end) !== undefined) end += 4096n;
      const last = readVa(pgd!, end - 16n, 16);
      const attempt = (act: () => unknown) => {
        try {
          act();
          print("no error");
        } catch (error) {
          print((error as Error).name + " " + (error as Error).message.includes("0x" + end.toString(16)));
        }
      };
      attempt(() => readVa(pgd!, end - 16n, 32));
      attempt(() => readVa(pgd!, end - 16n, 3 * 4096));
      attempt(() => readVa(pgd!, end, 1));
      attempt(() => writeVa(pgd!, end - 16n, Buffer.concat([last, Buffer.alloc(16)])));
      print("the same " + readVa(pgd!, end - 16n, 16).equals(last));
      // Across a page border where both are mapped: the halves are where they belong.
      const border = at.count & ~0xfffn;
      if (findPa(pgd!, border - 1n) !== undefined) {
        const whole = readVa(pgd!, border - 64n, 128);
        print("joined " + whole.equals(Buffer.concat([readVa(pgd!, border - 64n, 64), readVa(pgd!, border, 64)])));
      } else print("joined true");
    `,
    "",
  );
  checkTwins(run);
  assert.deepEqual(run.messages, [
    ...Array.from({ length: 4 }, () => "MemoryError true"),
    "the same true",
    "joined true",
  ]);
});

test("register names match exactly; a segment's base is its base; unknown names are errors", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-defects-"));
  try {
    const trigger = join(folder, "registers.c");
    writeFileSync(
      trigger,
      `
        #include "rebox_trigger.h"
        REBOX_TRIGGER_API_VERSION;
        callback_type_t get_type(void) { return CONTEXTCHANGE_CB; }
        int trigger(callback_handle_t handle, callback_params_t params) {
          pyrebox_target_ulong value = 7;
          uint64_t wrong = 0;
          (void)params;
          wrong |= read_register_convert(get_qemu_cpu(0), RN_LAST, &value) != -1 ? 1 : 0;
          wrong |= read_register_convert(get_qemu_cpu(0), (register_num_t)-1, &value) != -1 ? 2 : 0;
          wrong |= read_register_convert(NULL, RN_EAX, &value) != -1 ? 4 : 0;
          wrong |= write_register_convert(get_qemu_cpu(0), RN_LAST, 0) != -1 ? 8 : 0;
          wrong |= get_qemu_cpu(99) != NULL ? 16 : 0;
          wrong |= read_register_convert(get_qemu_cpu(0), RN_CR3, &value) != 0 || value == 7 ? 32 : 0;
          set_var_uint64(handle, "wrong", wrong);
          return 1;
        }
        void clean(callback_handle_t handle) { erase_trigger_vars(handle); }
      `,
    );
    const run = await runGuest({
      task: "idle",
      script: () => `
        import { CallbackManager, Engine, readCpu, writeRegister, writeSegmentRegister } from "rebox";
        let cm: CallbackManager;
        export function initialize_callbacks(handle: number, print: (text: string) => void): void {
          cm = new CallbackManager(handle);
          const name = cm.addCallback("CONTEXTCHANGE_CB", () => {
            cm.rmCallback(name);
          });
          const other = cm.addCallback("CONTEXTCHANGE_CB", () => {
            print("wrong " + cm.getTriggerVar(other, "wrong"));
            cm.rmCallback(other);
            const cpu = readCpu(0);
            for (const unknown of ["R1", "RA", "AX ", "rax", "EAXX", "CR", "CR1", "XMM", "constructor", "__proto__", ""]) {
              try {
                writeRegister(0, unknown as "RAX", 1n);
                print("written: " + unknown);
              } catch (error) {
                if (!(error as Error).message.includes("there is no register " + unknown)) print((error as Error).message);
              }
            }
            // R8 is not R8's neighbours, and RAX not EAX.
            const before = { r8: cpu.R8, r9: cpu.R9, rax: cpu.RAX, rbx: cpu.RBX };
            cpu.R8 = 0x1122334455667788n;
            print("R8 alone " + (cpu.R8 === 0x1122334455667788n && cpu.R9 === before.r9 && cpu.RAX === before.rax));
            cpu.R8 = before.r8;
            const gs = { selector: Number(cpu.GS), base: cpu.GS_BASE, limit: Number(cpu.GS_LIMIT), flags: Number(cpu.GS_FLAGS) };
            writeSegmentRegister(0, "GS", 0x2b, 0x123456789000n, 0xfffff, 0x00cff300);
            print([cpu.GS, cpu.GS_BASE, cpu.GS_LIMIT, cpu.GS_FLAGS].map((value) => value.toString(16)).join(" "));
            writeSegmentRegister(0, "GS", gs.selector, gs.base, gs.limit, gs.flags);
            void Engine.get().quit();
          });
          cm.addTrigger(other, ${JSON.stringify(trigger)});
        }
        export const clean = (): void => cm.clean();
      `,
    });
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.stderr, "");
    assert.deepEqual(run.messages, ["wrong 0", "R8 alone true", "2b 123456789000 fffff cff300"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("clean() removes every callback of its manager, whatever their number and order, and no other's", async () => {
  const run = await runGuest({
    task: "busy",
    script: () => `
      import { CallbackManager, Engine, listCallbacks } from "rebox";
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        const managers = [0, 1, 2].map(() => new CallbackManager(handle));
        const calls = [0, 0, 0];
        // Mixed: neighbours in the list belong to different managers.
        for (let number = 0; number < 30; number++) {
          const owner = number % 3;
          managers[owner]!.addCallback("CONTEXTCHANGE_CB", () => void calls[owner]!++);
          managers[owner]!.addCallback("TLB_EXEC_CB", () => {});
          managers[owner]!.addCallback("INSN_BEGIN_CB", () => {}, { addr: BigInt(0x1000 + number) });
        }
        let changes = 0;
        const name = cm.addCallback("CONTEXTCHANGE_CB", () => {
          if (++changes === 10) managers[1]!.clean();
          if (changes < 20) return;
          cm.rmCallback(name);
          print("calls " + calls.join() + " left " + listCallbacks().length);
          managers[0]!.clean();
          managers[2]!.clean();
          managers[2]!.clean();
          print("left " + listCallbacks().length);
          void Engine.get().quit();
        });
      }
      export const clean = (): void => cm.clean();
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  // The managers' callbacks come first: 10 each for 20 changes, and for the second one for 10.
  assert.deepEqual(run.messages, ["calls 200,100,200 left 60", "left 0"]);
});

test("one trigger on two processes at once tells them apart, and its integers come back as such", async () => {
  const run = await watchTwins(
    "fork",
    1,
    `
      const names = pgds.map((pgd, side) => {
        const name = cm.addCallback("INSN_BEGIN_CB", (cpuIndex) => {
          count("side " + side);
          if (getRunningProcess(cpuIndex) !== pgd) count("foreign");
        });
        cm.addTrigger(name, "triggers/trigger_bp_memrange");
        cm.setTriggerVar(name, "begin", at.work);
        cm.setTriggerVar(name, "end", at.work + 1n);
        cm.setTriggerVar(name, "pgd", pgd);
        return name;
      });
      print("read back " + names.every((name, side) => cm.getTriggerVar(name, "pgd") === pgds[side] &&
        cm.getTriggerVar(name, "pgd") === pgds[side] && cm.getTriggerVar(name, "begin") === at.work));
    `,
    `print([counts["side 0"], counts["side 1"]].toSorted().join() + " foreign " + (counts.foreign ?? 0));`,
  );
  checkTwins(run);
  assert.deepEqual(run.messages, ["read back true", `${FIRST},${SECOND} foreign 0`]);
});

test("text from a guest is neither a format nor a command for the terminal", async () => {
  const hostile = "%n%s%x %1000000d \u001b]0;title\u0007\u001b[2J\u001bc\u009b31m\b\b\r\u0000end";
  const run = await runGuest({
    task: "idle",
    script: () => `
      import { CallbackManager, Engine } from "rebox";
      const hostile = ${JSON.stringify(hostile)};
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        const cm = new CallbackManager(handle);
        print(hostile);
        let calls = 0;
        cm.addCallback("CONTEXTCHANGE_CB", () => {
          if (++calls > 1) return;
          print("%s " + hostile);
          setTimeout(() => void Engine.get().quit(), 100);
          throw new Error(hostile);
        }, { name: hostile });
      }
      export const clean = (): void => {};
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  // What programs read is what was printed; what a terminal shows has no control character but line ends.
  assert.deepEqual(run.messages, [hostile, `%s ${hostile}`]);
  for (const shown of [run.stdout, run.stderr]) {
    // eslint-disable-next-line no-control-regex -- finding control characters is the purpose
    assert.doesNotMatch(shown, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
    assert.ok(shown.includes("%n%s%x %1000000d"), shown);
  }
});

test("a process is one pgd, also when bits of CR3 differ that do not tell processes apart", async () => {
  const run = await watchTwins(
    "fork",
    1,
    `
      let same = 0, wrong = 0;
      cm.addCallback("CONTEXTCHANGE_CB", (oldPgd, newPgd, cpuIndex) => {
        if (oldPgd === newPgd) same++;
        if ((newPgd & 0xfffn) !== 0n || getRunningProcess(cpuIndex) !== newPgd) wrong++;
      });
      const [pgd] = pgds;
      startMonitoringProcess(pgd!);
      // Bits 3 and 4 say how the processor caches the table itself. QEMU's TCG has no process-context identifiers.
      cm.addCallback("INSN_BEGIN_CB", (cpuIndex, cpu) => {
        if (count("turns"), counts.turns! % 50 !== 0) return;
        cpu.CR3 ^= 0x18n;
        if (getRunningProcess(cpuIndex) !== pgd || (cpu.CR3 & ~0x1fffn) !== (pgd! & ~0x1fffn)) wrong++;
      }, { addr: at.work, pgd: pgd! });
      cm.addCallback("MEM_WRITE_CB", (cpuIndex, vaddr) => {
        if (vaddr === at.count && getRunningProcess(cpuIndex) === pgd && readCpu(cpuIndex).RIP === at.add) count("writes");
      });
    `,
    `print("same " + same + " wrong " + wrong + " " + (counts.turns === counts.writes && counts.turns! >= ${FIRST}));`,
  );
  checkTwins(run);
  assert.deepEqual(run.messages, ["same 0 wrong 0 true"]);
});

test("what a callback throws is reported also when it has removed itself", async () => {
  const run = await runGuest({
    task: "poweroff",
    script: () => `
        import { CallbackManager } from "rebox";
        let cm: CallbackManager;
        export function initialize_callbacks(handle: number): void {
          cm = new CallbackManager(handle);
          const name = cm.addCallback("CONTEXTCHANGE_CB", () => {
            cm.rmCallback(name);
            throw new Error("on purpose");
          });
        }
        export const clean = (): void => cm.clean();
      `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.match(run.stderr, /on purpose/);
});
