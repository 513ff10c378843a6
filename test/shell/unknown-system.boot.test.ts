import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { withBootImage } from "../kit/guests/boot-image";
import { runGuest } from "../kit/guests/guest-run";
import { PROJECT } from "../kit/project";
import { withShell } from "../kit/terminal/shell-run";

/**
 * A system that is not Linux: 32-bit code with paging, an entry for system calls in the upper half, and two address spaces that it goes through
 * in turn, in functions that keep frame pointers.
 */
const OTHER_SYSTEM = `
  cli
  xor %ax, %ax
  mov %ax, %ds
  mov %ax, %ss
  mov $0x7a00, %sp
  lgdt descriptor
  mov %cr0, %eax
  or $1, %al
  mov %eax, %cr0
  ljmp $8, $protected
.code32
protected:
  mov $16, %ax
  mov %ax, %ds
  mov %ax, %es
  mov %ax, %ss
  mov $0x7a00, %esp
  movl $0x83, 0x10000
  movl $0x83, 0x11000
  mov %cr4, %eax
  or $0x10, %al
  mov %eax, %cr4
  lidt interrupts
  mov $0x176, %ecx
  mov $handler + 0xc0000000, %eax
  xor %edx, %edx
  wrmsr
  mov $0x10000, %eax
  mov %eax, %cr3
  mov %cr0, %eax
  or $0x80000000, %eax
  mov %eax, %cr0
turn:
  mov $0x10000, %eax
  mov %eax, %cr3
  call outer
after_outer:
  mov $0x11000, %eax
  mov %eax, %cr3
  call outer
  jmp turn
outer:
  push %ebp
  mov %esp, %ebp
  call inner
after_inner:
  pop %ebp
  ret
inner:
  push %ebp
  mov %esp, %ebp
place:
  nop
  pop %ebp
  ret
handler:
  iret
.align 8
table:
  .quad 0
  .quad 0x00cf9a000000ffff
  .quad 0x00cf92000000ffff
descriptor:
  .word 23
  .long table
interrupts:
  .word 0x7ff
  .long 0x12000
`;

const hex = (value: bigint) => `0x${value.toString(16)}`;

type Row = Record<string, string>;

test("all that needs no knowledge of the system works in a guest that is not Linux; the rest says so shortly", () =>
  withBootImage(OTHER_SYSTEM, async ({ qemuArgs, labels }) => {
    const at = (label: string) => labels.get(label)!;
    const end = await withShell({ task: null, qemuArgs, trust: false, timeoutMs: 60_000 }, async (run) => {
      await run.text(`bp ${hex(at("place"))} once`);
      while ((await run.data<Row>("status"))["state"] !== "paused");
      // The plain address, and the frames, by their pointers.
      assert.equal((await run.data<Row[]>(`ln ${hex(at("place"))}`))[0]!["address"], hex(at("place")));
      assert.match(await run.text(`ln ${hex(at("place"))}`), /none that rebox knows \(doctor says why\)/);
      const frames = (await run.data<Row[]>("bt")).map(({ address, method }) => `${address} ${method}`);
      assert.equal(frames[0], `${hex(at("place"))} registers`);
      assert.equal(frames[1], `${hex(at("after_inner"))} frame pointer`);
      assert.equal((await run.data<Row>("finish"))["address"], hex(at("after_inner")));
      assert.match(await run.text("u rip:2"), /pop/);
      // Address spaces are monitored and chosen.
      assert.equal(await run.text("mon 0x10000"), "the address space 0x10000 is monitored: pgd 0x10000");
      assert.match(await run.text("unmon 0x10000"), /^the address space 0x10000 is no longer monitored/);
      assert.equal((await run.data<Row>("proc 0x11000"))["pgd"], "0x11000");
      assert.equal((await run.data<Row>("status"))["pgd"], "0x11000");
      assert.match(await run.text("proc -"), /^no process is chosen/);
      // What needs a system says so: wholly at first, shortly then.
      for (const line of ["ps", "lm", "mon 1", "proc nobody", "bt 1"]) {
        const refusal = await run.error(line);
        assert.match(refusal, /^no Linux kernel found \(/, line);
        assert.ok(refusal.length < 250, `${line}: ${refusal}`);
      }
      const steps = (await run.data<{ steps: Row[] }>("doctor")).steps;
      const failed = steps.findIndex(({ status }) => status === "fail");
      assert.ok(failed > 0, JSON.stringify(steps));
      assert.deepEqual(steps.slice(0, failed).map(({ name, status, evidence }) => [name, status, evidence!.slice(0, 26)]), [
        ["cpu", "ok", "vCPU 0: paging legacy, CR0"],
        ["image", "skip", "needs the step page-tables"],
      ]); // prettier-ignore
      await run.text(`import ${join(PROJECT, "scripts/syscall_trace.ts")}`).catch(() => undefined);
      await run.text("cont");
    });
    assert.equal(end.status, 0, end.stderr);
  }));

test("a script that listens for processes in such a guest gets one refusal, and no failure of rebox's own", () =>
  withBootImage(OTHER_SYSTEM, async ({ qemuArgs }) => {
    const run = await runGuest({
      task: null,
      qemuArgs,
      reboxArgs: ["--trust", "--script", join(PROJECT, "scripts/process_tree.ts"), "--script", join(PROJECT, "scripts/syscall_trace.ts")],
      script: () => `
        import { Engine, findGuestRefusal, runCommand } from "rebox";
        export function initialize_callbacks(_: number, print: (text: string) => void): void {
          const look = setInterval(async () => {
            if (findGuestRefusal()?.isEarly !== false) return;
            clearInterval(look);
            print(await runCommand("trace_syscalls NtClose") ?? "");
            await new Promise((resolve) => setTimeout(resolve, 1500));
            await Engine.get().quit();
          }, 50);
        }
        export const clean = (): void => {};
      `,
    }); // prettier-ignore
    assert.equal(run.status, 0, run.stderr);
    assert.doesNotMatch(run.stderr, /callback .* failed/);
    assert.equal(run.stderr.match(/the guest's system cannot be read/g)?.length, 1, run.stderr);
    assert.match(run.messages[0] ?? "", /^tracing NtClose, but nothing is traced now: no Linux kernel is found \(/);
  }));
