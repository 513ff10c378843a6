import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { doors } from "../../../src/doors/doors";
import { RUN_STATES } from "../../../src/lab/machinery/drivers/qemu/run-states";
import { Lab } from "../../../src/lab/lab";
import { withBootImage } from "../guests/boot-image";

export const QEMU = "/usr/bin/qemu-system-x86_64";
export const QEMU_IMG = "/usr/bin/qemu-img";

/** Why tests with an ordinary QEMU are left out; false when they are not. */
export const NEEDS_QEMU =
  existsSync(QEMU) && existsSync(QEMU_IMG) ? false : "there is no qemu-system-x86 and qemu-utils";

/** A lab in a folder of its own. */
export interface TestLab {
  readonly folder: string;
  path(name: string): string;
  write(name: string, text: string): string;
  read(name: string): string;
  /** Opens it anew, as another process would. */
  open(): Promise<Lab>;
  /** Waits until a file of the lab holds something, and fails after five minutes. */
  until(name: string, pattern: RegExp): Promise<RegExpExecArray>;
}

/** A guest boots in seconds, on a busy machine in minutes. */
const UNTIL_LIMIT_MS = 300_000;

/** Makes a lab with the given files, and stops its machines and removes it when the test is done. */
export async function withTestLab(
  files: Readonly<Record<string, string>>,
  use: (lab: TestLab) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-lab-"));
  const path = (name: string) => join(folder, name);
  const write = (name: string, text: string) => {
    mkdirSync(dirname(path(name)), { recursive: true });
    writeFileSync(path(name), text);
    return path(name);
  };
  const open = () => Lab.open(folder, { api: doors, pollMs: 100, log: (text) => process.stderr.write(`${text}\n`) });
  mkdirSync(path("conf"), { recursive: true });
  for (const [name, text] of Object.entries(files)) write(name, text);
  const lab: TestLab = {
    ...{ folder, path, write, open },
    read: (name) => readFileSync(path(name), "utf8"),
    until: async (name, pattern) => {
      const endMs = performance.now() + UNTIL_LIMIT_MS;
      for (;;) {
        const text = existsSync(path(name)) ? readFileSync(path(name), "latin1") : undefined;
        const found = text === undefined ? null : pattern.exec(text);
        if (found) return found;
        if (performance.now() > endMs)
          assert.fail(`${name} has no ${pattern}: ${text?.slice(-2000) ?? "no such file"}`);
        await sleep(20);
      }
    },
  };
  let failed: ReadonlyMap<string, string>;
  try {
    await use(lab);
  } finally {
    failed = await (await open()).manager.shutdown();
    rmSync(folder, { recursive: true, force: true });
  }
  assert.deepEqual([...failed], [], "no machine is left");
}

/**
 * A machine of one sector. It counts its starts in the next sector of its disk, prints "start N" on its serial port, and
 * then for each tick of its clock (55 ms) a letter: a, b, ... z, a, ...
 */
const COUNTER = `
  xor %ax, %ax
  mov %ax, %ds
  mov %ax, %es
  mov %ax, %ss
  mov $0x7a00, %sp
  mov %dl, drive
  mov $0x0201, %ax
  call disk
  incb 0x8000
  mov $0x0301, %ax
  call disk
  mov $text, %si
again:
  lodsb
  or %al, %al
  jz number
  call print
  jmp again
number:
  mov 0x8000, %al
  add $0x30, %al
  call print
  mov $10, %al
  call print
letters:
  mov $0x61, %bl
next:
  mov %bl, %al
  call print
  mov 0x46c, %cx
wait:
  sti
  hlt
  cmp 0x46c, %cx
  je wait
  inc %bl
  cmp $0x7b, %bl
  je letters
  jmp next
disk:
  mov $0x8000, %bx
  mov $0x0002, %cx
  xor %dh, %dh
  mov drive, %dl
  int $0x13
  ret
print:
  mov $0x3f8, %dx
  outb %al, %dx
  ret
drive:
  .byte 0
text:
  .asciz "start "
`;

/** Makes the disk of the machine that counts its starts, a qcow2 image. */
export async function makeCounterDisk(path: string): Promise<void> {
  await makeBootDisk(COUNTER, path);
}

/** Makes a disk, a qcow2 image, whose first sector is a program in assembly language. */
export async function makeBootDisk(program: string, path: string): Promise<void> {
  await withBootImage(program, async (image) => {
    const raw = `${path}.raw`;
    const disk = Buffer.alloc(1 << 20);
    readFileSync(image.path).copy(disk);
    writeFileSync(raw, disk);
    execFileSync(QEMU_IMG, ["convert", "-f", "raw", "-O", "qcow2", raw, path]);
    rmSync(raw);
  });
}

/** Returns what changes when a byte of a file does. */
export function hashFile(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/** Waits until something holds, and fails after five minutes, with the condition. */
export async function untilTrue(holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + UNTIL_LIMIT_MS;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`this never held: ${String(holds)}`);
    await sleep(20);
  }
}

/** Finds the values of RunState in query-qmp-schema's answer that rebox does not know. */
export function findUnmapped(schema: unknown): string[] {
  const entries = schema as {
    name: string;
    "meta-type": string;
    values?: string[];
    members?: { name: string; type: string }[];
    "ret-type"?: string;
  }[];
  const get = (name: string) => entries.find((entry) => entry.name === name)!;
  // Names of types are masked: it is found by its use.
  const status = get(get("query-status")["ret-type"]!).members!.find(({ name }) => name === "status")!;
  const values = get(status.type).values!;
  assert.ok(values.includes("inmigrate"), values.join());
  return values.filter((value) => RUN_STATES[value] === undefined);
}
