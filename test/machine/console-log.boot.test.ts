import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { withBootImage } from "../kit/guests/boot-image";
import { runRebox } from "../kit/guests/guest-run";
import { inFolder } from "../kit/in-folder";

/** More than the socket of a console holds, of which each character fills a buffer of the kernel's. */
const WRITTEN = 5000;
const ALPHABET = "abcdefghijklmnopqrstuvwxyz";

/** Writes the alphabet on the first serial port, again and again, and powers the machine off. */
const WRITER = `
  cli
  mov $${WRITTEN}, %cx
  mov $'a', %bl
next:
  mov $0x3fd, %dx
busy:
  in %dx, %al
  and $0x60, %al
  cmp $0x60, %al
  jne busy
  mov $0x3f8, %dx
  mov %bl, %al
  out %al, %dx
  inc %bl
  cmp $('z' + 1), %bl
  jne same
  mov $'a', %bl
same:
  loop next
  mov $0x3fd, %dx
last:
  in %dx, %al
  test $0x40, %al
  jz last
  mov $0x604, %dx
  mov $0x2000, %ax
  out %ax, %dx
  hlt
`;

/** Waits until the log grows no more, because the console is not read. */
async function waitForFull(log: string): Promise<void> {
  for (let before = -1; ;) {
    const size = existsSync(log) ? statSync(log).size : 0;
    if (size > 0 && size === before) return;
    before = size;
    await sleep(500);
  }
}

async function openConsole(path: string): Promise<Socket> {
  while (!existsSync(path)) await sleep(50);
  const console = connect(path);
  console.pause();
  return console;
}

test("the log of a console has each character once, also when the console's reader lets it wait", () =>
  inFolder((folder) =>
    withBootImage(WRITER, async ({ qemuArgs }) => {
      const [socket, log] = [join(folder, "console"), join(folder, "log")];
      const chardev = `socket,id=c,server=on,wait=on,path=${socket},logfile=${log}`;
      const running = runRebox(["run", "--", "-display", "none", "-nic", "none", ...qemuArgs, "-chardev", chardev, "-serial", "chardev:c"], 60_000); // prettier-ignore
      const console = await openConsole(socket);
      await waitForFull(log);
      assert.ok(statSync(log).size < WRITTEN, "the console's buffer holds everything: write more");
      let read = "";
      console.setEncoding("latin1").on("data", (text: string) => (read += text));
      console.resume();
      const { status, stderr } = await running;
      assert.equal(status, 0, stderr);
      const written = ALPHABET.repeat(Math.ceil(WRITTEN / ALPHABET.length)).slice(0, WRITTEN);
      assert.equal(readFileSync(log, "latin1"), written);
      assert.equal(read, written);
    }),
  ));
