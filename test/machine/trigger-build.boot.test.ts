import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runWithoutGuest, TRIGGER } from "../kit/guests/trigger-alone";
import { PROJECT } from "../kit/project";

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

test("a trigger that is gone answers with a reason, not with silence", async () => {
  const lines = await runWithoutGuest(
    {},
    `
      const { native } = Engine.get() as any;
      cm.addCallback("INSN_BEGIN_CB", () => {}, { name: "insn" });
      print(native.setTriggerVar(1, "x", 1n));
      print(native.callTriggerFunction(1, "f"));
      print(native.setTriggerVar(999, "x", 1n));
    `,
  );
  assert.equal(lines.length, 3);
  for (const line of lines) assert.match(line, /^is not there any more: it was removed, or its callback was$/);
});
