import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { withBootImage } from "./boot-image";
import { CONTROL_FLOW } from "./boot-programs";
import { GdbClient } from "./gdb-client";
import { runGuest } from "./guest-run";

const STEP_LIMIT = 1000;

/** Steps from the boot sector's first instruction to `stop`, and returns where each step began. */
async function step(socket: string, stop: bigint): Promise<bigint[]> {
  const gdb = await GdbClient.connect(socket);
  try {
    await gdb.request("?");
    assert.equal(await gdb.request("Z0,7c00,1"), "OK");
    assert.match(await gdb.request("c"), /^T05/);
    assert.equal(await gdb.request("z0,7c00,1"), "OK");
    const pcs = [await gdb.readPc()];
    while (pcs.at(-1) !== stop) {
      assert.ok(pcs.length < STEP_LIMIT, "the boot sector comes to its end");
      assert.match(await gdb.request("s"), /^T05/);
      pcs.push(await gdb.readPc());
    }
    // What is at `stop` is executed once gdb has left.
    assert.equal(await gdb.request("D"), "OK");
    return pcs;
  } finally {
    gdb.close();
  }
}

test("instructions and the next addresses of blocks are where gdb stops when it steps through a boot sector", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-gdb-"));
  try {
    const socket = join(folder, "gdb");
    await withBootImage(CONTROL_FLOW, async ({ qemuArgs, labels }) => {
      const stop = labels.get("stop")!;
      const running = runGuest({
        task: null,
        // Waits for gdb before the first instruction.
        qemuArgs: ["-S", "-gdb", `unix:${socket},server=on,wait=off`, ...qemuArgs],
        script: () => `
          import { ALL_PROCESSES, CallbackManager, Engine, startMonitoringProcess } from "rebox";
          let cm: CallbackManager;
          export function initialize_callbacks(handle: number, print: (text: string) => void): void {
            cm = new CallbackManager(handle);
            const begun: bigint[] = [], announced: bigint[] = [], last: bigint[] = [], nexts: bigint[] = [];
            const filter = { pc: { from: 0x7c00n, to: 0x7e00n } };
            startMonitoringProcess(ALL_PROCESSES);
            cm.addCallback("INSN_END_CB", (_, cpu) => { if (begun.length > 0) announced.push(cpu.RIP); });
            cm.addCallback("BLOCK_END_CB", (_, cpu, tb, pc, next) => {
              if (begun.length > 0) last.push(pc), nexts.push(next);
            });
            cm.addCallback("INSN_BEGIN_CB", (_, cpu) => {
              if (cpu.CS_BASE !== 0n) return;
              begun.push(cpu.RIP);
              if (cpu.RIP !== ${stop}n) return;
              cm.clean();
              for (const pcs of [begun, announced, last, nexts]) print(pcs.map((pc) => pc.toString(16)).join(" "));
              setTimeout(() => void Engine.get().quit(), 0);
            }, { filter });
          }
          export const clean = (): void => cm.clean();
        `,
      });
      const [run, pcs] = await Promise.all([running, step(socket, stop)]);
      assert.equal(run.status, 0, run.stderr);
      assert.equal(run.stderr, "");
      const stepped = pcs.map((pc) => pc.toString(16));
      const [begun, announced, last, nexts] = run.messages.map((message) => message.split(" "));
      assert.deepEqual(begun, stepped);
      // Where the vCPU is when an instruction ends is where gdb stops after it.
      assert.deepEqual(announced, stepped.slice(1));
      // A step is a block of one instruction.
      assert.deepEqual(last, stepped.slice(0, -1));
      assert.deepEqual(nexts, stepped.slice(1));
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
