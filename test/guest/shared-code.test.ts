import assert from "node:assert/strict";
import { test } from "node:test";
import { type GuestRun, runGuest, scriptPrelude } from "./guest-run";

const FIRST = 300;
const SECOND = 500;

/**
 * Runs native/guest/programs/twin.c: `onReady` adds callbacks when both processes wait (`pgds` and `at` tell where),
 * both are let go, and `onDone` prints when both have ended.
 */
function watchTwins(how: "fork" | "exec", cpus: number, onReady: string, onDone: string): Promise<GuestRun> {
  return runGuest({
    task: "twin",
    parameters: { how, first: FIRST, second: SECOND },
    qemuArgs: ["-smp", String(cpus)],
    timeoutMs: 90_000,
    script: (serial) => `
      import { CallbackManager, type Cpu, Engine, findPa, getRunningProcess, readCpu, readVa, startMonitoringProcess,
               writeVa } from "rebox";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      let at: Record<"poll" | "work" | "add" | "end" | "count" | "go", bigint>;
      const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
      let pgds: bigint[] = [];
      const sideOf = (cpuIndex: number) => pgds.indexOf(getRunningProcess(cpuIndex));
      /** The vCPU that a side is pinned to. */
      const cpuOf = (side: number) => side % ${cpus};
      const counts: Record<string, number> = {};
      const count = (name: string) => void (counts[name] = (counts[name] ?? 0) + 1);
      /** The two address spaces, in no order. */
      async function findSides(): Promise<bigint[]> {
        const found = new Set<bigint>();
        const name = cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex) => void found.add(getRunningProcess(cpuIndex)),
          { addr: at.poll });
        while (found.size < 2) await sleep(20);
        cm.rmCallback(name);
        return [...found];
      }
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        void (async () => {
          await untilTruth("twin.0.ready");
          const truth = await untilTruth("twin.1.ready");
          at = Object.fromEntries([...truth].filter(([key]) => key.startsWith("twin.0."))
            .map(([key, value]) => [key.slice(7), BigInt(value)])) as typeof at;
          pgds = await findSides();
          ${onReady}
          for (const pgd of pgds) writeVa(pgd, at.go, Uint8Array.of(1));
          await untilTruth("twin.0.done");
          await untilTruth("twin.1.done");
          ${onDone}
          await Engine.get().quit();
        })();
      }
      export const clean = (): void => cm.clean();
    `,
  });
}

function checkRun(run: GuestRun): void {
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  assert.equal(run.truth.get("twin.0.done"), String(FIRST));
  assert.equal(run.truth.get("twin.1.done"), String(SECOND));
}

for (const { how, cpus } of [
  { how: "fork", cpus: 1 },
  { how: "exec", cpus: 2 },
] as const) {
  const where = cpus === 1 ? "on one vCPU" : `on ${cpus} vCPUs`;
  test(`a hook with a process in a page that two share (${how}) is called in that process only, ${where}`, async () => {
    const run = await watchTwins(
      how,
      cpus,
      `
        print("one page " + (findPa(pgds[0]!, at.work) === findPa(pgds[1]!, at.work)));
        for (const side of [0, 1]) {
          for (const type of ["BLOCK_BEGIN_CB", "INSN_BEGIN_CB"] as const) {
            cm.addCallback(type, (cpuIndex) => {
              count(side + " " + type);
              if (getRunningProcess(cpuIndex) !== pgds[side]) count("foreign");
            }, { addr: at.work, pgd: pgds[side]! });
          }
        }
        cm.addCallback("INSN_BEGIN_CB", () => count("any"), { addr: at.work });
      `,
      `
        print("calls " + [0, 1].map((side) => counts[side + " BLOCK_BEGIN_CB"] + "/" + counts[side + " INSN_BEGIN_CB"])
          .toSorted().join(" "));
        print("any " + counts.any + " foreign " + (counts.foreign ?? 0));
      `,
    );
    checkRun(run);
    assert.deepEqual(run.messages, [
      "one page true",
      `calls ${FIRST}/${FIRST} ${SECOND}/${SECOND}`,
      `any ${FIRST + SECOND} foreign 0`,
    ]);
  });
}

test("each of two vCPUs reports its own index with every type of event, as often as its program did", async () => {
  const run = await watchTwins(
    "exec",
    2,
    `
      // Pinned: whoever polls on vCPU 0 is the first.
      const seen: bigint[] = [];
      const poll = cm.addCallback("INSN_BEGIN_CB", (cpuIndex) => void (seen[cpuIndex] = getRunningProcess(cpuIndex)),
        { addr: at.poll });
      while (!seen[0] || !seen[1]) await sleep(20);
      cm.rmCallback(poll);
      pgds = seen;
      for (const pgd of pgds) startMonitoringProcess(pgd);
      const user = (cpuIndex: number, pc: bigint) => readCpu(cpuIndex).CPL === 3n && pc >= at.work && pc < at.end;
      const note = (type: string, cpuIndex: number, cpu?: Cpu) => {
        count(type + " " + cpuIndex);
        if (sideOf(cpuIndex) !== cpuIndex || (cpu && cpu !== readCpu(cpuIndex))) count("wrong " + type);
      };
      cm.addCallback("BLOCK_BEGIN_CB", (index, cpu, tb) => { if (tb.pc === at.work) note("BLOCK_BEGIN", index, cpu); });
      cm.addCallback("BLOCK_END_CB", (index, cpu, tb, pc) => { if (tb.pc === at.work) note("BLOCK_END", index, cpu); });
      cm.addCallback("INSN_BEGIN_CB", (index, cpu) => { if (user(index, cpu.RIP)) note("INSN_BEGIN", index, cpu); });
      // The vCPU is at the next instruction then: of the addition, that is CPUID, 7 bytes on.
      cm.addCallback("INSN_END_CB", (index, cpu) => { if (cpu.RIP === at.add + 7n) note("INSN_END", index, cpu); });
      const last = [0n, 0n];
      cm.addCallback("MEM_WRITE_CB", (index, vaddr, size, haddr, data) => {
        if (vaddr !== at.count) return;
        note("MEM_WRITE", index);
        if (data !== ++last[index]!) count("wrong value");
      });
      cm.addCallback("MEM_READ_CB", (index, vaddr) => {
        if (vaddr === at.count && readCpu(index).RIP < at.end && readCpu(index).RIP >= at.work) note("MEM_READ", index);
      });
      cm.addCallback("OPCODE_RANGE_CB", (index, cpu, pc) => { if (pc >= at.work && pc < at.end) note("OPCODE", index, cpu); },
        { startOpcode: 0x0fa2, endOpcode: 0x0fa2 });
      cm.addCallback("TLB_EXEC_CB", (cpu, vaddr) => {
        if (sideOf(cpu.index) < 0) return;
        note("TLB", cpu.index, cpu);
      });
      cm.addCallback("CONTEXTCHANGE_CB", (_, pgd, index) => {
        const side = pgds.indexOf(pgd);
        if (side >= 0 && side !== index) count("wrong CONTEXTCHANGE");
        if (side >= 0) count("CONTEXTCHANGE " + index);
      });
    `,
    `
      for (const type of ["BLOCK_BEGIN", "BLOCK_END", "INSN_BEGIN", "INSN_END", "MEM_WRITE", "MEM_READ", "OPCODE"]) {
        print(type + " " + [0, 1].map((index) => counts[type + " " + index] ?? 0).join(" "));
      }
      print("wrong " + Object.keys(counts).filter((name) => name.startsWith("wrong")).join());
      print("TLB " + [0, 1].every((index) => counts["TLB " + index]! > 0));
      print("CONTEXTCHANGE " + [0, 1].every((index) => counts["CONTEXTCHANGE " + index]! > 0));
    `,
  );
  checkRun(run);
  const each = `${FIRST} ${SECOND}`;
  assert.deepEqual(run.messages, [
    `BLOCK_BEGIN ${each}`,
    `BLOCK_END ${each}`,
    // PUSH, XOR, INC, CPUID, POP, RET.
    `INSN_BEGIN ${6 * FIRST} ${6 * SECOND}`,
    `INSN_END ${each}`,
    `MEM_WRITE ${each}`,
    // The addition reads too; the program reads it once more, to print it, elsewhere.
    `MEM_READ ${each}`,
    `OPCODE ${each}`,
    "wrong ",
    "TLB true",
    "CONTEXTCHANGE true",
  ]);
});
