import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { runGuest } from "../kit/guests/guest-run";

const folder = mkdtempSync(join(tmpdir(), "rebox-trigger-addresses-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Counts how often it is asked at its further address, passes it once, and tells whether its clock has gone back. */
const SOURCE = `
#include "rebox_trigger.h"
REBOX_TRIGGER_API_VERSION;

static uint64_t further, count, last_ns;
static uint32_t hook;

callback_type_t get_type(void) { return OP_INSN_BEGIN_CB; }

static void add(callback_handle_t handle)
{
    get_var_uint64(handle, "address", &further);
    hook = rebox_trigger_hook(handle, further, REBOX_ALL_PROCESSES);
    set_var_uint64(handle, "hook", hook);
}

static void take(callback_handle_t handle)
{
    rebox_trigger_unhook(handle, hook);
    rebox_trigger_unhook(handle, hook);
}

void trigger_init(callback_handle_t handle)
{
    declare_function(handle, "add", add);
    declare_function(handle, "take", take);
    set_var_uint64(handle, "early", rebox_trigger_hook(handle, 1, REBOX_ALL_PROCESSES));
    set_var_uint64(handle, "count", 0);
    set_var_uint64(handle, "backwards", 0);
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    uint64_t now_ns = rebox_trigger_clock_ns();

    if (now_ns < last_ns) {
        set_var_uint64(handle, "backwards", 1);
    }
    last_ns = now_ns;
    if (get_cpu_addr(params.insn_begin_params.cpu) != further) {
        return 0;
    }
    set_var_uint64(handle, "count", ++count);
    return count == 1;
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
`;

test("a trigger is asked at a further address, as often as a callback there is called, until it takes it out or goes itself", async () => {
  const path = join(folder, "addresses.c");
  writeFileSync(path, SOURCE);
  const run = await runGuest({
    task: "rounds",
    trust: true,
    script: () => `
      import { CallbackManager, Engine, symToVa, waitForGuest } from "rebox";
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        const cm = new CallbackManager(handle);
        void waitForGuest().then(() => {
          const own = symToVa(0n, "kernel", "do_sys_openat2")!;
          const further = symToVa(0n, "kernel", "ksys_read")!;
          let seen = 0;
          let passed = 0;
          // Before the trigger's, so that it has seen one event less.
          cm.addCallback("INSN_BEGIN_CB", () => {
            seen++;
            if (seen % 20 !== 0 || seen > 80) return;
            print(["seen", seen, "asked", seen < 80 ? cm.getTriggerVar(name, "count") : "-", "passed", passed % 1000].join(" "));
            if (seen === 20) cm.callTriggerFunction(name, "take");
            if (seen === 40) cm.callTriggerFunction(name, "add");
            if (seen === 60) {
              print("clock " + cm.getTriggerVar(name, "backwards"));
              cm.rmTrigger(name);
            }
            if (seen === 80) void Engine.get().quit();
          }, { addr: further });
          const name = cm.addCallback("INSN_BEGIN_CB", (_cpuIndex, cpu) => {
            passed += cpu.RIP === further ? 1 : 1000;
          }, { addr: own });
          cm.addTrigger(name, ${JSON.stringify(path)});
          cm.setTriggerVar(name, "address", further);
          cm.callTriggerFunction(name, "add");
          print("early " + cm.getTriggerVar(name, "early") + " hook " + ((cm.getTriggerVar(name, "hook") as bigint) > 0n));
        });
      }
      export const clean = (): void => undefined;
    `,
  });
  assert.equal(run.stderr, "");
  assert.deepEqual(run.messages, [
    "early 0 hook true",
    "seen 20 asked 19 passed 1",
    "seen 40 asked 19 passed 1",
    "seen 60 asked 38 passed 1",
    "clock 0",
    "seen 80 asked - passed 1",
  ]);
});
