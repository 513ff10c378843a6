import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { makeCounterDisk, NEEDS_QEMU, type TestLab, untilTrue, withTestLab } from "../kit/lab/lab-run";
import { describeDomain, type LibvirtSession, NEEDS_LIBVIRT, withLibvirt } from "../kit/lab/libvirt-run";

function configure(uri: string, more = ""): Record<string, string> {
  return {
    "conf/machineries/kvm.yaml": `dsn: ${uri}
machines:
  win10:
    label: domain1
    platform: linux
    ip: 192.168.122.5
${more}`,
  };
}

/** A lab with one domain that is off and has no snapshot. */
async function withDomain(
  more: string,
  use: (lab: TestLab, session: LibvirtSession, console: string) => Promise<void>,
): Promise<void> {
  await withLibvirt(async (session) => {
    const disk = join(session.folder, "disks/disk.qcow2");
    const console = join(session.folder, "disks/console");
    await makeCounterDisk(disk);
    session.give(disk);
    const xml = join(session.folder, "domain.xml");
    writeFileSync(xml, describeDomain("domain1", disk, console));
    session.virsh("define", xml);
    await withTestLab(configure(session.uri, more), (lab) => use(lab, session, console));
  });
}

/** Waits until the domain has printed something since its last start. */
async function untilConsole(console: string, pattern: RegExp): Promise<void> {
  await untilTrue(() => {
    try {
      return pattern.test(readFileSync(console, "latin1"));
    } catch {
      return false;
    }
  });
}

describe("a domain of libvirt", { skip: NEEDS_LIBVIRT || NEEDS_QEMU }, () => {
  test("is reverted to its snapshot, runs, is dumped, pictured, paused and stopped", async () => {
    await withDomain("", async (lab, session, console) => {
      const { manager, failures } = await lab.open();
      assert.deepEqual(failures, []);
      const none = await manager.request("restoreStart", "win10");
      assert.match(none.reason!, /No snapshot found for domain1; make one while it runs/);
      assert.equal(none.isQuarantined, true);
      manager.enable("win10");

      const cold = await manager.request("norestoreStart", "win10");
      assert.deepEqual([cold.success, cold.state], [true, "running"], cold.reason);
      await untilConsole(console, /start 1\nabc/);
      session.virsh("snapshot-create-as", "domain1", "clean");
      assert.equal((await manager.request("stop", "win10")).state, "poweroff");
      writeFileSync(console, "");

      const started = await manager.request("restoreStart", "win10");
      assert.deepEqual([started.success, started.state], [true, "running"], started.reason);
      await untilConsole(console, /^[^]{6}/);
      assert.doesNotMatch(readFileSync(console, "latin1"), /start/, "it went on, and was not booted");

      const core = join(session.folder, "disks/core");
      const dumped = await manager.request("dumpMemory", "win10", { path: core });
      assert.equal(dumped.success, true, dumped.reason);
      assert.equal(readFileSync(core).subarray(1, 4).toString(), "ELF");
      assert.ok(statSync(core).size > 32 << 20);
      assert.match((await manager.request("dumpMemory", "win10", { path: core })).reason!, /exists already/);
      assert.equal((await manager.readState("win10")).state, "running");
      const picture = lab.path("screen.png");
      assert.equal((await manager.request("screenshot", "win10", { path: picture })).success, true);

      assert.equal((await manager.request("pause", "win10", { owner: "run 7" })).state, "paused");
      assert.equal((await manager.readState("win10")).pausedBy, "run 7");
      assert.match((await manager.request("resume", "win10")).reason!, /held paused by run 7/);
      assert.equal((await manager.request("resume", "win10", { owner: "run 7" })).state, "running");
      session.virsh("suspend", "domain1");
      const held = await manager.readState("win10");
      assert.deepEqual([held.state, held.reason, held.pausedBy], ["paused", "user", "libvirt (user)"]);
      assert.equal((await manager.request("stop", "win10")).state, "poweroff");
      assert.equal((await manager.request("stop", "win10")).success, true, "it is off already");
    });
  });

  test("the configured snapshot is taken, else the current one; one that is not there is an error", async () => {
    await withDomain("    snapshot: second\n", async (lab, session) => {
      const { manager } = await lab.open();
      await manager.request("norestoreStart", "win10");
      session.virsh("snapshot-create-as", "domain1", "first");
      await manager.request("stop", "win10");
      const missing = await manager.request("restoreStart", "win10");
      assert.match(missing.reason!, /No snapshot found with the name second for domain1; there are first/);
      manager.enable("win10");
      await manager.request("norestoreStart", "win10");
      session.virsh("snapshot-create-as", "domain1", "second");
      session.virsh("snapshot-create-as", "domain1", "third");
      await manager.request("stop", "win10");
      assert.equal((await manager.request("restoreStart", "win10")).state, "running");
      assert.equal(session.virsh("snapshot-current", "domain1", "--name").trim(), "second");
    });
  });

  test("a snapshot of a machine that was off is refused with what to do", async () => {
    await withDomain("", async (lab, session) => {
      session.virsh("snapshot-create-as", "domain1", "cold");
      const { manager } = await lab.open();
      const { reason } = await manager.request("restoreStart", "win10");
      assert.match(reason!, /snapshot cold of domain1 is of a machine that was shutoff; take it while it runs/);
    });
  });

  test("a domain that ignores the power button is destroyed in the end", async () => {
    await withDomain("", async (lab, _, console) => {
      lab.write("conf/lab.yaml", "timeouts: {acpi_stop: 1}\n");
      const { manager } = await lab.open();
      await manager.request("norestoreStart", "win10");
      await untilConsole(console, /start 1\na/);
      assert.equal((await manager.request("acpiStop", "win10")).state, "poweroff");
    });
  });

  test("an unknown domain and a daemon that is gone are told apart, with what to do", async () => {
    await withDomain("", async (lab, session) => {
      const yaml = lab.read("conf/machineries/kvm.yaml");
      lab.write("conf/machineries/kvm.yaml", yaml.replace("label: domain1", "label: domain9"));
      const unknown = await lab.open();
      await assert.rejects(unknown.manager.readState("win10"), /failed to get domain 'domain9'.*list --all shows/);
      lab.write("conf/machineries/kvm.yaml", yaml);
      const { manager } = await lab.open();
      await session.kill();
      await assert.rejects(
        manager.readState("win10"),
        /libvirt cannot be reached by qemu\+unix:.*is its daemon running/,
      );
      const closed = await lab.open();
      assert.match(closed.failures[0]!, /machinery kvm is not used: libvirt cannot be reached/);
    });
  });

  test("a module with nothing but a dsn drives libvirt's test driver, beside kvm", async () => {
    await withDomain("", async (lab, { testUri, holdTest }) => {
      lab.write(
        "modules/machinery/mine.ts",
        `import { LibVirtMachinery } from "rebox/lab";
         export class MyMachinery extends LibVirtMachinery {
           readonly dsn = ${JSON.stringify(testUri)};
         }`,
      );
      lab.write(
        "conf/mine.conf",
        "[mine]\nmachines = fake\n[fake]\nlabel = test\nplatform = linux\nip = 192.168.122.9\n",
      );
      await holdTest(async () => {
        const { manager, failures } = await lab.open();
        assert.deepEqual(failures, []);
        assert.deepEqual([...manager.machines].map(({ name }) => name).toSorted(), ["fake", "win10"]);
        assert.equal((await manager.readState("fake")).state, "running");
        assert.equal((await manager.request("stop", "fake")).state, "poweroff");
        assert.equal((await manager.readState("fake")).reason, "destroyed");
        assert.equal((await manager.request("norestoreStart", "fake")).state, "running");
        assert.equal((await manager.readState("win10")).state, "poweroff");
        assert.equal((await manager.request("stop", "fake")).state, "poweroff");
      });
      // Without a connection it would run again.
      lab.write("conf/mine.conf", "[mine]\nmachines =\n");
    });
  });
});
