import assert from "node:assert/strict";
import { test } from "node:test";
import { checkTriggers, watchTriggers } from "../kit/guests/trigger-run";

test("variables go both ways, and two callbacks with one trigger share nothing", async () => {
  const run = await watchTriggers(
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
      cm.setTriggerVar(state.two, "var1", Uint8Array.of(1, 0, 3));
      cm.setTriggerVar(state.two, "var2", -1);
      cm.setTriggerVar(state.two, "var3", "");
      print((cm.getTriggerVar(state.two, "var1") as Uint8Array).join() + " " +
        (cm.getTriggerVar(state.two, "var2") === 0xffffffffffffffffn) + " '" + cm.getTriggerVar(state.two, "var3") + "'");
      for (const name of ["evry", "zzzzzzzzz"]) {
        try {
          cm.setTriggerVar(state.template, name, 3n);
          print("accepted " + name);
        } catch (error) {
          print((error as Error).message.replace(/^the trigger of \\S+|\\(.*/g, ""));
        }
      }
    `,
  );
  checkTriggers(run);
  assert.equal(run.messages[0], "two: 3");
  assert.match(run.messages[1]!, /^één: 99 99 792$/);
  // Which blocks is not said: an interrupt's are the process' too.
  assert.equal(run.messages[2], "addresses 99");
  assert.deepEqual(run.messages.slice(3), [
    ...["template 10 100", "template 0 undefined", "1,0,3 true ''"],
    ' has no variable "evry"; did you mean every? ',
    ' has no variable "zzzzzzzzz" ',
  ]);
});
