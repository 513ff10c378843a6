import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { inFolder } from "../kit/in-folder";
import { withBootImage } from "../kit/guests/boot-image";
import { CONTROL_FLOW } from "../kit/guests/boot-programs";
import { runGuest } from "../kit/guests/guest-run";
import { readQemuLog } from "../kit/guests/qemu-log";
import { watchSequence } from "../kit/guests/sequence-run";

const hex = (pc: bigint): string => pc.toString(16);

for (const { what, type, accelerator } of [
  { what: "blocks", type: "BLOCK_BEGIN_CB", accelerator: "tcg,thread=single" },
  { what: "instructions", type: "INSN_BEGIN_CB", accelerator: "tcg,thread=single,one-insn-per-tb=on" },
]) {
  test(`the ${what} of a boot sector are those of QEMU's own log, one by one`, () =>
    inFolder((folder) =>
      withBootImage(CONTROL_FLOW, async ({ qemuArgs, labels }) => {
        const log = join(folder, "qemu.log");
        const run = await runGuest({
          task: null,
          qemuArgs: [
            ...["-accel", accelerator, "-d", "exec,nochain", "-D", log, "-dfilter", "0x7c00+0x200"],
            ...qemuArgs,
          ],
          script: () => `
            import { ALL_PROCESSES, CallbackManager, Engine, startMonitoringProcess } from "rebox";
            let cm: CallbackManager;
            export function initialize_callbacks(handle: number, print: (text: string) => void): void {
              cm = new CallbackManager(handle);
              const seen: bigint[] = [];
              startMonitoringProcess(ALL_PROCESSES);
              cm.addCallback("${type}", (_, cpu) => {
                const pc = cpu.RIP + cpu.CS_BASE;
                if (pc < 0x7c00n || pc >= 0x7e00n) return;
                seen.push(pc);
                if (pc === ${labels.get("stop")}n) {
                  cm.clean();
                  print(seen.map((pc) => pc.toString(16)).join(" "));
                  setTimeout(() => void Engine.get().quit(), 0);
                }
              }, { filter: { pc: { from: 0n, to: 0x10000n } } });
            }
            export const clean = (): void => cm.clean();
          `,
        });
        assert.equal(run.status, 0, run.stderr);
        assert.equal(run.stderr, "");
        const seen = run.messages[0]!.split(" ");
        const logged = readQemuLog(readFileSync(log, "latin1")).map(({ pc }) => hex(pc));
        assert.equal(seen[0], "7c00");
        assert.equal(seen.at(-1), hex(labels.get("stop")!));
        // What came after the stop, when the callback was gone, is not compared.
        assert.deepEqual(seen, logged.slice(0, seen.length));
        assert.ok(logged.slice(seen.length).every((pc) => BigInt(`0x${pc}`) >= labels.get("stop")!));
        // The program went everywhere.
        for (const label of [
          "again",
          "inner",
          "function",
          "leaf",
          "target",
          "handler",
          "skip",
          "protected",
          "square",
        ]) {
          assert.ok(seen.includes(hex(labels.get(label)!)), label);
        }
      }),
    ));
}

test("the blocks of a piece of a user's program are those of QEMU's own log, one by one", () =>
  inFolder(async (folder) => {
    const log = join(folder, "qemu.log");
    const run = await watchSequence(
      `
        const blocks: bigint[] = [];
        cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, (_, cpu, tb) => {
          if (isInside(tb.pc, cpu)) blocks.push(tb.pc);
        });
        (globalThis as any).blocks = blocks;
      `,
      `
        const blocks = (globalThis as any).blocks as bigint[];
        print([at.begin, at.end, at.function].map((pc) => pc.toString(16)).join(" "));
        print(blocks.map((pc) => pc.toString(16)).join(" "));
      `,
      // Static programs are linked to 0x400000; the program prints where its sequence is.
      ["-d", "exec,nochain", "-D", log, "-dfilter", "0x401000+0x2000"],
    );
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.stderr, "");
    const [begin, end, leaf] = run.messages[0]!.split(" ").map((pc) => BigInt(`0x${pc}`)) as [bigint, bigint, bigint];
    assert.ok(begin >= 0x401000n && leaf < 0x403000n && end < 0x403000n, "the log covers the sequence");
    const inside = ({ pc }: { pc: bigint }) => (pc >= begin && pc < end) || pc === leaf;
    const logged = readQemuLog(readFileSync(log, "latin1")).filter(inside);
    // Monitoring begins in the first block, which is left for it and entered anew: no new event, but logged each time.
    assert.equal(logged[0]?.pc, begin);
    const after = logged.filter(({ pc }) => pc !== begin);
    assert.deepEqual(
      run.messages[1]!.split(" "),
      after.map(({ pc }) => hex(pc)),
    );
    assert.ok(after.length > 100);
  }));
