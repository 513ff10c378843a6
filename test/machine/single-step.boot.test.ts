import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type BootImage, withBootImage } from "../kit/guests/boot-image";
import { CONTROL_FLOW } from "../kit/guests/boot-programs";
import { GdbClient } from "../kit/clients/gdb-client";
import { type GuestRun, runGuest } from "../kit/guests/guest-run";

const STEP_LIMIT = 2000;

/** Steps from the boot sector's first instruction to `stop`, and returns where each step began. */
async function step(socket: string, stop: bigint): Promise<bigint[]> {
  const gdb = await GdbClient.connect(socket);
  try {
    await gdb.request("?");
    assert.equal(await gdb.request("Z0,7c00,1"), "OK");
    assert.match(await gdb.request("c"), /^T05/);
    assert.equal(await gdb.request("z0,7c00,1"), "OK");
    const pcs = [await gdb.readPc()];
    let registers = await gdb.request("g");
    for (let steps = 0; pcs.at(-1) !== stop; steps++) {
      assert.ok(steps < STEP_LIMIT, "the boot sector comes to its end");
      assert.match(await gdb.request("s"), /^T05/);
      const now = await gdb.request("g");
      // QEMU also stops when the vCPU was asked for something before the instruction (cpu_tb_exec() of 10.0): no
      // instruction of this program leaves all registers as they were.
      if (now === registers) continue;
      registers = now;
      pcs.push(await gdb.readPc());
    }
    // What is at `stop` is executed once gdb has left.
    assert.equal(await gdb.request("D"), "OK");
    return pcs;
  } finally {
    gdb.close();
  }
}

/** Runs the boot sector with a script that prints what it was told, from 0x7c00 to `stop`. */
function watch({ labels, qemuArgs }: BootImage, moreArgs: readonly string[] = []): Promise<GuestRun> {
  return runGuest({
    task: null,
    qemuArgs: [...moreArgs, ...qemuArgs],
    script: () => `
      import { ALL_PROCESSES, CallbackManager, Engine, startMonitoringProcess } from "rebox";
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        const begun: bigint[] = [], announced: bigint[] = [], blocks: bigint[] = [], last: bigint[] = [], nexts: bigint[] = [];
        const isOurs = (pc: bigint) => begun.length > 0 || pc === 0x7c00n;
        startMonitoringProcess(ALL_PROCESSES);
        cm.addCallback("INSN_END_CB", (_, cpu) => { if (begun.length > 0) announced.push(cpu.RIP); });
        cm.addCallback("BLOCK_END_CB", (_, cpu, tb, pc, next) => {
          if (begun.length > 0) last.push(pc), nexts.push(next);
        });
        cm.addCallback("BLOCK_BEGIN_CB", (_, cpu, tb) => { if (isOurs(tb.pc + cpu.CS_BASE)) blocks.push(tb.pc); });
        cm.addCallback("INSN_BEGIN_CB", (_, cpu) => {
          if (!isOurs(cpu.RIP + cpu.CS_BASE)) return;
          begun.push(cpu.RIP);
          if (cpu.RIP !== ${labels.get("stop")}n) return;
          cm.clean();
          for (const pcs of [begun, announced, blocks, last, nexts]) print(pcs.map((pc) => pc.toString(16)).join(" "));
          setTimeout(() => void Engine.get().quit(), 0);
        }, { filter: { pc: { from: 0n, to: 0x10000n } } });
      }
      export const clean = (): void => cm.clean();
    `,
  });
}

interface Watched {
  readonly begun: readonly string[];
  readonly announced: readonly string[];
  readonly blocks: readonly string[];
  readonly last: readonly string[];
  readonly nexts: readonly string[];
}

function readWatched(run: GuestRun): Watched {
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  const [begun, announced, blocks, last, nexts] = run.messages.map((message) => message.split(" ")) as [
    string[],
    string[],
    string[],
    string[],
    string[],
  ];
  return { begun, announced, blocks, last, nexts };
}

/** Steps through the boot sector with gdb; returns where it stopped, and what a script saw meanwhile. */
async function stepAndWatch(image: BootImage): Promise<{ stepped: readonly string[]; run: GuestRun }> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-gdb-"));
  try {
    const socket = join(folder, "gdb");
    // -S: waits for gdb before the first instruction.
    const running = watch(image, ["-S", "-gdb", `unix:${socket},server=on,wait=off`]);
    const [run, pcs] = await Promise.all([running, step(socket, image.labels.get("stop")!)]);
    return { stepped: pcs.map((pc) => pc.toString(16)), run };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const REPEATED = ["repeat_store", "repeat_move"];

/** Leaves one step of a repeated string instruction: each of its turns is a step, but need not be an event. */
function joinTurns({ labels }: BootImage, pcs: readonly string[]): string[] {
  const repeated = REPEATED.map((label) => labels.get(label)!.toString(16));
  return pcs.filter((pc, index) => !(repeated.includes(pc) && pcs[index - 1] === pc));
}

test("instructions begin where gdb stops when it steps, beside it and in a run of their own", () =>
  withBootImage(CONTROL_FLOW, async (image) => {
    const { stepped: steps, run } = await stepAndWatch(image);
    assert.deepEqual(readWatched(run).begun, steps);
    const stepped = joinTurns(image, steps);
    const alone = readWatched(await watch(image));
    assert.deepEqual(alone.begun, stepped);
    // Where the vCPU is when an instruction ends is where gdb stops after it.
    assert.deepEqual(alone.announced, stepped.slice(1));
    // A block's last instruction and the next address follow each other in gdb's steps, in the same order.
    let at = 0;
    alone.last.forEach((pc, index) => {
      while (at < stepped.length && !(stepped[at] === pc && stepped[at + 1] === alone.nexts[index])) at++;
      assert.ok(at < stepped.length, `gdb does not step from ${pc} to ${alone.nexts[index]}, block ${index}`);
      at++;
    });
    assert.deepEqual(alone.nexts, alone.blocks.slice(1));
  }));

test("with one instruction for each block, blocks end where gdb's steps end", () =>
  withBootImage(CONTROL_FLOW, async (image) => {
    const stepped = joinTurns(image, (await stepAndWatch(image)).stepped);
    const single = readWatched(await watch(image, ["-accel", "tcg,thread=single,one-insn-per-tb=on"]));
    assert.deepEqual(single.blocks, stepped);
    assert.deepEqual(single.last, stepped.slice(0, -1));
    assert.deepEqual(single.nexts, stepped.slice(1));
  }));

test("instructions and blocks end where gdb stops, while gdb steps", () =>
  withBootImage(CONTROL_FLOW, async (image) => {
    const { stepped, run } = await stepAndWatch(image);
    const { announced, last, nexts } = readWatched(run);
    assert.deepEqual(announced, stepped.slice(1));
    assert.deepEqual(last, stepped.slice(0, -1));
    assert.deepEqual(nexts, stepped.slice(1));
  }));
