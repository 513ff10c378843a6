import assert from "node:assert/strict";
import { readFileSync, utimesSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { makeExt4, writeTree } from "../kit/guests/disk-image";
import { machineArgs, RecordingFolder, type RecordingRun } from "../kit/guests/recording-run";

/** Every instruction counts from this change of the address space on, when programs begin; so many do. */
const [FROM_CHANGE, INSTRUCTIONS] = [8000, 1_000_000];

/** Sums up the address of every block that is executed, from the first on. */
const BLOCKS = `
  const blocks = createHash("sha256");
  let executed = 0;
  startMonitoringProcess(ALL_PROCESSES);
  cm.addStream(CallbackManager.BLOCK_BEGIN_CB, (batch) => {
    executed += batch.length;
    blocks.update(new Uint8Array(batch.pc.buffer, batch.pc.byteOffset, 8 * batch.length));
  }, { columns: ["pc"] });
  sumBlocks = () => print("blocks " + executed + " " + blocks.digest("hex"));
`;

/**
 * A script that sums up the execution: every instruction's address for a while, registers at each change of the address space,
 * and all of RAM at the end.
 *
 * @param more statements that are executed where the instructions begin to count, and where they have ended
 * @param beginning statements that are executed before the guest
 */
function sumUp(more = "", beginning = ""): string {
  return `
    import { createHash } from "node:crypto";
    import { ALL_PROCESSES, CallbackManager, Engine, getInstructionCount, loadVm, readCpu, readIoPort, sendKey, startMonitoringProcess,
             stopMonitoringProcess, viewPa, writeIoPort, writePa, writeRegister } from "rebox";
    let cm: CallbackManager, inside: CallbackManager;
    let print: (text: string) => void;
    const instructions = createHash("sha256"), registers = createHash("sha256");
    const pcs = new BigUint64Array(4096);
    let [used, seen, changes, began, ended] = [0, 0, 0, 0, 0];
    function flush() { instructions.update(new Uint8Array(pcs.buffer.slice(0, used * 8))); used = 0; }
    let sumBlocks = () => {};
    const onWindow = (on: boolean): void => { ${more} };
    export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
      print = printer;
      cm = new CallbackManager(handle);
      ${beginning}
      inside = new CallbackManager(handle);
      cm.addCallback(CallbackManager.CONTEXTCHANGE_CB, (before, after, index) => {
        const { RIP, RSP, RAX, RBX, RFLAGS, CR2 } = readCpu(index);
        const count = getInstructionCount();
        changes++;
        registers.update([count, before, after, RIP, RSP, RAX, RBX, RFLAGS, CR2].join());
        if (changes === ${FROM_CHANGE}) {
          began = count;
          startMonitoringProcess(ALL_PROCESSES);
          inside.addCallback(CallbackManager.INSN_BEGIN_CB, (_, cpu) => {
            seen++;
            pcs[used++] = cpu.RIP;
            if (used === pcs.length) flush();
          });
          onWindow(true);
        } else if (ended === 0 && began !== 0 && count >= began + ${INSTRUCTIONS}) {
          ended = count;
          stopMonitoringProcess(ALL_PROCESSES);
          inside.clean();
          onWindow(false);
        }
      });
    }
    export function clean(): void {
      flush();
      const ram = createHash("sha256");
      for (let at = 0n; at < 0x10000000n; at += 0x1000000n) {
        // Below 1 MiB the firmware's memory is in between.
        const [from, size] = at === 0n ? [0x100000n, 0xf00000] : [at, 0x1000000];
        const { buffer, byteOffset, byteLength } = viewPa(from, size);
        ram.update(new Uint8Array(buffer, byteOffset, byteLength));
      }
      print(JSON.stringify({ instructions: instructions.digest("hex"), registers: registers.digest("hex"), ram: ram.digest("hex"),
                             seen, changes, began, ended, end: getInstructionCount() }));
      cm.clean();
      sumBlocks();
    }
  `;
}

interface Sum {
  readonly seen: number;
  readonly changes: number;
  readonly began: number;
  readonly ended: number;
  readonly end: number;
}

function getSum(run: RecordingRun): Sum {
  const text = run.messages.find((message) => message.startsWith('{"instructions"'));
  return JSON.parse(text ?? assert.fail(`${run.messages.join("\n")}\n${run.stderr}`)) as Sum;
}

const HEAVY = `
  if (!on) return;
  let carries = 0n;
  inside.addCallback(CallbackManager.INSN_BEGIN_CB, (_, cpu) => void (carries += cpu.RFLAGS & 1n), { filter: { every: 20 } });
  inside.addCallback(CallbackManager.MEM_WRITE_CB, () => void (carries += readCpu(0).RFLAGS & 1n), { filter: { every: 20 } });
`;

const CHANGING = `
  if (!on) return;
  let calls = 0;
  let hook: string | undefined;
  const end = () => { if (hook !== undefined) inside.rmCallback(hook); hook = undefined; };
  inside.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => {
    if (++calls % 100 === 0) throw new Error("now and then");
    if (hook !== undefined) end();
    else hook = inside.addCallback(CallbackManager.INSN_BEGIN_CB, end, { filter: { every: 5 } });
  }, { filter: { every: 1000 } });
  inside.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => new Promise<void>((resolve) => setTimeout(resolve, 5)), { filter: { every: 20000 } });
`;

/** The guest is stopped and goes on from outside, at times that are others in each replay. */
const STOPPING = `
  if (!on) return;
  const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  void (async () => {
    for (let times = 0; times < 20 && ended === 0; times++) {
      await wait(10);
      await Engine.get().pause();
      await wait(3);
      await Engine.get().resume();
    }
    print("stopped and went on");
  })();
`;

const FORBIDDEN = `
  const attempts: Record<string, () => unknown> = {
    memory: () => writePa(0x100000n, Uint8Array.of(1)),
    assignment: () => { readCpu(0).RAX = 1n; },
    register: () => writeRegister(0, "RIP", 1n),
    portRead: () => readIoPort(0x60, 1),
    portWrite: () => writeIoPort(0x80, 1, 1),
    keys: () => sendKey("a"),
    snapshot: () => loadVm("x"),
    reset: () => Engine.get().reset(),
    monitor: () => Engine.get().hmp("sendkey a"),
    qmp: () => Engine.get().qmp("device_add", { driver: "e1000" }),
  };
  if (!on) return;
  for (const [name, attempt] of Object.entries(attempts)) {
    void (async () => { await attempt(); })().then(() => print(name + " was done"),
      (error) => print("refused " + name + " " + error.code + ": " + error.message));
  }
`;

test("recording and replays execute the same instructions, with the same registers, memory and console, whatever scripts look on", async () => {
  using folder = new RecordingFolder();
  const recorded = await folder.record("one", machineArgs, { script: sumUp() });
  assert.equal(recorded.status, 0, recorded.stderr);
  assert.match(recorded.stderr, /recorded \d+ instructions in .*one \(\d+\.\d MB\)/);
  const sum = getSum(recorded);
  assert.ok(sum.seen > 100_000 && sum.changes > 100 && sum.ended > sum.began, JSON.stringify(sum));

  const plain = await folder.replay("one");
  assert.equal(plain.status, 0, plain.stderr);
  assert.equal(plain.stderr, `rebox: the recording ends at instruction ${sum.end}\n`);
  assert.equal(plain.console, recorded.console);
  assert.match(plain.console, /poweroff\.done=1/);

  const blocks: string[] = [];
  for (const more of ["", HEAVY, CHANGING + STOPPING, FORBIDDEN]) {
    // Hooks that come and go begin other blocks, of the same instructions.
    const hasSameBlocks = more === "" || more === FORBIDDEN;
    const replayed = await folder.replay("one", { script: sumUp(more, hasSameBlocks ? BLOCKS : "") });
    if (hasSameBlocks) blocks.push(replayed.messages.find((text) => text.startsWith("blocks ")) ?? replayed.stderr);
    assert.equal(replayed.status, 0, replayed.stderr);
    assert.deepEqual(getSum(replayed), sum, more);
    assert.equal(replayed.console, recorded.console);
    if (more.startsWith(CHANGING)) {
      assert.match(replayed.stderr, /now and then/);
      assert.ok(replayed.messages.includes("stopped and went on"), replayed.messages.join("\n"));
    }
    if (more !== FORBIDDEN) continue;
    const refused = replayed.messages.filter((text) => text.startsWith("refused "));
    assert.equal(refused.length, 10, replayed.messages.join("\n"));
    for (const text of refused)
      assert.match(text, /^refused \w+ REBOX_RECORDED: .*the machine is recorded or replayed/);
  }
  assert.match(blocks[0]!, /^blocks \d{7,} [0-9a-f]{64}$/);
  assert.deepEqual(blocks[1], blocks[0], "every executed block");
});

/** The beginning of a frame from QEMU's user network to the card: both addresses, and that it is one of IPv4. */
const FRAME = Buffer.from("525400123456" + "52550a000202" + "0800", "hex");
/** The last byte of the receiver's address, behind the frame's own header. */
const RECEIVER = 14 + 19;

test("a disk and a network are recorded: the image is only read, replays have neither and see the same, and depart where one is not what it was", async () => {
  using folder = new RecordingFolder();
  writeTree(folder.place("tree"), {
    "run.sh": `
      for i in 1 2 3 4; do dd if=/dev/urandom of=/mnt/f$i bs=64k count=16 2> /dev/null; sync; done
      truth sum "$(cat /mnt/f1 /mnt/f2 /mnt/f3 /mnt/f4 | md5sum)"
      for module in $(cat /modules/order); do insmod "/modules/$module.ko" 2> /dev/null; done
      ip address add 10.0.2.15/24 dev eth0
      ip link set eth0 up
      truth answers "$(ping -c 3 -i 0.1 -s 1000 10.0.2.2 | grep -c 'bytes from')"
    `,
  });
  const image = folder.place("disk.img");
  makeExt4(image, folder.place("tree"), "32M");
  // A whole second, to which it can be set again.
  utimesSync(image, 1_700_000_000, 1_700_000_000);
  const before = readFileSync(image);
  const frames = `
    import { createHash } from "node:crypto";
    import { CallbackManager, Engine, getFilesystems, getInstructionCount } from "rebox";
    let cm: CallbackManager;
    let print: (text: string) => void;
    const sum = createHash("sha256");
    const frames = { sent: 0, received: 0 };
    let asked = false;
    export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
      print = printer;
      cm = new CallbackManager(handle);
      for (const event of [CallbackManager.NIC_SEND_CB, CallbackManager.NIC_REC_CB] as const) {
        cm.addCallback(event, (...values) => {
          frames[event === CallbackManager.NIC_SEND_CB ? "sent" : "received"]++;
          sum.update(event + " at " + getInstructionCount());
          for (const value of values) sum.update(value instanceof Uint8Array ? value : String(value));
        });
      }
      cm.addCallback(CallbackManager.CONTEXTCHANGE_CB, () => {
        if (asked || getInstructionCount() < 200_000_000) return;
        asked = true;
        void (async () => {
          const engine = Engine.get();
          await engine.pause();
          print("file systems " + (await getFilesystems()).map(({ type }) => type).join());
          await engine.resume();
        })();
      });
    }
    export function clean(): void { print("frames " + frames.sent + " " + frames.received + " " + sum.digest("hex")); cm.clean(); }
  `;
  const more = ["-drive", `file=${image},format=raw,if=virtio`, "-nic", "user,model=virtio-net-pci"];
  const recorded = await folder.record("one", (console) => machineArgs(console, "disk", more), { script: frames });
  assert.equal(recorded.status, 0, recorded.stderr);
  assert.match(recorded.console, /rebox-guest: sum=[0-9a-f]{32}[^]*rebox-guest: answers=3/);
  assert.ok(readFileSync(image).equals(before), "the image was written");
  assert.match(recorded.messages.at(-1)!, /^frames ([4-9]|\d\d+) ([4-9]|\d\d+) [0-9a-f]{64}$/);
  for (const script of [undefined, frames, frames]) {
    const replayed = await folder.replay("one", script === undefined ? {} : { script });
    assert.equal(replayed.status, 0, replayed.stderr);
    assert.equal(replayed.console, recorded.console);
    if (script === undefined) continue;
    assert.match(replayed.messages.join("\n"), /file systems ext4\nframes /);
    // Every byte that was sent and received, each frame at its count, in one order.
    assert.equal(replayed.messages.at(-1), recorded.messages.at(-1));
  }
  assert.ok(readFileSync(image).equals(before), "the image was written");

  const log = readFileSync(folder.place("one/log"));
  const frame = log.lastIndexOf(FRAME);
  assert.ok(frame > 0, "no frame is in the log");
  const other = Buffer.from(log);
  other[frame + RECEIVER]! ^= 1;
  writeFileSync(folder.place("one/log"), other);
  await assertDeparture(folder);
  writeFileSync(folder.place("one/log"), log);

  // Nobody can tell from its size and time that it is another one.
  writeFileSync(image, before.toString("latin1").replaceAll("count=16", "count=15"), "latin1");
  utimesSync(image, 1_700_000_000, 1_700_000_000);
  assert.ok(!readFileSync(image).equals(before));
  await assertDeparture(folder);
});

/** A replay departs, which is noticed at the next of the recording's checks, and the last one that was right is named. */
async function assertDeparture(folder: RecordingFolder): Promise<void> {
  const { status, stderr } = await folder.replay("one");
  assert.equal(status, 70, stderr);
  const file = readFileSync(folder.place("one/checks"));
  const counts = Array.from({ length: file.length / 16 }, (_, index) => String(file.readBigUInt64LE(16 * index)));
  const [, right] = /depart(?:s|ed) from its recording[^]*right up to instruction (\d+)/.exec(stderr) ?? [];
  assert.ok(counts.includes(right ?? ""), `${stderr}\n${counts.length} checks`);
  const [, wrong] = /and is not at instruction (\d+)/.exec(stderr) ?? [];
  if (wrong !== undefined) assert.ok(Number(wrong) <= Number(counts[counts.indexOf(right!) + 2] ?? Infinity), stderr);
}
