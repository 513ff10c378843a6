import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, test } from "node:test";
import { runRebox } from "../kit/guests/guest-run";
import { analyze, findLeft, recordOf, yamlOf } from "../kit/lab/analyze-run";
import { NEEDS_QEMU, QEMU_IMG, type TestLab, withTestLab } from "../kit/lab/lab-run";
import { NEEDS_LIBVIRT, withLibvirt } from "../kit/lab/libvirt-run";
import { runProgram } from "../../src/lab/machinery/processes/run-program";
import { PROJECT } from "../kit/project";

/** A Debian with qemu-guest-agent, which starts at boot. */
const SYSTEM = join(PROJECT, "build/system/trixie");
const NEEDS_SYSTEM = existsSync(SYSTEM) ? false : "set-up has made no system";
const APPEND = "root=/dev/vda console=ttyS0 quiet no_timer_check";
const LIMIT_MS = 600_000;

/** Has the guest write down who runs the target, and ends with a status that nothing else has. */
const TARGET = '#!/bin/sh\necho "ran as $(id -un) in $PWD by $(cat /proc/$PPID/comm)" > /dev/console\nexit 42\n';

/** Runs the target in an analysis, and checks that it came by QEMU's guest agent. */
async function checkAnalysis(lab: TestLab, name: string, id: number): Promise<void> {
  const target = lab.write("it's a target.sh", TARGET);
  const { status, stdout } = await analyze(lab, "--machine", name, "--target", target);
  assert.equal(status, 0, stdout);
  assert.equal(recordOf(lab, id).reason, "the target ended with status 42");
  assert.match(lab.read(`analyses/${id}/events.jsonl`), /"wayIn":"guest-agent","type":"target.started"/);
}

describe("QEMU's guest agent is the way into a Debian", { skip: NEEDS_SYSTEM }, () => {
  test("of rebox, which is prepared and analysed by it", async () => {
    const machine = [
      ...["platform: linux", `qcow2_path: ${SYSTEM}/disk.qcow2`, `kernel: ${SYSTEM}/vmlinuz`],
      ...[`initrd: ${SYSTEM}/initrd.img`, `append: ${APPEND}`, "memory: 1G", "way_in: guest-agent"],
    ];
    await withTestLab({ "conf/machineries/rebox.yaml": yamlOf({ g: machine }) }, async (lab) => {
      const gift = lab.write("gift", "from outside");
      const options = ["--copy", `${gift}:/srv/below/gift`, "--command", "grep -q outside /srv/below/gift"];
      const prepared = await runRebox(["machine", "prepare", "g", "--lab", lab.folder, ...options], LIMIT_MS);
      assert.equal(prepared.status, 0, prepared.stderr);
      assert.match(prepared.stderr, /its guest-agent has answered/);
      assert.match(lab.read("golden/g/ready/golden.json"), /"wayIn": "guest-agent"/);
      await checkAnalysis(lab, "g", 1);
      assert.match(lab.read("state/g/console.log"), /ran as root in \/tmp\/rebox-\w+ by/);
      assert.deepEqual(findLeft(lab), []);
    });
  });

  test("of libvirt, by virsh", { skip: NEEDS_LIBVIRT || NEEDS_QEMU }, async () => {
    await withLibvirt(async (session) => {
      const place = (name: string) => join(session.folder, "disks", name);
      const signal = new AbortController().signal;
      const options = { signal, timeoutMs: 60_000, packageName: "qemu-utils" };
      const qemuImg = existsSync(QEMU_IMG) ? QEMU_IMG : "qemu-img";
      // The daemon runs as another user, who may not read what is in this one's folders.
      await runProgram(qemuImg, ["convert", "-O", "qcow2", `${SYSTEM}/disk.qcow2`, place("disk.qcow2")], options);
      for (const name of ["vmlinuz", "initrd.img"])
        await runProgram("cp", ["-L", join(SYSTEM, name), place(name)], options);
      for (const name of ["disk.qcow2", "vmlinuz", "initrd.img"]) session.give(place(name));
      const xml = join(session.folder, "domain.xml");
      writeFileSync(xml, describeDebian("domain1", place));
      session.virsh("define", xml);
      const settings = ["label: domain1", "platform: linux", "ip: 192.0.2.1", "way_in: guest-agent"];
      const files = { "conf/machineries/kvm.yaml": `dsn: ${session.uri}\n${yamlOf({ g: settings })}` };
      await withTestLab(files, async (lab) => {
        session.virsh("start", "domain1");
        await untilAgent(session.virsh);
        session.virsh("snapshot-create-as", "domain1", "clean");
        session.virsh("destroy", "domain1");
        await checkAnalysis(lab, "g", 1);
      });
    });
  });
});

async function untilAgent(virsh: (...args: string[]) => string): Promise<void> {
  const endMs = performance.now() + LIMIT_MS;
  for (;;) {
    try {
      virsh("qemu-agent-command", "domain1", '{"execute":"guest-ping"}');
      return;
    } catch (error) {
      if (performance.now() > endMs) throw error;
      await sleep(1_000);
    }
  }
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
