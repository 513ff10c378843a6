import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { QmpClient } from "../../src/lab/machinery/drivers/qemu/qmp-client";
import { RUN_STATES } from "../../src/lab/machinery/drivers/qemu/run-states";
import { parseVersion } from "../../src/lab/machinery/drivers/qemu/qmp-machinery";
import { MACHINE_STATES } from "../../src/lab/machinery/records/lab-machine";
import { findProcess } from "../../src/lab/machinery/processes/process-identity";
import {
  findUnmapped,
  hashFile,
  makeCounterDisk,
  NEEDS_QEMU,
  QEMU_IMG,
  type TestLab,
  untilTrue,
  withTestLab,
} from "../kit/lab/lab-run";
import { REBOX } from "../kit/project";

const SIGNAL = new AbortController().signal;

/** A file system that is full is made by root alone. */
const CANNOT_MOUNT = process.getuid?.() === 0 ? false : "a small file system can be mounted by root only";

function configure(machines: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(machines).map(([name, more], index) =>
    [
      `  ${name}:`,
      "    platform: linux",
      `    ip: 10.0.0.${index + 1}`,
      "    memory: 32M",
      ...more
        .trim()
        .split("\n")
        .map((line) => `    ${line.trim()}`),
    ].join("\n"),
  );
  return { "conf/machineries/qemu.yaml": `machines:\n${entries.join("\n")}\n` };
}

/** A lab with one machine that counts its starts. */
async function withCounter(more: string, use: (lab: TestLab) => Promise<void>): Promise<void> {
  await withTestLab(configure({ m: `qcow2_path: disk.qcow2\n${more}` }), async (lab) => {
    await makeCounterDisk(lab.path("disk.qcow2"));
    await use(lab);
  });
}

/** Executes QMP commands on a machine that runs. */
async function qmp(lab: TestLab, ...commands: readonly (readonly [string, object])[]): Promise<unknown[]> {
  const client = await QmpClient.connect(lab.path("state/m/qmp.sock"), 30_000, SIGNAL);
  const answers: unknown[] = [];
  for (const [command, args] of commands) answers.push(await client.execute(command, args, 60_000, SIGNAL));
  client.close();
  return answers;
}

async function start(lab: TestLab, name = "m"): Promise<void> {
  const { manager } = await lab.open();
  const result = await manager.request("restoreStart", name);
  assert.deepEqual([result.success, result.state], [true, "running"], result.reason);
}

async function stop(lab: TestLab, name = "m"): Promise<void> {
  const { manager } = await lab.open();
  assert.deepEqual((await manager.request("stop", name)).state, "poweroff");
}

/** Stops the machine of which a snapshot was made, and checks that the next start prints the letter after its last. */
async function checkGoesOn(lab: TestLab): Promise<void> {
  const last = lab.read("state/m/console.log").at(-1)!;
  await stop(lab);
  await start(lab);
  const [first] = await lab.until("state/m/console.log", /^[^]/);
  assert.equal(first, last === "z" ? "a" : String.fromCharCode(last.charCodeAt(0) + 1));
}

describe("a machine of QEMU", { skip: NEEDS_QEMU }, () => {
  test("each start has the disk as it was configured, whose bytes stay, and a disk of its own until its stop", async () => {
    await withCounter("", async (lab) => {
      const before = hashFile(lab.path("disk.qcow2"));
      for (let round = 0; round < 2; round++) {
        await start(lab);
        const [, count] = await lab.until("state/m/console.log", /start (\d)\na/);
        assert.equal(count, "1");
        assert.ok(existsSync(lab.path("state/m/m_disposable.qcow2")));
        await stop(lab);
        assert.deepEqual(readdirSync(lab.path("state/m")).toSorted(), [
          "action.lock",
          "console.log",
          "machine.json",
          "output.log",
        ]);
      }
      assert.equal(hashFile(lab.path("disk.qcow2")), before);
    });
  });

  test("outlives the process that has started it, and is found by the next", async () => {
    await withCounter("", async (lab) => {
      await start(lab);
      const lab2 = await lab.open();
      assert.equal((await lab2.manager.readState("m")).state, "running");
      const refused = await lab2.manager.request("restoreStart", "m");
      assert.match(refused.reason!, /has not been turned off/);
      assert.equal((await lab2.manager.readState("m")).state, "running");
      await stop(lab);
      assert.equal((await lab2.manager.readState("m")).state, "poweroff");
    });
  });

  test("a process id that another program has now is not taken for the machine", async () => {
    await withCounter("", async (lab) => {
      const self = findProcess(process.pid)!;
      lab.write("state/m/process.json", JSON.stringify({ ...self, startTicks: self.startTicks - 1 }));
      const { manager } = await lab.open();
      assert.equal((await manager.readState("m")).state, "poweroff");
      assert.equal((await manager.request("stop", "m")).success, true);
      assert.ok(!existsSync(lab.path("state/m/process.json")));
    });
  });

  for (const packer of ["lz4", "gzip", "cat"]) {
    test(`a memory snapshot packed by ${packer} continues where it was made`, async () => {
      await withCounter("snapshot_path: memory.snapshot", async (lab) => {
        // Not there yet: the machine is started without it first.
        writeFileSync(lab.path("memory.snapshot"), Buffer.from("5145564d", "hex"));
        const { manager } = await lab.open();
        assert.equal((await manager.request("norestoreStart", "m")).state, "running");
        await lab.until("state/m/console.log", /start 1\nabcdefg/);
        await qmp(lab, ["migrate", { uri: `exec:${packer} > ${lab.path("memory.snapshot")}` }]);
        await untilTrue(async () => {
          const [answer] = await qmp(lab, ["query-migrate", {}]);
          const { status } = answer as { status: string };
          assert.notEqual(status, "failed");
          return status === "completed";
        });
        await checkGoesOn(lab);
      });
    });
  }

  test("a snapshot of a machine that was paused is resumed", async () => {
    await withCounter("snapshot_path: memory.snapshot", async (lab) => {
      writeFileSync(lab.path("memory.snapshot"), Buffer.from("5145564d", "hex"));
      const { manager } = await lab.open();
      await manager.request("norestoreStart", "m");
      await lab.until("state/m/console.log", /start 1\nabc/);
      await qmp(lab, ["stop", {}], ["migrate", { uri: `exec:cat > ${lab.path("memory.snapshot")}` }]);
      await untilTrue(
        async () => ((await qmp(lab, ["query-migrate", {}]))[0] as { status: string }).status === "completed",
      );
      await checkGoesOn(lab);
    });
  });

  test("a named snapshot in the image is loaded, and the image's bytes stay", async () => {
    await withCounter("snapshot: clean", async (lab) => {
      const { manager } = await lab.open();
      const missing = await manager.request("restoreStart", "m");
      assert.match(missing.reason!, /clean/);
      assert.equal(missing.isQuarantined, true);
      manager.enable("m");
      assert.equal((await manager.request("norestoreStart", "m")).state, "running");
      await lab.until("state/m/console.log", /start 1\nabcdefg/);
      await qmp(lab, ["human-monitor-command", { "command-line": "savevm clean" }]);
      // The run's disk has the snapshot now: as a whole image it becomes the machine's.
      execFileSync("cp", [lab.path("state/m/m_disposable.qcow2"), lab.path("overlay.qcow2")]);
      await stop(lab);
      execFileSync(QEMU_IMG, ["rebase", "-b", "", "-f", "qcow2", lab.path("overlay.qcow2")]);
      execFileSync("mv", [lab.path("overlay.qcow2"), lab.path("disk.qcow2")]);
      const before = hashFile(lab.path("disk.qcow2"));
      await start(lab);
      const [text] = await lab.until("state/m/console.log", /^[^]{6}/);
      assert.doesNotMatch(text, /start/, "it has not been booted");
      await stop(lab);
      assert.equal(hashFile(lab.path("disk.qcow2")), before);
    });
  });

  test("QEMU that ends at once is reported with what it says, and the machine is quarantined and off", async () => {
    await withCounter('args: "-device no-such-device"', async (lab) => {
      const { manager } = await lab.open();
      const result = await manager.request("restoreStart", "m");
      assert.match(result.reason!, /QEMU ended at once: .*'no-such-device' is not a valid device model name/);
      assert.deepEqual([result.state, result.isQuarantined], ["error", true]);
      assert.equal((await manager.readState("m")).state, "poweroff");
      const again = await lab.open();
      assert.match(again.manager.machines.get("m").quarantine!.reason, /no-such-device/, "it is remembered");
    });
  });

  test("an image that is none is reported with what qemu-img says", async () => {
    await withCounter("", async (lab) => {
      lab.write("disk.qcow2", "this is no image");
      const { manager } = await lab.open();
      const { reason } = await manager.request("restoreStart", "m");
      assert.match(reason!, /qemu-img create .*failed: .*[Ii]mage is not in qcow2 format/s);
    });
  });

  test("a machine whose QEMU hangs is killed, and one whose QEMU was killed is off", async () => {
    await withCounter("", async (lab) => {
      await start(lab);
      const { pid } = JSON.parse(lab.read("state/m/process.json")) as { pid: number };
      process.kill(pid, "SIGSTOP");
      await stop(lab);
      assert.equal(findProcess(pid), undefined);
      await start(lab);
      const second = JSON.parse(lab.read("state/m/process.json")) as { pid: number };
      process.kill(second.pid, "SIGKILL");
      await untilTrue(() => findProcess(second.pid) === undefined);
      const { manager } = await lab.open();
      assert.equal((await manager.readState("m")).state, "poweroff");
      assert.ok(!existsSync(lab.path("state/m/qmp.sock")));
      assert.ok(!existsSync(lab.path("state/m/m_disposable.qcow2")));
      await start(lab);
    });
  });

  test("a command that is killed while it starts a machine leaves nothing that the next cannot find and stop", async () => {
    await withCounter("", async (lab) => {
      const child = spawn(process.execPath, [REBOX, "machine", "start", "m", "--lab", lab.folder], { stdio: "ignore" });
      const ended = new Promise((settle) => child.once("exit", settle));
      await untilTrue(() => existsSync(lab.path("state/m/qmp.sock")));
      child.kill("SIGKILL");
      await ended;
      await untilTrue(() => existsSync(lab.path("state/m/vm.pid")) && lab.read("state/m/vm.pid").trim() !== "");
      const pid = Number(lab.read("state/m/vm.pid"));
      // As if it had been killed still earlier.
      rmSync(lab.path("state/m/process.json"), { force: true });
      const { manager } = await lab.open();
      assert.equal((await manager.readState("m")).state, "running");
      assert.match((await manager.request("restoreStart", "m")).reason!, /has not been turned off/);
      await stop(lab);
      assert.equal(findProcess(pid), undefined);
    });
  });

  test("a machine whose QMP socket is gone is reported, stopped, and can be started again", async () => {
    await withCounter("", async (lab) => {
      await start(lab);
      rmSync(lab.path("state/m/qmp.sock"));
      const { manager } = await lab.open();
      await assert.rejects(manager.readState("m"), /QMP's connection broke: .*ENOENT/);
      await stop(lab);
      await start(lab);
    });
  });

  test("a system that ignores the power button is stopped in the end", async () => {
    await withCounter("", async (lab) => {
      lab.write("conf/lab.yaml", "timeouts:\n  acpi_stop: 1\n");
      await start(lab);
      await lab.until("state/m/console.log", /start 1\na/);
      const { manager } = await lab.open();
      assert.deepEqual((await manager.request("acpiStop", "m")).state, "poweroff");
    });
  });

  test("memory and screen are written while the machine continues; what cannot be written leaves no file", async () => {
    await withCounter("", async (lab) => {
      await start(lab);
      const { manager } = await lab.open();
      const dumped = await manager.request("dumpMemory", "m", { path: lab.path("core") });
      assert.equal(dumped.success, true, dumped.reason);
      assert.equal(readFileSync(lab.path("core")).subarray(1, 4).toString(), "ELF");
      assert.ok(statSync(lab.path("core")).size > 32 << 20);
      assert.equal((await manager.readState("m")).state, "running");
      assert.match((await manager.request("dumpMemory", "m", { path: lab.path("core") })).reason!, /exists already/);
      assert.match(
        (await manager.request("dumpMemory", "m", { path: lab.path("no/core") })).reason!,
        /there is no folder/,
      );
      const full = await manager.request("dumpMemory", "m", { path: "/dev/full/x" });
      assert.deepEqual([full.success, full.isQuarantined], [false, false]);
      const shot = await manager.request("screenshot", "m", { path: lab.path("screen.png") });
      assert.equal(shot.success, true, shot.reason);
      assert.equal(readFileSync(lab.path("screen.png")).subarray(1, 4).toString(), "PNG");
      await stop(lab);
      assert.match((await manager.request("dumpMemory", "m", { path: lab.path("late") })).reason!, /m is off/);
    });
  });

  test(
    "a dump that fills its disk fails, leaves no file, and the machine continues",
    { skip: CANNOT_MOUNT },
    async () => {
      await withCounter("", async (lab) => {
        await start(lab);
        mkdirSync(lab.path("small"));
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", lab.path("small")]);
        try {
          const { manager } = await lab.open();
          const result = await manager.request("dumpMemory", "m", { path: lab.path("small/core") });
          assert.deepEqual([result.success, result.isQuarantined], [false, false]);
          assert.match(result.reason!, /QEMU refuses dump-guest-memory: .*dump/);
          assert.deepEqual(readdirSync(lab.path("small")), []);
          assert.equal((await manager.readState("m")).state, "running");
        } finally {
          execFileSync("umount", [lab.path("small")]);
        }
      });
    },
  );

  test("a pause outlives the process that made it, and is ended by its owner alone", async () => {
    await withCounter("", async (lab) => {
      await start(lab);
      const first = await lab.open();
      assert.equal((await first.manager.request("pause", "m", { owner: "run 7" })).state, "paused");
      const second = await lab.open();
      assert.match((await second.manager.request("resume", "m", { owner: "run 8" })).reason!, /held paused by run 7/);
      assert.equal((await second.manager.request("resume", "m", { owner: "run 7" })).state, "running");
    });
  });

  test("two machines of QEMU run at once, each by its name", async () => {
    const files = configure({ a: "qcow2_path: a.qcow2", b: "qcow2_path: b.qcow2" });
    await withTestLab(files, async (lab) => {
      await makeCounterDisk(lab.path("a.qcow2"));
      await makeCounterDisk(lab.path("b.qcow2"));
      await Promise.all([start(lab, "a"), start(lab, "b")]);
      await stop(lab, "a");
      const { manager } = await lab.open();
      assert.equal((await manager.readState("b")).state, "running");
      assert.equal((await manager.readState("a")).state, "poweroff");
    });
  });

  test("a machineinfo.json gives the start arguments, and a path with a quote and a comma reaches no shell", async () => {
    await withTestLab({}, async (lab) => {
      const folder = "it's, $(touch pwned)";
      lab.write(
        `${folder}/machineinfo.json`,
        JSON.stringify({
          machine: {
            start_args: [
              ...["-m", "32", "-display", "none", "-nic", "none", "-serial", "file:console"],
              ...["-drive", "file=%DISPOSABLE_DISK_PATH%,format=qcow2,if=virtio"],
            ],
          },
        }),
      );
      await makeCounterDisk(lab.path(`${folder}/disk.qcow2`));
      const settings = ["qcow2_path", "machineinfo_path"].map(
        (name, index) =>
          `${name}: ${JSON.stringify(lab.path(`${folder}/${["disk.qcow2", "machineinfo.json"][index]}`))}`,
      );
      for (const [name, text] of Object.entries(configure({ m: settings.join("\n") }))) lab.write(name, text);
      await start(lab);
      await lab.until("console", /start 1\na/);
      assert.ok(!existsSync(lab.path("pwned")));
    });
  });

  test("every run state that QEMU itself lists has its counterpart", async () => {
    await withCounter("", async (lab) => {
      await start(lab);
      const [schema] = await qmp(lab, ["query-qmp-schema", {}]);
      assert.deepEqual(findUnmapped(schema), []);
      assert.ok(Object.values(RUN_STATES).every((state) => MACHINE_STATES.includes(state)));
    });
  });

  test("one machine of an architecture that its QEMU cannot run is refused by name, and the others are used", async () => {
    const files = configure({ m: "qcow2_path: disk.qcow2", board: "qcow2_path: board.qcow2\narchitecture: arm64" });
    await withTestLab(files, async (lab) => {
      await makeCounterDisk(lab.path("disk.qcow2"));
      await makeCounterDisk(lab.path("board.qcow2"));
      await start(lab);
      await stop(lab);
      const { failures, manager, machineries } = await lab.open();
      assert.deepEqual([...machineries.keys()], ["qemu"]);
      assert.deepEqual([...manager.machines].map(({ name }) => name), ["m"]); // prettier-ignore
      assert.equal(failures.length, 1);
      assert.match(failures[0]!, /^machine board of machinery qemu .*architecture arm64 needs another QEMU .*"path"/);
    });
  });

  test("the version is QEMU's own", async () => {
    await withCounter("", async (lab) => {
      const { machineries } = await lab.open();
      const version = await machineries.get("qemu")!.version(SIGNAL);
      assert.match(
        execFileSync("qemu-system-x86_64", ["--version"], { encoding: "utf8" }),
        new RegExp(`version ${version}`),
      );
      assert.equal(parseVersion("QEMU emulator version 8.2.2 (Debian 1:8.2.2+ds-0ubuntu1)"), "8.2.2");
      assert.equal(parseVersion("hello"), "");
    });
  });
});
