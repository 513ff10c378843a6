import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { test } from "node:test";
import { readEvents } from "../../src/lab/analysis/event-log";
import { RecordingFolder, SUM_UP } from "../kit/guests/recording-run";
import { analyze, consoleMachine, recordOf, SAMPLE, yamlOf } from "../kit/lab/analyze-run";
import { NEEDS_DEBIAN, withDebian } from "../kit/lab/ready-debian";
import { withReadyMachine } from "../kit/lab/ready-lab";

const LIMIT_MS = 400_000;

test("an analysis keeps a recording from its golden state on, whose replay goes to where an event happened; a run that cannot be recorded is refused by name", async () => {
  const files = { "conf/auxiliary.conf": "[processes]\nenabled = yes\n[syscalls]\nenabled = yes\n" };
  await withReadyMachine(files, async (lab) => {
    const machines = { g: consoleMachine(), many: consoleMachine(["cpus: 2"]) };
    lab.write("conf/machineries/rebox.yaml", yamlOf(machines));
    const options = ["--golden", "ready", "--target", SAMPLE, "--command", "./sample 10.0.2.2 1", "--record"];
    const { status, stdout } = await analyze(lab, ...options);
    assert.equal(status, 0, stdout);
    assert.equal(recordOf(lab).options["record"], "yes");
    const events = [...readEvents(lab.path("analyses/1"))];
    const executed = events.find(({ type, name }) => type === "process.executed" && name === "sample");
    const count = executed?.instructions ?? assert.fail(`no count: ${JSON.stringify(events.slice(-20))}`);
    const counts = events.flatMap(({ instructions }) => instructions ?? []);
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
      "counts are in the order of the events",
    );
    const page = lab.read("analyses/1/report.html");
    assert.match(page, /rebox replay analyses\/1 --at COUNT/);
    // Further rows are files beside it.
    const more = (existsSync(lab.path("analyses/1/report")) ? readdirSync(lab.path("analyses/1/report")) : []).map(
      (name) => lab.read(`analyses/1/report/${name}`),
    );
    assert.ok(
      [page, ...more].some((text) => text.includes(`--at ${count}<`)),
      "the event has its count",
    );

    // The recording has the state for itself.
    rmSync(lab.path("golden/g/ready"), { recursive: true });
    using folder = new RecordingFolder();
    const answers = await folder.ask(lab.path("analyses/1"), [
      ...["goto 1000", "ps", SUM_UP, `goto ${count}`, "ps", "goto end", "ps", "goto 1000", SUM_UP],
    ]);
    const [, atBegin, sum, there, atCount, , atEnd, , again] = answers;
    assert.match(atBegin!, /\binit\b/, "the guest is there from the first instruction on");
    assert.doesNotMatch(atBegin!, /\bsample\b/);
    assert.match(there!, new RegExp(`^instruction ${count} of`));
    assert.match(atCount!, /\bsample\b/);
    assert.doesNotMatch(atEnd!, /\bsample\b/);
    assert.equal(again, sum);

    const rebooted = await analyze(lab, "--machine", "g", "--command", "true", "--record", "--reboot", "1");
    assert.match(rebooted.stdout, /no recording can be kept of a run in which the guest is started again/);
    const refused = await analyze(lab, "--machine", "many", "--command", "true", "--record");
    assert.equal(refused.status, 1);
    assert.match(refused.stdout, /no run of many can be recorded: it has 2 processors/);
    assert.ok(!existsSync(lab.path("analyses/3/recording")));
  });
});

/**
 * A script that sums up registers at each change of the address space, and every frame.
 *
 * @param more statements that are executed in front of the first instruction
 */
const sumUp = (more = "") => `
  import { createHash } from "node:crypto";
  import { ALL_PROCESSES, CallbackManager, getInstructionCount, readCpu, startMonitoringProcess, viewPa } from "rebox";
  let cm: CallbackManager;
  let print: (text: string) => void;
  let [registers, frames, changes, seen] = [7, 7, 0, 0];
  let sayMore = () => {};
  const add = (sum: number, value: bigint | number): number => {
    const bits = BigInt.asUintN(64, BigInt(value));
    return Math.imul(Math.imul(sum ^ Number(bits & 0xffffffffn), 0x01000193) ^ Number(bits >> 32n), 0x01000193);
  };
  export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
    print = printer;
    cm = new CallbackManager(handle);
    cm.addCallback(CallbackManager.CONTEXTCHANGE_CB, (before, after, index) => {
      // In front of the first instruction nothing has changed in the guest.
      if (getInstructionCount() === 0) return;
      const { RIP, RSP, RAX, RBX, RFLAGS, CR2 } = readCpu(index);
      changes++;
      for (const value of [getInstructionCount(), before, after, RIP, RSP, RAX, RBX, RFLAGS, CR2]) registers = add(registers, value);
    });
    for (const event of [CallbackManager.NIC_SEND_CB, CallbackManager.NIC_REC_CB] as const) {
      cm.addCallback(event, (...values) => {
        seen++;
        frames = add(frames, getInstructionCount());
        for (const value of values) if (value instanceof Uint8Array) for (const byte of value) frames = Math.imul(frames ^ byte, 0x01000193);
      });
    }
    ${more}
  }
  export function clean(): void {
    cm.clean();
    print("sums " + JSON.stringify({ registers, frames, changes, seen, end: getInstructionCount() }));
    sayMore();
  }
`;

/** Sums up all of RAM at the end, but for the firmware's. */
const RAM = `
  sayMore = () => {
    const ram = createHash("sha256");
    for (let at = 0x100000n; at < 0x40000000n; at += 0x100000n) {
      const { buffer, byteOffset, byteLength } = viewPa(at, 0x100000);
      ram.update(new Uint8Array(buffer, byteOffset, byteLength));
    }
    print("ram " + ram.digest("hex"));
  };
`;

/** Sums up address and size of every block that is executed: so every instruction. */
const BLOCKS = `
  ${RAM}
  const sayRam = sayMore;
  // A batch ends at another block in each replay: columns are summed up apart.
  const [addresses, sizes] = [createHash("sha256"), createHash("sha256")];
  let executed = 0;
  startMonitoringProcess(ALL_PROCESSES);
  cm.addStream(CallbackManager.BLOCK_BEGIN_CB, (batch) => {
    executed += batch.length;
    for (const [sum, { buffer, byteOffset, BYTES_PER_ELEMENT }] of [[addresses, batch.pc], [sizes, batch.size]] as const)
      sum.update(new Uint8Array(buffer, byteOffset, BYTES_PER_ELEMENT * batch.length));
  }, { columns: ["pc", "size"], capacity: 4096 });
  sayMore = () => { sayRam(); print("blocks " + executed + " " + addresses.digest("hex") + " " + sizes.digest("hex")); };
`;

/** Hooks of several kinds that come and go, throw, and hold the guest until their promise has settled. */
const TURMOIL = `
  ${RAM}
  let [calls, held] = [0, 0];
  let hook: string | undefined;
  const end = () => { if (hook !== undefined) cm.rmCallback(hook); hook = undefined; };
  startMonitoringProcess(ALL_PROCESSES);
  cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => {
    if (++calls % 20 === 0) throw new Error("now and then");
    if (hook !== undefined) end();
    else hook = cm.addCallback(calls % 2 ? CallbackManager.INSN_BEGIN_CB : CallbackManager.MEM_WRITE_CB, end, { filter: { every: 100 } });
  }, { filter: { every: 500_000 } });
  cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => {
    held++;
    return new Promise<void>((resolve) => setTimeout(resolve, 5));
  }, { filter: { every: 5_000_000 } });
  const sayRam = sayMore;
  sayMore = () => { sayRam(); print("turmoil " + (calls > 100 && held > 10)); };
`;

/** Ends its process in the middle of the replay, as a kill from outside does. */
const killAt = (count: number) => `
  cm.addCallback(CallbackManager.CONTEXTCHANGE_CB, () => {
    if (getInstructionCount() > ${count}) process.kill(process.pid, "SIGKILL");
  });
`;

/** The target: it uses files, programs, and the network that its analysis has. */
const WORK = `#!/bin/sh
dd if=/dev/urandom of=/root/written bs=64k count=64 2> /dev/null
sync
echo 3 > /proc/sys/vm/drop_caches
md5sum /root/written > /dev/console
python3 -c 'import urllib.request; print(urllib.request.urlopen("http://plain.example.com/x.txt", timeout=60).read().decode())' > /dev/console
systemctl is-system-running > /dev/console
`;

test(
  "an analysis in a Debian 13 with systemd, disk and network, from its golden state on, is replayed equal: every block, registers, RAM, frames and console, whatever scripts do, after a kill, and behind going back",
  { skip: NEEDS_DEBIAN },
  async () => {
    using folder = new RecordingFolder();
    const script = folder.place("sums.ts");
    folder.write("sums.ts", sumUp());
    await withDebian(["way_in: console", `scripts: ["${script}"]`], async (lab) => {
      const target = lab.write("work.sh", WORK);
      const { status, stdout } = await analyze(
        lab,
        "--machine",
        "office",
        "--target",
        target,
        "--record",
        "--timeout",
        "120",
      );
      assert.equal(status, 0, stdout);
      assert.equal(recordOf(lab).reason, "the target ended with status 0", stdout);
      const console = lab.read("state/office/console.log");
      assert.match(console, /[0-9a-f]{32} {2}\/root\/written[^]*INetSim HTTP server/);
      const sums = findSums(readTexts(lab.read("state/office/events.jsonl")));
      const { changes, seen, end } = JSON.parse(sums) as { changes: number; seen: number; end: number };
      assert.ok(changes > 300 && seen >= 3, sums);

      const recording = lab.path("analyses/1");
      const log = readFileSync(`${recording}/recording/log`);
      const found: (string | undefined)[] = [];
      const { TMPDIR } = process.env;
      for (const more of [BLOCKS, TURMOIL, killAt(end / 2), BLOCKS]) {
        // The overlay of a disk that a killed replay leaves goes with the folder.
        process.env["TMPDIR"] = folder.path;
        const { stderr, ...replayed } = await folder.replay(recording, { script: sumUp(more), timeoutMs: LIMIT_MS });
        if (TMPDIR === undefined) delete process.env["TMPDIR"];
        else process.env["TMPDIR"] = TMPDIR;
        if (more.includes("SIGKILL")) {
          assert.equal(replayed.signal, "SIGKILL", stderr);
          continue;
        }
        assert.equal(replayed.status, 0, stderr);
        assert.equal(findSums(replayed.messages), sums);
        assert.equal(replayed.console, console.slice(console.length - replayed.console.length), "the console");
        if (more === TURMOIL) {
          assert.match(stderr, /now and then/);
          assert.ok(replayed.messages.includes("turmoil true"), replayed.messages.join("\n"));
        }
        found.push(...["ram ", "blocks "].map((begin) => replayed.messages.find((text) => text.startsWith(begin))));
      }
      const [ram, blocks, ramInTurmoil, , ramAgain, blocksAgain] = found;
      assert.match(`${ram} ${blocks}`, /^ram [0-9a-f]{64} blocks \d{7,} [0-9a-f]{64} [0-9a-f]{64}$/);
      assert.deepEqual([ramInTurmoil, ramAgain, blocksAgain], [ram, ram, blocks]);
      assert.ok(readFileSync(`${recording}/recording/log`).equals(log), "replays only read the recording");

      const late = Math.floor(end * 0.9);
      const there = [`goto ${late}`, SUM_UP];
      const told = folder.place("again.jsonl");
      const lines = [...there, "goto end", ...there, "goto end"];
      const answers = await folder.ask(recording, lines, ["--script", script, "--json", told]);
      assert.match(answers[0]!, new RegExp(`^instruction ${late} of ${end}`, "m"));
      assert.equal(answers[4], answers[1], "memory and registers behind going back");
      assert.equal(findSums(readTexts(readFileSync(told, "utf8"))), sums);
    });
  },
);

/** Reads what scripts have printed, in a log of JSON. */
function readTexts(log: string): string[] {
  const lines = log.split("\n").filter((line) => line !== "");
  return lines.map((line) => (JSON.parse(line) as { readonly text?: string }).text ?? "");
}

/** Finds the sums among what a script has printed. */
function findSums(texts: readonly string[]): string {
  const found = texts.find((text) => text.startsWith("sums "));
  return found?.slice("sums ".length) ?? assert.fail(`no sums: ${texts.slice(-20).join("\n")}`);
}
