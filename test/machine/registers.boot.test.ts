import assert from "node:assert/strict";
import { test } from "node:test";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";

// <linux/reboot.h>: what reboot(2) is called with to power off, in this order.
const REBOOT_MAGIC1 = 0xfee1deadn;
const REBOOT_MAGIC2 = 0x28121969n;
const REBOOT_CMD_POWER_OFF = 0x4321fedcn;
const REBOOT_CMD_RESTART = 0x01234567n;

// struct pt_regs, x86-64 (arch/x86/include/asm/ptrace.h), in bytes: what a system call gets as its only argument.
const PT_REGS_DX = 12 * 8;
const PT_REGS_SI = 13 * 8;
const PT_REGS_DI = 14 * 8;

const prelude = (serial: string) => `
  import { CallbackManager, readVa, writeVa, writeRegister, getRunningProcess, isKernelRunning } from "rebox";
  ${scriptPrelude(serial)}
  let cm: CallbackManager;
  export function clean(): void {
    cm.clean();
  }
`;

test("registers at a kernel address hold what the kernel's interface says", async () => {
  const run = await runGuest({
    task: "identity",
    script: (serial) => `
      ${prelude(serial)}
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        cm = new CallbackManager(handle);
        void untilTruth("identity.ready").then((truth) => {
          const addr = BigInt(truth.get("symbol.__x64_sys_reboot")!);
          let count = 0;
          cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, (cpuIndex, cpu, tb) => {
            const pgd = getRunningProcess(cpuIndex);
            const argument = (offset: number) => readVa(pgd, cpu.RDI + BigInt(offset), 8).readBigUInt64LE();
            printer([cpuIndex, cpu.RIP === addr, tb.pc === addr, cpu.PC === addr, isKernelRunning()].join(" "));
            printer([${PT_REGS_DI}, ${PT_REGS_SI}, ${PT_REGS_DX}].map((o) => argument(o) & 0xffffffffn).join(" "));
            printer("same " + (cpu.CR3 !== 0n && cpu.EAX === (cpu.RAX & 0xffffffffn)) + " " + ++count);
            printer("hidden " + (cpu.CS_LIMIT === 0xffffffffn) + " " + (cpu.RFLAGS & 2n));
          }, { addr });
          cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => printer("wrong process"), { addr, pgd: 0x1000n });
        });
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, [
    "0 true true true true",
    `${REBOOT_MAGIC1} ${REBOOT_MAGIC2} ${REBOOT_CMD_POWER_OFF}`,
    "same true 1",
    "hidden true 2",
  ]);
  assert.equal(run.cause, "guest-shutdown");
});

test("memory written in a callback changes what the guest does", async () => {
  const run = await runGuest({
    task: "identity",
    script: (serial) => `
      ${prelude(serial)}
      export function initialize_callbacks(handle: number): void {
        cm = new CallbackManager(handle);
        void untilTruth("identity.ready").then((truth) => {
          cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, (cpuIndex, cpu) => {
            const restart = Buffer.alloc(8);
            restart.writeBigUInt64LE(${REBOOT_CMD_RESTART}n);
            writeVa(getRunningProcess(cpuIndex), cpu.RDI + ${PT_REGS_DX}n, restart);
          }, { addr: BigInt(truth.get("symbol.__x64_sys_reboot")!) });
        });
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.cause, "guest-reset");
});

test("a kernel function is skipped by writing registers and the program counter", async () => {
  const run = await runGuest({
    task: "identity",
    script: (serial) => `
      ${prelude(serial)}
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        cm = new CallbackManager(handle);
        void untilTruth("identity.ready").then((truth) => {
          cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, (cpuIndex, cpu) => {
            const returnAddress = readVa(getRunningProcess(cpuIndex), cpu.RSP, 8).readBigUInt64LE();
            writeRegister(cpuIndex, "RAX", 4242n);
            cpu.RSP += 8n;
            writeRegister(cpuIndex, "PC", returnAddress);
            printer("skipped");
          }, { addr: BigInt(truth.get("symbol.__x64_sys_geteuid")!) });
        });
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.truth.get("identity.uid"), "4242");
  assert.ok(run.messages.length >= 1);
});

test("control state written in a callback does not repeat the callback", async () => {
  const run = await runGuest({
    task: "identity",
    script: (serial) => `
      ${prelude(serial)}
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        cm = new CallbackManager(handle);
        void untilTruth("identity.ready").then((truth) => {
          cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, (cpuIndex, cpu) => {
            // The same value again: the code being executed has to be left and entered anew all the same.
            cpu.CR4 = cpu.CR4;
            cpu.RFLAGS = cpu.RFLAGS;
            printer("reboot");
          }, { addr: BigInt(truth.get("symbol.__x64_sys_reboot")!) });
        });
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, ["reboot"]);
  assert.equal(run.truth.get("identity.uid"), "0");
});
