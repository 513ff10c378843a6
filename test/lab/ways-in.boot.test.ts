import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { runRebox } from "../kit/guests/guest-run";
import { analyze, findLeft, recordOf, yamlOf } from "../kit/lab/analyze-run";
import { NEEDS_QEMU, QEMU_IMG, type TestLab, withTestLab } from "../kit/lab/lab-run";
import { NEEDS_LIBVIRT, withLibvirt } from "../kit/lab/libvirt-run";
import { runProgram } from "../../src/lab/machinery/processes/run-program";
import { DEBIAN, NEEDS_DEBIAN, withDebian } from "../kit/lab/ready-debian";

const APPEND = "root=/dev/vda console=ttyS0 quiet no_timer_check";
const LIMIT_MS = 600_000;

/** Has the guest write down who runs the target, and ends with a status that nothing else has. */
const TARGET = '#!/bin/sh\necho "ran as $(id -un) in $PWD by $(cat /proc/$PPID/comm)" > /dev/console\nexit 42\n';

/** Runs the target in an analysis, and checks by which way it came. */
async function checkAnalysis(lab: TestLab, name: string, id: number, way: string): Promise<void> {
  const target = lab.write("it's a target.sh", TARGET);
  const { status, stdout } = await analyze(lab, "--machine", name, "--target", target);
  assert.equal(status, 0, stdout);
  assert.equal(recordOf(lab, id).reason, "the target ended with status 42");
  assert.match(lab.read(`analyses/${id}/events.jsonl`), new RegExp(`"wayIn":"${way}","type":"target.started"`));
}

test(
  "an agent that speaks CAPE's protocol is the way into clones of a Debian in simulated networks",
  { skip: NEEDS_DEBIAN },
  async () => {
    await withDebian(["way_in: agent", "max: 2"], async (lab) => {
      const target = lab.write("target.sh", TARGET);
      const { status, stdout } = await analyze(lab, "--machine", "office", "--target", target, "--runs", "2", "--parallel", "2"); // prettier-ignore
      assert.equal(status, 0, stdout);
      for (const id of [1, 2]) {
        assert.equal(recordOf(lab, id).reason, "the target ended with status 42");
        assert.match(lab.read(`analyses/${id}/events.jsonl`), /"wayIn":"agent","type":"target.started"/);
      }
      const other = await analyze(lab, "--machine", "office", "--network", "none", "--command", "true");
      assert.equal(other.status, 1);
      assert.match(recordOf(lab, 3).reason!, /no agent can be reached: it has no ip of its own/);
      assert.deepEqual(findLeft(lab), []);
    });
  },
);

test("the keyboard is the way into a Debian whose screen asks for a login", { skip: NEEDS_DEBIAN }, async () => {
  await withDebian(["way_in: keyboard", "console_user: root"], async (lab) => {
    await checkAnalysis(lab, "office", 1, "keyboard");
    assert.match(lab.read("state/office/console.log"), /ran as root in \/tmp\/rebox-\w+ by/);
    assert.deepEqual(findLeft(lab), []);
  });
});

describe("QEMU's guest agent is the way into a Debian", { skip: NEEDS_DEBIAN }, () => {
  test("of rebox, which is prepared and analysed by it", async () => {
    await withDebian(["way_in: guest-agent"], async (lab) => {
      const gift = lab.write("gift", "from outside");
      const options = ["--copy", `${gift}:/srv/below/gift`, "--command", "grep -q outside /srv/below/gift"];
      const prepared = await prepare(lab, "office", "--from", "ready", "--as", "gift", ...options);
      assert.equal(prepared.status, 0, prepared.stderr);
      assert.match(prepared.stderr, /its guest-agent has answered/);
      assert.match(lab.read("golden/office/gift/golden.json"), /"wayIn": "guest-agent"/);
      await checkAnalysis(lab, "office", 1, "guest-agent");
      assert.match(lab.read("state/office/console.log"), /ran as root in \/tmp\/rebox-\w+ by/);
      assert.deepEqual(findLeft(lab), []);
    });
  });

  test("of libvirt, by virsh, whose snapshot is prepared by it", { skip: NEEDS_LIBVIRT || NEEDS_QEMU }, async () => {
    await withLibvirt(async (session) => {
      const place = (name: string) => join(session.folder, "disks", name);
      const signal = new AbortController().signal;
      const options = { signal, timeoutMs: 60_000, packageName: "qemu-utils" };
      const qemuImg = existsSync(QEMU_IMG) ? QEMU_IMG : "qemu-img";
      // The daemon runs as another user, who may not read what is in this one's folders.
      await runProgram(qemuImg, ["convert", "-O", "qcow2", `${DEBIAN}/disk.qcow2`, place("disk.qcow2")], options);
      for (const name of ["vmlinuz", "initrd.img"])
        await runProgram("cp", ["-L", join(DEBIAN, name), place(name)], options);
      for (const name of ["disk.qcow2", "vmlinuz", "initrd.img"]) session.give(place(name));
      const xml = join(session.folder, "domain.xml");
      writeFileSync(xml, describeDebian("domain1", place));
      session.virsh("define", xml);
      const settings = ["label: domain1", "platform: linux", "ip: 192.0.2.1", "way_in: guest-agent"];
      const files = { "conf/machineries/kvm.yaml": `dsn: ${session.uri}\n${yamlOf({ g: settings })}` };
      await withTestLab(files, async (lab) => {
        const { status, stdout, stderr } = await prepare(lab, "g", "--command", "echo -n made > /changed");
        assert.equal(status, 0, stderr);
        assert.match(stderr, /its guest-agent has answered[^]*taking the snapshot/);
        assert.equal(stdout, "g has the snapshot ready, which kvm keeps\n");
        assert.equal(session.virsh("domstate", "domain1").trim(), "shut off");
        await checkAnalysis(lab, "g", 1, "guest-agent");
        const changed = await analyze(lab, "--machine", "g", "--command", "grep -q made /changed");
        assert.equal(changed.status, 0, changed.stdout);
        assert.equal(recordOf(lab, 2).reason, "the command ended with status 0");
        const again = await prepare(lab, "g");
        assert.match(again.stderr, /g has a snapshot ready already; --as gives another name, --replace makes it anew/);
        const based = await prepare(lab, "g", "--as", "more", "--from", "ready");
        assert.match(based.stderr, /snapshots of kvm are made from a boot/);
      });
    });
  });
});

function prepare(lab: TestLab, machine: string, ...options: readonly string[]) {
  return runRebox(["machine", "prepare", machine, "--lab", lab.folder, ...options], LIMIT_MS);
}

function describeDebian(name: string, place: (name: string) => string): string {
  return `<domain type='qemu'><name>${name}</name><memory unit='MiB'>1024</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='pc'>hvm</type>
      <kernel>${place("vmlinuz")}</kernel><initrd>${place("initrd.img")}</initrd><cmdline>${APPEND}</cmdline></os>
    <features><acpi/></features>
    <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
      <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${place("disk.qcow2")}'/><target dev='vda' bus='virtio'/></disk>
      <serial type='file'><source path='${place("console")}'/><target port='0'/></serial>
      <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    </devices></domain>`;
}
