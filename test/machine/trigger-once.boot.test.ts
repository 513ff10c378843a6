import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { checkTwins, FIRST, SECOND, watchTwins } from "../kit/guests/twin-run";

const folder = mkdtempSync(join(tmpdir(), "rebox-trigger-once-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Counts how often it is asked about a block in two address spaces. With "again", it wants to be asked again each time. */
const SOURCE = `
#include "user_space.h"
REBOX_TRIGGER_API_VERSION;
REBOX_TRIGGER_OF_MONITORED;

static uint64_t address, first, again, how, counts[2];

callback_type_t get_type(void) { return BLOCK_BEGIN_CB; }

static void choose(callback_handle_t handle)
{
    get_var_uint64(handle, "address", &address);
    get_var_uint64(handle, "first", &first);
    get_var_uint64(handle, "again", &again);
    get_var_uint64(handle, "how", &how);
    rebox_trigger_ask(handle, (rebox_telling)how);
}

static void report(callback_handle_t handle)
{
    set_var_uint64(handle, "asked_first", counts[0]);
    set_var_uint64(handle, "asked_second", counts[1]);
}

void trigger_init(callback_handle_t handle)
{
    declare_function(handle, "choose", choose);
    declare_function(handle, "report", report);
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    uint64_t pgd = get_pgd(params.block_begin_params.cpu);

    if (get_tb_addr(params.block_begin_params.tb) != address) {
        return 0;
    }
    counts[pgd != first]++;
    if (again) {
        rebox_trigger_ask_again(handle, again == 1 ? first : REBOX_ALL_PROCESSES);
    }
    return 0;
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
`;

const path = join(folder, "once.c");
writeFileSync(path, SOURCE);

/** Watches both processes, and tells how often the trigger was asked about their function. */
async function countAsked(how: number, again: number, cpus: number, beside = ""): Promise<[number, number]> {
  const run = await watchTwins(
    "fork",
    cpus,
    `for (const pgd of pgds) startMonitoringProcess(pgd);
     ${beside}
     state.name = cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => count("passed"));
     cm.addTrigger(state.name, ${JSON.stringify(path)});
     const set = (name: string, value: number | bigint) => cm.setTriggerVar(state.name, name, value);
     set("address", at.work); set("first", pgds[0]!); set("again", ${again}); set("how", ${how});
     cm.callTriggerFunction(state.name, "choose");`,
    `cm.callTriggerFunction(state.name, "report");
     print("asked " + cm.getTriggerVar(state.name, "asked_first") + " " + cm.getTriggerVar(state.name, "asked_second"));
     print("passed " + (counts.passed ?? 0));`,
  );
  checkTwins(run);
  assert.ok(run.messages.includes("passed 0"));
  const [, first, second] = /^asked (\d+) (\d+)$/m.exec(run.messages.join("\n"))!;
  return [Number(first), Number(second)];
}

const [ALWAYS, ONCE, PROGRAMS_ONCE] = [0, 1, 2];

for (const cpus of [1, 2]) {
  test(`a trigger is asked about shared code in each process, and then as good as never, with ${cpus} vCPUs`, async () => {
    for (const how of [ONCE, PROGRAMS_ONCE]) {
      // It is asked once more when the other process has executed the block in the meantime: their turns are few.
      for (const asked of await countAsked(how!, 0, cpus)) assert.ok(asked >= 1 && asked < FIRST / 2, String(asked));
    }
  });

  test(`a trigger that asks for it is asked each time: about one process, or about all, with ${cpus} vCPUs`, async () => {
    const [first, second] = await countAsked(ONCE!, 1, cpus);
    assert.ok([FIRST, SECOND].includes(first), String(first));
    assert.ok(second >= 1 && second < FIRST / 2, String(second));
    assert.deepEqual((await countAsked(ONCE!, 2, cpus)).sort(), [FIRST, SECOND]);
  });
}

test("a trigger that does not ask for it is asked each time, and so is one beside which others listen", async () => {
  assert.deepEqual((await countAsked(ALWAYS!, 0, 1)).sort(), [FIRST, SECOND]);
  const beside =
    'cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => count("other"), { filter: { pc: { from: at.work, to: at.work + 1n } } });';
  assert.deepEqual((await countAsked(ONCE!, 0, 1, beside)).sort(), [FIRST, SECOND]);
});
