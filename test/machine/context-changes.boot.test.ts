import assert from "node:assert/strict";
import { test } from "node:test";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";

/** Counts every change between two address spaces, from the fact `start` on, and prints those that happened often. */
const countChanges = (start: string) => (serial: string) => `
  import { CallbackManager, getNumCpus } from "rebox";
  ${scriptPrelude(serial)}
  let cm: CallbackManager;
  const changes = new Map<string, number>();
  const last: bigint[] = [];
  let broken = 0;
  let print: (text: string) => void;
  export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
    cm = new CallbackManager(handle);
    print = printer;
    cm.addCallback(CallbackManager.CONTEXTCHANGE_CB, (oldPgd, newPgd, cpuIndex) => {
      if (last[cpuIndex] !== undefined && last[cpuIndex] !== oldPgd) broken++;
      last[cpuIndex] = newPgd;
      const key = oldPgd + " " + newPgd;
      changes.set(key, (changes.get(key) ?? 0) + 1);
    });
    // While it boots, the kernel enters an address space of its own for each instruction that it patches.
    void untilTruth(${JSON.stringify(start)}).then(() => changes.clear());
  }
  export function clean(): void {
    cm.clean();
    print("broken " + broken);
    print("cpus " + last.filter((pgd) => pgd !== undefined).length + " of " + getNumCpus());
    for (const [key, count] of [...changes].sort((a, b) => b[1] - a[1]).slice(0, 2)) print("often " + key + " " + count);
  }
`;

interface Change {
  from: string;
  to: string;
  count: number;
}

function readChanges(messages: readonly string[]): Change[] {
  return messages
    .filter((message) => message.startsWith("often "))
    .map((message) => {
      const [, from, to, count] = message.split(" ");
      return { from: from!, to: to!, count: Number(count) };
    });
}

for (const { what, kernelArgs } of [
  { what: "", kernelArgs: "" },
  { what: " under page-table isolation", kernelArgs: "pti=on" },
]) {
  test(`two processes that wake each other${what} change the context as often as the kernel switched them`, async () => {
    const run = await runGuest({
      task: "switch",
      parameters: { rounds: 3000 },
      kernelArgs,
      script: countChanges("switch.rounds"),
      timeoutMs: 90_000,
    });
    assert.equal(run.status, 0, run.stderr);
    assert.ok(run.messages.includes("broken 0"), "each change starts where the one before ended");
    const [there, back] = readChanges(run.messages);
    assert.ok(there && back);
    assert.deepEqual([there.from, there.to], [back.to, back.from], "the two processes are the two busiest");
    const sum = (kind: string) =>
      ["left", "right"].reduce((total, side) => total + Number(run.truth.get(`switch.${side}.${kind}`)), 0);
    const seen = there.count + back.count;
    const switches = sum("voluntary") + sum("involuntary");
    // Now and then the kernel switches to a thread of its own, which stays in the address space.
    assert.ok(
      Math.abs(seen - switches) <= switches * 0.03,
      `${seen} changes seen, ${switches} switches printed by the guest`,
    );
  });
}

test("each of two vCPUs reports its own changes", async () => {
  const run = await runGuest({
    task: "workload",
    parameters: { loops: 1000, forks: 100 },
    qemuArgs: ["-smp", "2"],
    script: countChanges("workload.loops"),
    timeoutMs: 90_000,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.ok(run.messages.includes("broken 0"));
  assert.ok(run.messages.includes("cpus 2 of 2"));
});
