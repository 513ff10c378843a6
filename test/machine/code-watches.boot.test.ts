import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { assembleProgram, TEXT, writeProgram } from "../kit/guests/assembled-program";
import { withGuest } from "../kit/lab/guest-machine";
import type { WrittenPages } from "../kit/observers/written-pages";
import { PROJECT } from "../kit/project";

const OBSERVER = join(PROJECT, "test/kit/observers/written-pages.ts");
const PAGE = 0x700000;
const BETWEEN = TEXT + 0x1000;
const TURNS = 20;

/** Writes one piece of code twice in each turn, and executes it each time; between these it reads what is there. */
const WRITER = `
  .globl _start
_start:
  mov $9, %eax; mov $${PAGE}, %edi; mov $4096, %esi; mov $7, %edx; mov $0x32, %r10d; mov $-1, %r8; xor %r9d, %r9d
  syscall
  mov %rax, %rbx
turn:
  call write
  call *%rbx
  jmp between
write:
  mov $0x90, %al
  mov %rbx, %rdi
  mov $40, %ecx
1: mov %al, (%rdi)
  inc %rdi
  dec %ecx
  jnz 1b
  movb $0xc3, (%rdi)
  ret
  .org ${BETWEEN - TEXT}, 0x90
between:
  nop
  jmp 2f
2: mov (%rbx), %al
  jmp 3f
3: call write
  call *%rbx
  mov $35, %eax; lea pause(%rip), %rdi; xor %esi, %esi
  syscall
  jmp turn
pause: .quad 0, 2000000`;

/** Counts in each turn how often the code of the page is news. */
async function countNews(withHooks: boolean): Promise<unknown> {
  const program = assembleProgram(WRITER);
  let told: unknown;
  await withGuest({}, async ({ guest, execute }) => {
    await writeProgram(execute, "/tmp/writer", program);
    await execute("/tmp/writer & /bin/sleep 1");
    const options: WrittenPages = {
      ...{ process: "writer", turns: TURNS, withHooks },
      ...{ page: `0x${PAGE.toString(16)}`, between: `0x${BETWEEN.toString(16)}` },
    };
    const observer = await new Promise<{ end(): Promise<unknown> }>((resolve, reject) => {
      const observing = guest.observe(OBSERVER, options, (value) => {
        told = value;
        void observing.then(resolve);
      });
      observing.catch(reject);
    });
    await observer.end();
  });
  return told;
}

const TWICE = Array.from({ length: TURNS - 1 }, () => 2);

test("code is news each time that it is executed after it was written", async () => {
  assert.deepEqual(await countNews(false), TWICE);
});

test("code is news also when a hook has come to its page, and gone, and the page was read before it was written anew", async () => {
  assert.deepEqual(await countNews(true), TWICE);
});
