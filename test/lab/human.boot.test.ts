import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineGuest } from "../../src/lab/analysis/engine-guest";
import type { ReboxMachinery } from "../../src/lab/machinery/drivers/rebox/rebox-machinery";
import { makeBootDisk, NEEDS_QEMU, type TestLab, untilTrue, withTestLab } from "../kit/lab/lab-run";
import { startModules, stopModules } from "../kit/lab/auxiliary-guest";
import { withGuest } from "../kit/lab/guest-machine";

const ENABLED = ["[human]", "enabled = yes"];

test("what is typed comes through the machine's keyboard", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("true");
    const settings = [...ENABLED, 'instructions = 300ms type:"Re-Box! it/is" 100ms key:ret stop'];
    const typing = execute("read -r typed < /dev/tty0; echo typed $typed");
    const analysis = await startModules(lab, settings, guest);
    const output = await typing;
    await stopModules(analysis);
    assert.match(output, /^typed Re-Box! it\/is$/m);
    assert.deepEqual([analysis.log, analysis.status("human").errors], [[], []]);
  });
});

test("an analysis may have instructions of its own, or nobody at all; what is no instruction is reported", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("true");
    const typing = execute("read -r typed < /dev/tty0; echo typed $typed");
    const options = { human_instructions: "300ms type:own key:ret stop" };
    const analysis = await startModules(lab, [...ENABLED, "instructions = type:other stop"], guest, { options });
    assert.match(await typing, /^typed own$/m);
    await stopModules(analysis);
    const none = await startModules(lab, ENABLED, guest, { options: { nohuman: "1" } });
    assert.deepEqual([none.status("human").state, none.status("human").reason], ["disabled", "the option nohuman"]);
    const wrong = await startModules(lab, [...ENABLED, "instructions = clik"], guest);
    assert.equal(wrong.status("human").state, "failed");
    assert.match(wrong.status("human").reason!, /"clik" is no instruction/);
  });
});

/** A machine of one sector that prints each packet of its mouse on its serial port: three bytes in hexadecimal digits. */
const MOUSE = `
  xor %ax, %ax
  mov %ax, %ds
  mov %ax, %ss
  mov $0x7a00, %sp
  cli
  mov $0xa8, %al
  call command
  mov $0xd4, %al
  call command
  mov $0xf4, %al
  call data
  mov $0x52, %al
  call print
next:
  mov $3, %cx
packet:
  call read
  mov %al, %bl
  shr $4, %al
  call digit
  mov %bl, %al
  and $15, %al
  call digit
  loop packet
  mov $10, %al
  call print
  jmp next
command:
  mov %al, %ah
1:
  in $0x64, %al
  test $2, %al
  jnz 1b
  mov %ah, %al
  out %al, $0x64
  ret
data:
  mov %al, %ah
2:
  in $0x64, %al
  test $2, %al
  jnz 2b
  mov %ah, %al
  out %al, $0x60
3:
  in $0x64, %al
  test $1, %al
  jz 3b
  in $0x60, %al
  ret
read:
  in $0x64, %al
  and $0x21, %al
  cmp $0x21, %al
  jne read
  in $0x60, %al
  ret
digit:
  add $0x30, %al
  cmp $0x3a, %al
  jb print
  add $0x27, %al
print:
  mov $0x3f8, %dx
  outb %al, %dx
  ret
`;

/** Reads the packets of a mouse (IBM's PS/2 mouse, three bytes): how far it has moved, and its buttons. */
function readPackets(lab: TestLab): { readonly dx: number; readonly dy: number; readonly buttons: number }[] {
  const lines = lab.read("state/m/console.log").replace(/^R/, "").split("\n").filter((line) => /^[0-9a-f]{6}$/.test(line)); // prettier-ignore
  return lines.map((line) => {
    const [flags = 0, dx = 0, dy = 0] = [0, 2, 4].map((at) => parseInt(line.slice(at, at + 2), 16));
    return { dx: dx - ((flags & 0x10) << 4), dy: -(dy - ((flags & 0x20) << 3)), buttons: flags & 7 };
  });
}

test(
  "the mouse moves from the corner to the places that are named, and clicks there",
  { skip: NEEDS_QEMU },
  async () => {
    const machine = "machines:\n  m:\n    platform: linux\n    memory: 16M\n    qcow2_path: disk.qcow2\n";
    await withTestLab({ "conf/machineries/rebox.yaml": machine }, async (lab) => {
      await makeBootDisk(MOUSE, lab.path("disk.qcow2"));
      const { manager, machineries } = await lab.open();
      const started = await manager.request("restoreStart", "m");
      assert.equal(started.success, true, started.reason);
      await lab.until("state/m/console.log", /^R/);
      const guest = new EngineGuest(() => (machineries.get("rebox") as ReboxMachinery).openShell(manager.machines.get("m"))); // prettier-ignore
      const instructions = "(300:200) 300ms click 300ms (100:50) 300ms rightclick stop";
      const analysis = await startModules(lab, [...ENABLED, `instructions = ${instructions}`], guest);
      await untilTrue(() =>
        readPackets(lab).some(({ buttons }, at, all) => buttons === 0 && all[at - 1]?.buttons === 2),
      );
      await stopModules(analysis);
      guest.close();
      assert.deepEqual([analysis.log, analysis.status("human").errors], [[], []]);
      const packets = readPackets(lab);
      /** Where the mouse is before a packet; it stays at the upper and the left edge of the screen. */
      const placeAt = (end: number) =>
      packets.slice(0, end).reduce(({ x, y }, { dx, dy }) => ({ x: Math.max(0, x + dx), y: Math.max(0, y + dy) }), { x: 0, y: 0 }); // prettier-ignore
      const pressed = (button: number) => packets.findIndex(({ buttons }) => buttons === button);
      assert.deepEqual(placeAt(pressed(1)), { x: 300, y: 200 });
      assert.deepEqual(placeAt(pressed(2)), { x: 100, y: 50 });
    });
  },
);
