import assert from "node:assert/strict";
import { test } from "node:test";
import { EVENT_KITS, expectEvents, type SeenEvent, watchTask } from "../kit/systems/process-events-run";

/** What is hooked first. */
const FIRST_CHOICE = ["exit_mm_release", "exec_mm_release", "setup_new_exec"];

/** Checks that what ends is what began, under the same pgd, and that it has run there meanwhile. */
function checkSpaces(events: readonly SeenEvent[]): void {
  const alive = new Map<number, string>();
  for (const { type, pid, pgd, hasRun } of events) {
    if (type === "CREATEPROC_CB") {
      assert.ok(![...alive.values()].includes(pgd), `${pid} began with another's ${pgd}`);
      alive.set(pid, pgd);
    } else {
      assert.equal(alive.get(pid), pgd);
      assert.ok(hasRun, `${pid} never ran in ${pgd}`);
      alive.delete(pid);
    }
  }
  assert.equal(alive.size, 0);
}

async function checkStorm(
  options: Omit<Parameters<typeof watchTask>[0], "task" | "waits" | "parameters">,
  seed: number,
  acts: number,
): Promise<void> {
  const storm = await watchTask({ ...options, task: "forkstorm", waits: "forkstorm", parameters: { seed, acts } });
  // Every process of the storm but its director, those that must raise nothing among them.
  const pids = new Set(storm.acts.flatMap(({ values }) => [values.get("pid")!, values.get("child")!]));
  pids.delete(storm.run.truth.get("forkstorm.pid")!);
  const own = storm.events.filter(({ pid }) => pids.has(String(pid)));
  assert.deepEqual(
    own.map(({ type, pid, name }) => `${type === "CREATEPROC_CB" ? "+" : "-"}${pid} ${name}`),
    expectEvents(storm.acts),
  );
  assert.ok(own.length > acts / 2);
  checkSpaces(own);
}

for (const kit of EVENT_KITS) {
  for (const cpus of [1, 2]) {
    test(`500 random acts with processes on ${kit.release} with ${cpus} vCPUs give exactly their events, in order`, () =>
      checkStorm({ kit, cpus }, 11 * cpus, 500));
  }
}

test("a kernel without the functions that are hooked first gives the same events from others", () =>
  checkStorm({ kit: EVENT_KITS[0]!, cpus: 2, hidden: [...FIRST_CHOICE, "current_task", "pcpu_hot"] }, 5, 300));

test("a kernel that has neither gives the same events from the last choice", () =>
  checkStorm({ kit: EVENT_KITS[0]!, cpus: 1, hidden: [...FIRST_CHOICE, "mm_release", "finalize_exec"] }, 6, 300));
