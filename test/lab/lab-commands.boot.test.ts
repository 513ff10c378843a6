import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { MODULE } from "../kit/lab/lab-folder";
import { runRebox } from "../kit/guests/guest-run";
import { renderMachineInfo } from "../kit/lab/vmcloak-files";
import { makeCounterDisk, NEEDS_QEMU, type TestLab, untilTrue, withTestLab } from "../kit/lab/lab-run";
import { REBOX } from "../kit/project";

const YAML = "machines:\n  m:\n    platform: linux\n    ip: 10.0.0.1\n    memory: 32M\n    qcow2_path: disk.qcow2\n";

const rebox = (lab: TestLab, ...args: string[]) => runRebox([...args, "--lab", lab.folder], 120_000);

describe("commands on machines", { skip: NEEDS_QEMU }, () => {
  test("of two commands that start one machine at once, one does and the other says why not", async () => {
    await withTestLab({ "conf/machineries/qemu.yaml": YAML }, async (lab) => {
      await makeCounterDisk(lab.path("disk.qcow2"));
      const both = await Promise.all([rebox(lab, "machine", "start", "m"), rebox(lab, "machine", "start", "m")]);
      assert.deepEqual(both.map(({ status }) => status).toSorted(), [0, 1], JSON.stringify(both));
      assert.match(both.find(({ status }) => status === 1)!.stderr, /m is running|m is starting/);
      assert.equal((await rebox(lab, "machine", "state", "m")).stdout, "running\n");
      const again = await rebox(lab, "machine", "start", "m");
      assert.deepEqual([again.status, again.stderr], [1, "rebox: m is running; stop it first: rebox machine stop m\n"]);
      const [row] = JSON.parse((await rebox(lab, "machine", "list", "--json")).stdout) as [Record<string, unknown>];
      assert.match(String(row.version), /^\d+\.\d+\.\d+$/);
      assert.deepEqual(row.capabilities, {
        ...{ norestoreStart: true, acpiStop: true, memoryDump: true, screenshot: true, pause: true, disc: true },
        ...{ goldenStates: true, snapshots: false, serialConsole: true, guestAgent: true, keyboard: true, screen: true, recording: false, introspection: false }, // prettier-ignore
      });
      assert.equal((await rebox(lab, "machine", "stop", "m")).stdout, "m is poweroff\n");
    });
  });

  test("Ctrl-C during a start ends with 130, and the machine is off and in the pool", async () => {
    const module = MODULE.replace("this.on.add(machine.label);", "await new Promise(() => undefined);");
    const conf = "[mine]\nmachines = a\n[a]\nlabel = A\nplatform = linux\nip = 10.0.0.1\n";
    await withTestLab({ "modules/machinery/mine.ts": module, "conf/mine.conf": conf }, async (lab) => {
      const child = spawn(process.execPath, [REBOX, "machine", "start", "a", "--lab", lab.folder], { stdio: "ignore" });
      const ended = new Promise((settle) => child.once("exit", settle));
      await untilTrue(() => existsSync(lab.path("state/a/action.lock")) && lab.read("state/a/action.lock") !== "");
      child.kill("SIGINT");
      assert.equal(await ended, 130);
      const { stdout } = await rebox(lab, "machine", "list", "--json");
      assert.deepEqual(
        (JSON.parse(stdout) as { name: string; state: string; note: string }[]).map(({ state, note }) => [state, note]),
        [["poweroff", ""]],
      );
    });
  });

  test("a machine that fails is quarantined for the next command too, and is enabled by hand", async () => {
    await withTestLab({ "conf/machineries/qemu.yaml": `${YAML}    args: -device nonsense\n` }, async (lab) => {
      await makeCounterDisk(lab.path("disk.qcow2"));
      const failed = await rebox(lab, "machine", "start", "m");
      assert.equal(failed.status, 1);
      assert.match(failed.stderr, /m could not be started: m: QEMU ended at once: .*nonsense/);
      lab.write("conf/machineries/qemu.yaml", YAML);
      assert.match(
        (await rebox(lab, "machine", "start", "m")).stderr,
        /m is quarantined: .*then rebox machine enable m/s,
      );
      assert.match((await rebox(lab, "machine", "list")).stdout, /^m +qemu +m +linux +poweroff +quarantined: /m);
      assert.equal((await rebox(lab, "machine", "enable", "m")).stdout, "m is in the pool again\n");
      assert.equal((await rebox(lab, "machine", "start", "m")).stdout, "m is running\n");
    });
  });
});

describe("commands on the configuration", () => {
  const files = { "conf/machineries/qemu.yaml": "# the head\npath: /bin/true # the tool\n\nmachines:\n  # none yet\n" };

  test("add, and delete again, leave the comments; a value may have a =", async () => {
    await withTestLab(files, async (lab) => {
      const add = (...args: string[]) => rebox(lab, "machine", "add", "qemu", ...args);
      const added = await add("a", "platform=linux", "ip=10.0.0.1", "append=root=/dev/vda x=y", "--tags", "x, y");
      assert.equal(added.status, 0, added.stderr);
      const text = lab.read("conf/machineries/qemu.yaml");
      for (const kept of ["# the head", "# the tool", "# none yet", "append: root=/dev/vda x=y"])
        assert.ok(text.includes(kept), text);
      const check = await rebox(lab, "config", "check");
      assert.deepEqual([check.status, /qemu: 1 machine can/.test(check.stdout)], [0, true], check.stdout);
      const failures: [string[], RegExp][] = [
        [["a", "platform=linux", "ip=10.0.0.2"], /a machine named a already exists/],
        [["b", "platform=linux", "ip=10.0.0.1"], /nothing was changed: b and a have the same ip/],
        [["b", "platform=linux"], /nothing was changed: "ip" is missing/],
        [["b", "platform"], /"platform": each setting must be key=value/],
        [["b", "tags=x", "platform=linux"], /give tags by --tags a,b/],
        [["b"], /missing required argument 'settings'/],
        [["../b", "platform=linux"], /is no name for a machine/],
      ];
      for (const [args, message] of failures) {
        const { status, stderr } = await add(...args);
        assert.equal(status, 1);
        assert.match(stderr, message);
        assert.equal(lab.read("conf/machineries/qemu.yaml"), text, "nothing was changed");
      }
      assert.match(
        (await rebox(lab, "machine", "add", "qmu", "b", "ip=1")).stderr,
        /there is no machinery qmu; did you mean qemu/,
      );
      assert.match((await rebox(lab, "machine", "delete", "qemu", "z")).stderr, /there is no machine z in the file/);
      assert.equal((await rebox(lab, "machine", "delete", "qemu", "a")).stdout, "deleted a\n");
      assert.ok(lab.read("conf/machineries/qemu.yaml").includes("# the head"));
      assert.match((await rebox(lab, "config", "check")).stdout, /qemu: 0 machines can/);
    });
  });

  test("the same in an INI file", async () => {
    const conf = "# the head\n[kvm]\nmachines = a\n\n[a]\n# of a\nlabel = A\nplatform = linux\nip = 10.0.0.1\n";
    await withTestLab({ "conf/kvm.conf": conf }, async (lab) => {
      const added = await rebox(lab, "machine", "add", "kvm", "b", "platform=windows", "ip=10.0.0.2", "--tags", "x,y");
      assert.equal(added.status, 0, added.stderr);
      assert.match(
        lab.read("conf/kvm.conf"),
        /# the head\n\[kvm\]\nmachines = a, b\n[^]*# of a[^]*\[b\]\n[^]*label = b\n[^]*tags = x, y\n/,
      );
      assert.match((await rebox(lab, "config", "check")).stdout, /kvm: 2 machines can/);
      assert.equal((await rebox(lab, "machine", "delete", "kvm", "a")).status, 0);
      assert.match((await rebox(lab, "config", "check")).stdout, /kvm: 1 machine can/);
      assert.ok(!lab.read("conf/kvm.conf").includes("# of a"));
      // What is left has to be a lab that needs no libvirt.
      assert.equal((await rebox(lab, "machine", "delete", "kvm", "b")).status, 0);
    });
  });

  test("machines are imported from a folder of folders", async () => {
    await withTestLab(files, async (lab) => {
      for (const name of ["one", "two"]) {
        mkdirSync(lab.path(`vms/${name}`), { recursive: true });
        const own = name === "one" ? 1 : 2;
        const changes = { ip: `10.0.0.${own}`, mac: `52:54:00:00:00:0${own}` };
        writeFileSync(lab.path(`vms/${name}/machineinfo.json`), renderMachineInfo(name, changes));
        writeFileSync(lab.path(`vms/${name}/disk.qcow2`), "");
        writeFileSync(lab.path(`vms/${name}/memory.snapshot`), "");
      }
      assert.match(
        (await rebox(lab, "machine", "import", "qemu", lab.path("vms"), "three")).stderr,
        /no machineinfo.json of three .*there are one, two/,
      );
      assert.equal((await rebox(lab, "machine", "import", "qemu", lab.path("vms"))).stdout, "imported one, two\n");
      assert.match((await rebox(lab, "config", "check")).stdout, /qemu: 2 machines can/);
      assert.ok(
        lab.read("conf/machineries/qemu.yaml").includes(`qcow2_path: ${join(lab.folder, "vms/two/disk.qcow2")}`),
      );
      assert.equal((await rebox(lab, "machine", "delete", "qemu", "one", "two")).status, 0);
    });
  });

  test("a folder that is no lab, and a machine that is not there, are reported in a sentence", async () => {
    const none = await runRebox(["machine", "list", "--lab", "/nonexistent"], 60_000);
    assert.deepEqual(
      [none.status, none.stderr],
      [1, "rebox: /nonexistent is no lab: it has no folder conf; make one with rebox lab init /nonexistent\n"],
    );
    await withTestLab(files, async (lab) => {
      assert.match(
        (await rebox(lab, "machine", "state", "x")).stderr,
        /^rebox: Machine with name x does not exist; there are none\n$/,
      );
      assert.match(
        (await rebox(lab, "machine", "start", "x")).stderr,
        /No machines available in .*: add one with rebox machine add/,
      );
    });
  });
});
