import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { runWithoutGuest } from "../kit/systems/guest-events-run";
import { runGuest } from "../kit/guests/guest-run";

const folder = mkdtempSync(join(tmpdir(), "rebox-trigger-exceptions-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function writeTrigger(name: string, source: string): string {
  const path = join(folder, `${name}.cc`);
  writeFileSync(path, `#include <stdexcept>\n#include "rebox_trigger.h"\nREBOX_TRIGGER_API_VERSION;\n${source}`);
  return JSON.stringify(path);
}

const CLEAN = `void clean(callback_handle_t handle) { erase_trigger_vars(handle); throw 3; }`;

test("a C++ exception out of a trigger ends the trigger alone, and is an error of its callback", async () => {
  const throws = writeTrigger(
    "throws",
    `callback_type_t get_type(void) { return CREATEPROC_CB; }
    int trigger(callback_handle_t handle, callback_params_t params) {
      switch (params.vmi_create_proc_params.pid) {
        case 1: return 1;
        case 2: throw std::runtime_error("no process 2");
        default: throw 7;
      }
    }
    static void fail(callback_handle_t) { throw std::out_of_range("too far"); }
    static void nested(callback_handle_t handle) {
      try { call_function(handle, "fail"); } catch (const std::out_of_range&) { set_var_uint64(handle, "caught", 1); }
    }
    void trigger_init(callback_handle_t handle) {
      declare_function(handle, "fail", fail);
      declare_function(handle, "nested", nested);
    }
    ${CLEAN}`,
  );
  const run = await runWithoutGuest(`
    const raise = (pid: number) => raiseProcessEvent("CREATEPROC_CB", { pid, pgd: 0n, name: "" });
    const attempt = (act: () => void) => { try { act(); } catch (error) { print(String(error)); } };
    Engine.get().on("callbackError", ({ error, count, removed }) =>
      print([error.message, count, removed, callbacks().errors].join(" | ")));
    const callbacks = () => listCallbacks().find((callback) => callback.name === "new")!;
    cm.addCallback("CREATEPROC_CB", (pid) => print("new " + pid), { name: "new" });
    cm.addCallback("CREATEPROC_CB", (pid) => print("other " + pid));
    cm.addTrigger("new", ${throws});
    attempt(() => cm.callTriggerFunction("new", "fail"));
    cm.callTriggerFunction("new", "nested");
    print("caught " + cm.getTriggerVar("new", "caught"));
    for (const pid of [1, 2, 3]) raise(pid);
    attempt(() => cm.rmTrigger("new"));
    cm.addTrigger("new", ${throws});
    raise(4);
    raise(5);
  `);
  assert.equal(run.status, 0, run.stderr);
  const lost = (what: string) => `its trigger has thrown ${what}, and was removed: nothing may leave a trigger`;
  assert.deepEqual(run.messages, [
    "TriggerError: the trigger of new has thrown a C++ exception, too far in its function fail",
    "caught 1",
    "new 1",
    "other 1",
    `${lost("a C++ exception, no process 2")} | 1 | false | 1`,
    "other 2",
    "new 3",
    "other 3",
    "TriggerError: the callback new has no trigger: add one with addTrigger()",
    `${lost("a C++ exception")} | 2 | false | 2`,
    "other 4",
    "new 5",
    "other 5",
  ]);
  assert.match(run.stderr, /callback new of .* failed: .*its trigger has thrown/);
});

test("a trigger that throws while it is loaded is refused with the reason", async () => {
  const getType = writeTrigger(
    "get_type",
    `callback_type_t get_type(void) { throw std::runtime_error("no type today"); }
    int trigger(callback_handle_t, callback_params_t) { return 1; }
    ${CLEAN}`,
  );
  const init = writeTrigger(
    "init",
    `callback_type_t get_type(void) { return CREATEPROC_CB; }
    int trigger(callback_handle_t, callback_params_t) { return 1; }
    void trigger_init(callback_handle_t) { throw std::runtime_error("no start"); }
    ${CLEAN}`,
  );
  const run = await runWithoutGuest(`
    cm.addCallback("CREATEPROC_CB", (pid) => print("called"), { name: "new" });
    for (const path of [${getType}, ${init}]) {
      try { cm.addTrigger("new", path); } catch (error) {
        print(/trigger of new: (.*)/.exec((error as Error).message)![1]!);
      }
    }
    raiseProcessEvent("CREATEPROC_CB", SHELL);
  `);
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, [
    "its get_type() has thrown a C++ exception, no type today",
    "its trigger_init() has thrown a C++ exception, no start",
    "called",
  ]);
});

test("the guest goes on after an exception in a trigger on its blocks", async () => {
  const blocks = writeTrigger(
    "blocks",
    `callback_type_t get_type(void) { return BLOCK_BEGIN_CB; }
    static int count;
    int trigger(callback_handle_t, callback_params_t) {
      if (++count == 1000) throw std::runtime_error("a thousand");
      return 0;
    }
    ${CLEAN}`,
  );
  const run = await runGuest({
    task: "poweroff",
    script: () => `
      import { CallbackManager, Engine } from "rebox";
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        Engine.get().on("callbackError", ({ error }) => print(error.message));
        const name = cm.addCallback("BLOCK_BEGIN_CB", () => print("called"));
        cm.addTrigger(name, ${blocks});
      }
      export function clean(): void { cm.clean(); }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.cause, "guest-shutdown");
  assert.deepEqual(run.messages, [
    "its trigger has thrown a C++ exception, a thousand, and was removed: nothing may leave a trigger",
  ]);
});
