import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { assembleProgram, TEXT } from "../kit/guests/assembled-program";
import { defaultKit } from "../kit/guests/guest-kits";
import { runGuest } from "../kit/guests/guest-run";
import { PROJECT } from "../kit/project";

/** Writes a word to its output, and ends with 7. */
const WIDE = `
  .globl _start
  _start: mov $1, %eax; mov $1, %edi; lea word(%rip), %rsi; mov $5, %edx; syscall
  mov $60, %eax; mov $7, %edi; syscall
  word: .ascii "alive"
`;
const NARROW = `
  .globl _start
  _start: mov $1, %eax; mov $9, %ebx; int $0x80
`;

let folder: string;
before(() => void (folder = mkdtempSync(join(tmpdir(), "rebox-control-"))));
after(() => rmSync(folder, { recursive: true }));

/** QEMU's arguments for a guest with a shell on the first serial port. */
function getConsoleArgs(): string[] {
  const kit = defaultKit();
  const append = "console=ttyS0 quiet no_timer_check panic=-1 rebox.run=console";
  return [
    ...["-serial", `unix:${join(folder, "console")},server=on,wait=off`],
    ...["-kernel", kit.kernel, "-initrd", kit.initramfs, "-append", append],
  ];
}

test("a script copies files, runs programs, and is called at the entry point of one before its first instruction", async () => {
  const [wide, narrow, data] = ["wide", "narrow", "data"].map((name) => join(folder, name)) as [string, string, string];
  writeFileSync(wide, assembleProgram(WIDE), { mode: 0o755 });
  writeFileSync(narrow, assembleProgram(NARROW, 32), { mode: 0o755 });
  writeFileSync(data, Buffer.alloc(100_000, "data of the host\n"));
  const run = await runGuest({
    task: null,
    trust: true,
    qemuArgs: getConsoleArgs(),
    script: () => `
      import { CallbackManager, Engine } from "rebox";
      import { GuestControl, runToEntry } from "rebox/trusted";
      const FOLDER = ${JSON.stringify(folder)};
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        control(print).catch((error) => print("failed: " + error)).finally(() => Engine.get().quit());
      }
      async function control(print: (text: string) => void): Promise<void> {
        const guest = await GuestControl.open();
        const { status, output } = await guest.runInGuest("sh", ["-c", "echo $WORD in $PWD; exit 3"], { environment: { WORD: "it's" }, folder: "/tmp" });
        print(status + " " + output.trim());
        await guest.copyToGuest(FOLDER + "/data", "/tmp/new/data");
        print((await guest.runInGuest("sh", ["-c", "wc -c < /tmp/new/data"])).output.trim());
        print(String((await guest.copyFromGuest("/tmp/new/data")).equals((await import("node:fs")).readFileSync(FOLDER + "/data"))));
        for (const name of ["wide", "narrow"]) {
          await guest.copyToGuest(FOLDER + "/" + name, "/tmp/" + name);
          const seen: string[] = [];
          const end = await runToEntry(guest, cm, { program: "/tmp/" + name, args: ["x"] }, ({ path, entry }, cpu) => {
            seen.push(path + " " + entry.toString(16) + " " + (cpu.RIP === entry));
          });
          print(seen.join() + " " + end.status + " " + end.output.trim());
        }
        const shell = (await guest.runInGuest("sh", ["-c", "readlink /proc/self/exe"])).output.trim();
        let place = -1n;
        await runToEntry(guest, cm, { program: shell, args: ["true"] }, ({ entry }) => void (place = entry & 0xfffn));
        await guest.runInGuest("dd", ["if=" + shell, "of=/tmp/header", "bs=64", "count=1"]);
        const header = await guest.copyFromGuest("/tmp/header");
        print("a program of the system: " + (place === (header.readBigUInt64LE(24) & 0xfffn)));
        const missing = await runToEntry(guest, cm, { program: "/tmp/none" }, () => print("entered"));
        print("missing: " + missing.status);
        await guest.copyFromGuest("/tmp/none").catch((error) => print(error.code));
        guest.close();
      }
      export function clean(): void {
        cm.clean();
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  const entry = TEXT.toString(16);
  assert.deepEqual(run.messages, [
    "3 it's in /tmp",
    "100000",
    "true",
    `/tmp/wide ${entry} true 7 alive`,
    `/tmp/narrow ${entry} true 9 `,
    "a program of the system: true",
    "missing: 127",
    "REBOX_WAY_IN",
  ]);
});

test("the guide's script runs as it is printed", async () => {
  const guide = readFileSync(join(PROJECT, "docs/guides/guest-control.md"), "utf8");
  const printed = /<!-- file: watch-sample\.ts -->\n```ts\n(.*?)```/s.exec(guide)![1]!;
  const sample = join(folder, "sample");
  writeFileSync(sample, assembleProgram(WIDE), { mode: 0o755 });
  // The guide's program is beside the script, and writes a log.
  const script = printed.replace('"sample"', JSON.stringify(sample)).replace("/tmp/sample.log", "/proc/version");
  assert.notEqual(script, printed);
  const run = await runGuest({ task: null, trust: true, qemuArgs: getConsoleArgs(), script: () => script });
  assert.equal(run.status, 0, run.stderr);
  const [at, ended, end, length] = run.messages;
  const pid = new RegExp(`^(\\d+) is at ${TEXT.toString(16)}$`).exec(at!)?.[1];
  assert.deepEqual([ended, end], [`${pid} has ended`, "it ended with 7: alive"]);
  assert.match(length!, /^[1-9]\d+ bytes$/);
});

test("a machine without a serial port for it, and one that does not answer, are refused in a sentence", async () => {
  const run = await runGuest({
    task: "idle",
    trust: true,
    script: () => `
      import { Engine } from "rebox";
      import { GuestControl } from "rebox/trusted";
      export function initialize_callbacks(_: number, print: (text: string) => void): void {
        GuestControl.open().catch((error) => print(error.code + " " + error.message))
          .then(() => GuestControl.open({ console: "/nonexistent/console" })).catch((error) => print(error.code))
          .then(() => GuestControl.open({ guestAgent: "/nonexistent/agent", limitMs: 500 })).catch((error) => print(error.code))
          .finally(() => Engine.get().quit());
      }
      export function clean(): void {}
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, [
    "REBOX_WAY_IN the machine has no serial port that a script could open: -serial unix:PATH,server=on,wait=off",
    "REBOX_MACHINERY_CONNECTION",
    "REBOX_WAY_IN",
  ]);
});
