import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { TRIGGER } from "../kit/guests/trigger-alone";
import { checkTriggers, watchTriggers } from "../kit/guests/trigger-run";

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
    const run = await watchTriggers(
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
    checkTriggers(run);
    // The keyboard's own codes: A is 0x1c, and 0xf0 0x1c when it is released.
    assert.deepEqual(run.messages, ["block 1", "never 0", "ended 10", "keys key 240", "context, strange 0"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
