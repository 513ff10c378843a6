import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getBuildFolder } from "../guest-arguments";
import type { Measure } from "../measure";
import type { Limit } from "../result-row";
import { SampleCollection } from "../sample-collection";

const MEMORY_MIB = 1024;
const CLONES = 10;
const IN_A_ROW = 20;
const APPEND = "root=/dev/vda console=ttyS0 quiet no_timer_check";

/** Processes, files and sums, as systems do them; told by the time since the guest's start. */
const WORK = `#!/bin/bash
now() { read -r up _ < /proc/uptime; }
for turn in $(seq TIMES); do
now; from=$up
for ((i = 0; i < 200000; i++)); do :; done
for ((i = 0; i < 100; i++)); do /bin/true; done
dd if=/dev/zero of=/tmp/work bs=1M count=32 status=none; sha256sum /tmp/work > /dev/null; rm /tmp/work
now
echo "worked from $from to $up" > /dev/console
done
`;

function atMost(value: number): Limit {
  return { of: "value", bound: "at most", value };
}

interface Phases {
  readonly ended: string;
  readonly phases: readonly { readonly phase: string; readonly began: string }[];
}

/** How long an analysis of a script of one line takes on a real Debian 13, from its golden state and with a boot. */
export const readyMachines: Measure = {
  name: "ready-machines",
  async run({ pairs, say }) {
    const begun = new SampleCollection("analysis from a golden state: to the target's beginning", "ms", atMost(1500));
    const ended = new SampleCollection("analysis from a golden state: to its record's end", "ms", atMost(3000));
    const start = new SampleCollection("start of a machine from a golden state", "ms", atMost(500));
    const booted = new SampleCollection("analysis with a boot: to its record's end", "ms");
    const limit = atMost(MEMORY_MIB + CLONES * 150);
    const memory = new SampleCollection(`memory of ${CLONES} clones with ${MEMORY_MIB} MiB each`, "MiB", limit);
    const work = new SampleCollection("work in the guest, on a clone and on a booted machine", "s", {
      ...{ of: "ratio", bound: "at most", value: 1.03 },
    });
    const hourly = new SampleCollection("analyses in an hour", "");
    await using lab = makeLab();
    say(`${this.name}: preparing the machine`);
    lab.run("machine", "prepare", "m");
    for (let turn = 0; turn < pairs; turn++) {
      say(`${this.name}: ${turn + 1} of ${pairs}`);
      const times = lab.analyze("m");
      begun.addRebox(times.begunMs);
      ended.addRebox(times.endedMs);
      start.addRebox(times.startMs);
    }
    say(`${this.name}: with a boot`);
    booted.addRebox(lab.analyze("fresh").endedMs);
    say(`${this.name}: work on a clone, and with a boot`);
    for (const seconds of lab.work("m", pairs)) work.addRebox(seconds);
    for (const seconds of lab.work("fresh", pairs)) work.addPlain(seconds);
    say(`${this.name}: ${CLONES} clones`);
    for (let each = 1; each <= CLONES; each++) lab.run("machine", "start", `m#${each}`);
    memory.addRebox(lab.readMemoryMiB());
    for (let each = 1; each <= CLONES; each++) lab.run("machine", "stop", `m#${each}`);
    say(`${this.name}: ${IN_A_ROW} analyses, two at a time`);
    const beganMs = performance.now();
    lab.run("analyze", "--machine", "m", "--target", lab.target, "--runs", String(IN_A_ROW), "--parallel", "2");
    hourly.addRebox((IN_A_ROW * 3_600_000) / (performance.now() - beganMs));
    return [begun, ended, start, booted, memory, work, hourly].map((row) => row.toRow());
  },
};

function makeLab() {
  const system = join(getBuildFolder(), "system/trixie");
  if (!existsSync(join(system, "disk.qcow2")))
    throw new Error(`there is no ${system}: node native/setup/main.mjs --for bench makes it`);
  const folder = mkdtempSync(join(tmpdir(), "rebox-bench-"));
  const rebox = join(getBuildFolder(), "js/src/cli/main.js");
  const run = (...args: readonly string[]) =>
    execFileSync(process.execPath, [rebox, ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  run("lab", "init", ".");
  const settings = [
    ...["platform=linux", `qcow2_path=${join(system, "disk.qcow2")}`, `memory=${MEMORY_MIB}M`],
    ...[`kernel=${join(system, "vmlinuz")}`, `initrd=${join(system, "initrd.img")}`, `append=${APPEND}`],
  ];
  run("machine", "add", "rebox", "m", ...settings, `max=${CLONES}`);
  // No two machines may have the same disk.
  const other = join(folder, "fresh.qcow2");
  const qemuImg = join(getBuildFolder(), "qemu/qemu-img");
  execFileSync(qemuImg, ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", join(system, "disk.qcow2"), other]);
  run("machine", "add", "rebox", "fresh", ...settings.map((each) => (each.startsWith("qcow2_path") ? `qcow2_path=${other}` : each))); // prettier-ignore
  const target = join(folder, "target.sh");
  writeFileSync(target, "#!/bin/sh\necho hello > /made\n");
  const work = join(folder, "work.sh");
  let analyses = 0;
  return {
    ...{ run, target },
    /** Makes an analysis; its times are from the start of the command. */
    analyze(machine: string) {
      const beganMs = Date.now();
      run("analyze", "--machine", machine, "--target", target);
      const own = join(folder, "analyses", String(++analyses));
      const record = JSON.parse(readFileSync(join(own, "analysis.json"), "utf8")) as Phases;
      const events = readFileSync(join(own, "events.jsonl"), "utf8").split("\n");
      const line = events.find((each) => each.endsWith('"type":"target.started"}'));
      if (line === undefined) throw new Error(`the target of an analysis did not begin: ${own}`);
      const at = (time: string) => Date.parse(time) - beganMs;
      const phase = (name: string) => at(record.phases.find((each) => each.phase === name)!.began);
      return {
        begunMs: at((JSON.parse(line) as { time: string }).time),
        endedMs: at(record.ended),
        startMs: phase("delivering target") - phase("starting machine"),
      };
    },
    /** Has a machine do the same work some times; returns how long each took by the guest's own clock, in seconds. */
    work(machine: string, times: number): number[] {
      writeFileSync(work, WORK.replace("TIMES", String(times)));
      run("analyze", "--machine", machine, "--target", work, "--timeout", "600");
      const own = join(folder, "analyses", String(++analyses));
      const { name } = (JSON.parse(readFileSync(join(own, "analysis.json"), "utf8")) as { machine: { name: string } })
        .machine;
      const shown = readFileSync(join(folder, "state", name, "console.log"), "latin1");
      const found = [...shown.matchAll(/^worked from ([\d.]+) to ([\d.]+)/gm)].map(
        ([, from, to]) => Number(to) - Number(from),
      );
      if (found.length !== times) throw new Error(`the guest has not done its work: ${shown.slice(-500)}`);
      return found;
    },
    /** Returns the memory of all machines that run, what they share counted once, in MiB. */
    readMemoryMiB(): number {
      const state = join(folder, "state");
      const pids = readdirSync(state).flatMap((name) => {
        const file = join(state, name, "process.json");
        return existsSync(file) ? [(JSON.parse(readFileSync(file, "utf8")) as { pid: number }).pid] : [];
      });
      const sizes = pids.map((pid) => Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))![1])); // prettier-ignore
      return sizes.reduce((sum, kib) => sum + kib, 0) / 1024;
    },
    async [Symbol.asyncDispose]() {
      for (const name of ["m", "fresh", ...Array.from({ length: CLONES }, (_, index) => `m#${index + 1}`)]) {
        spawnSync(process.execPath, [rebox, "machine", "stop", name], { cwd: folder });
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
