import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { makeExt4, writeTree } from "../kit/guests/disk-image";
import { machineArgs, RecordingFolder, type RecordingRun } from "../kit/guests/recording-run";

/** Every instruction counts from this change of the address space on, when programs begin; so many do. */
const [FROM_CHANGE, INSTRUCTIONS] = [8000, 1_000_000];

/**
 * A script that sums up the execution: every instruction's address for a while, registers at each change of the address space,
 * and all of RAM at the end.
 */
function sumUp(more = ""): string {
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
    const onWindow = (on: boolean): void => { ${more} };
    export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
      print = printer;
      cm = new CallbackManager(handle);
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

  for (const more of ["", HEAVY, CHANGING, FORBIDDEN]) {
    const replayed = await folder.replay("one", { script: sumUp(more) });
    assert.equal(replayed.status, 0, replayed.stderr);
    assert.deepEqual(getSum(replayed), sum, more);
    assert.equal(replayed.console, recorded.console);
    if (more === CHANGING) assert.match(replayed.stderr, /now and then/);
    if (more !== FORBIDDEN) continue;
    const refused = replayed.messages.filter((text) => text.startsWith("refused "));
    assert.equal(refused.length, 10, replayed.messages.join("\n"));
    for (const text of refused)
      assert.match(text, /^refused \w+ REBOX_RECORDED: .*the machine is recorded or replayed/);
  }
});

test("a disk and a network are recorded: the image is only read, and replays have neither and see the same", async () => {
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
  const before = readFileSync(image);
  const more = ["-drive", `file=${image},format=raw,if=virtio`, "-nic", "user,model=virtio-net-pci"];
  const recorded = await folder.record("one", (console) => machineArgs(console, "disk", more));
  assert.equal(recorded.status, 0, recorded.stderr);
  assert.match(recorded.console, /rebox-guest: sum=[0-9a-f]{32}[^]*rebox-guest: answers=3/);
  assert.ok(readFileSync(image).equals(before), "the image was written");
  const frames = `
    import { CallbackManager, Engine, getFilesystems, getInstructionCount } from "rebox";
    let cm: CallbackManager;
    let print: (text: string) => void;
    let frames = 0, asked = false;
    export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
      print = printer;
      cm = new CallbackManager(handle);
      cm.addCallback(CallbackManager.NIC_SEND_CB, () => void frames++);
      cm.addCallback(CallbackManager.NIC_REC_CB, () => void frames++);
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
    export function clean(): void { print("frames " + frames); cm.clean(); }
  `;
  for (const script of [undefined, frames]) {
    const replayed = await folder.replay("one", script === undefined ? {} : { script });
    assert.equal(replayed.status, 0, replayed.stderr);
    assert.equal(replayed.console, recorded.console);
    if (script !== undefined) assert.match(replayed.messages.join("\n"), /file systems ext4\nframes [1-9]/);
  }
  assert.ok(readFileSync(image).equals(before), "the image was written");
});
