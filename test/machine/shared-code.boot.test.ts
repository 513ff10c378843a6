import assert from "node:assert/strict";
import { test } from "node:test";
import { checkTwins, FIRST, SECOND, watchTwins } from "../kit/guests/twin-run";

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
    checkTwins(run);
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
  checkTwins(run);
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
