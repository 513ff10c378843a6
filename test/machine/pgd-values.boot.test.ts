import assert from "node:assert/strict";
import { test } from "node:test";
import { type GuestRun, runGuest, scriptPrelude } from "../kit/guests/guest-run";

/**
 * Runs native/guest/programs/exact.c. When it waits for its start, every entrance that takes a pgd is given each of these
 * values, and what came through each is printed.
 *
 * @param values TypeScript: the values by name, made of `cr3` (CR3 while the program's own code runs) and `pgd`
 */
function useValues(values: string, args: { qemuArgs?: string[]; kernelArgs?: string }): Promise<GuestRun> {
  return runGuest({
    task: "exact",
    ...args,
    trust: true,
    timeoutMs: 90_000,
    script: (serial) => `
      import { CallbackManager, findPa, getGuest, getRunningProcess, isMonitoredProcess, startMonitoringProcess,
               stopMonitoringProcess, writeVa } from "rebox";
      import { BP } from "rebox/trusted";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      let print: (text: string) => void;
      const counts: Record<string, Record<string, unknown>> = {};
      function useValue(name: string, value: bigint, at: Record<string, bigint>): void {
        const mine: Record<string, unknown> = (counts[name] = {});
        const count = (what: string, by = 1) => void (mine[what] = Number(mine[what] ?? 0) + by);
        const range = { from: at.begin, to: at.end };
        mine.process = getGuest().findProcess(value)?.name;
        mine.kernelMemory = findPa(value, getGuest().kernel.symbol("jiffies")) !== undefined;
        mine.userMemory = findPa(value, at.begin) !== undefined;
        mine.monitored = isMonitoredProcess(value);
        cm.addCallback("INSN_BEGIN_CB", () => count("hook"), { addr: at.loop, pgd: value });
        cm.addCallback("INSN_BEGIN_CB", () => count("filter"), { filter: { pgd: value, pc: range } });
        cm.addCallback("INSN_BEGIN_CB", () => count("filter list"), { filter: { pgd: [1n, value], pc: range } });
        cm.addStream("INSN_BEGIN_CB", (batch) => count("stream", batch.length), { filter: { pgd: value, pc: range } });
        cm.addCallback("LOADMODULE_CB", () => count("modules"), { pgd: value, replay: true });
        new BP(at.function, value, { func: () => count("breakpoint") });
        const triggered = cm.addCallback("INSN_BEGIN_CB", () => count("trigger"));
        cm.addTrigger(triggered, "triggers/trigger_bp_memrange");
        cm.setTriggerVar(triggered, "begin", at.begin);
        cm.setTriggerVar(triggered, "end", at.end);
        cm.setTriggerVar(triggered, "pgd", value);
      }
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        print = printer;
        cm = new CallbackManager(handle);
        void untilTruth("exact.ready").then((truth) => {
          const at = Object.fromEntries([...truth].filter(([key]) => key.startsWith("exact."))
            .map(([key, value]) => [key.slice(6), BigInt(value)]));
          const poll = cm.addCallback("INSN_BEGIN_CB", (cpuIndex, cpu) => {
            const pgd = getRunningProcess(cpuIndex);
            const cr3 = cpu.CR3;
            if (cpu.CPL !== 3n || getGuest().findProcess(pgd)?.name !== "exact") return;
            cm.rmCallback(poll);
            print("cr3 ^ pgd = " + (cr3 ^ pgd));
            const values: Record<string, bigint> = ${values};
            // Started and stopped by any of them: it is one process.
            startMonitoringProcess(values[Object.keys(values)[0]!]!);
            startMonitoringProcess(pgd);
            print("stopped " + stopMonitoringProcess(values[Object.keys(values)[0]!]!));
            for (const [name, value] of Object.entries(values)) useValue(name, value, at);
            writeVa(cr3, at.go, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]));
          }, { addr: at.poll });
        });
      }
      export function clean(): void {
        cm.clean();
        print("counts " + JSON.stringify(counts));
      }
    `,
  });
}

function readCounts(run: GuestRun): Record<string, Record<string, unknown>> {
  assert.equal(run.status, 0, run.stderr);
  const line = run.messages.find((message) => message.startsWith("counts "));
  assert.ok(line, run.stderr + run.stdout);
  return JSON.parse(line.slice(7)) as Record<string, Record<string, unknown>>;
}

test("cpu.CR3 of a program under page-table isolation is its pgd wherever one is taken", async () => {
  const run = await useValues("{ cr3, pgd, withPcid: cr3 | 0x5n }", {
    qemuArgs: ["-cpu", "Skylake-Client"],
    kernelArgs: "pti=on",
  });
  const counts = readCounts(run);
  const difference = BigInt(run.messages.find((message) => message.startsWith("cr3 ^ pgd"))!.split("= ")[1]!);
  // QEMU executes no PCID, so it is only added.
  assert.equal(difference, 0x1000n, "the bit of the program's own tables");
  assert.ok(run.messages.includes("stopped true"));
  assert.deepEqual(counts["cr3"], counts["pgd"]);
  assert.deepEqual(counts["withPcid"], counts["pgd"]);
  const { process, kernelMemory, userMemory, monitored, ...calls } = counts["cr3"]!;
  assert.deepEqual([process, kernelMemory, userMemory, monitored], ["exact", true, true, true]);
  const kinds = ["hook", "filter", "filter list", "stream", "modules", "breakpoint", "trigger"];
  assert.deepEqual(Object.keys(calls).sort(), kinds.sort());
  assert.ok(Object.values(calls).every((count) => Number(count) > 0));
});

test("the bit of page-table isolation is a part of the address in a guest without isolation", async () => {
  const run = await useValues("{ cr3: cr3 | 0x5n, other: pgd ^ 0x1000n }", { kernelArgs: "pti=off" });
  const counts = readCounts(run);
  assert.ok(run.messages.includes("stopped true"));
  assert.equal(counts["cr3"]!["process"], "exact");
  assert.ok(Number(counts["cr3"]!["hook"]) > 0 && Number(counts["cr3"]!["trigger"]) > 0);
  const { process, monitored, kernelMemory: _, userMemory: __, ...calls } = counts["other"]!;
  assert.notEqual(process, "exact");
  assert.equal(monitored, false);
  assert.deepEqual(calls, {});
});
