import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runGuest } from "../kit/guests/guest-run";

/**
 * A boot sector, assembled by hand: 16-bit code whose code segment does not begin at a page.
 *
 *   7c00  ea 05 00 c0 07   jmp 07c0:0005
 *   7c05  90               nop              at 07c0:0005
 *   7c06  b9 05 00         mov cx, 5
 *   7c09  49               dec cx
 *   7c0a  75 fd            jnz 7c09
 *   7c0c  fa               cli
 *   7c0d  f4               hlt
 */
const CODE = [0xea, 0x05, 0x00, 0xc0, 0x07, 0x90, 0xb9, 0x05, 0x00, 0x49, 0x75, 0xfd, 0xfa, 0xf4];

function makeBootSector(): Buffer {
  const sector = Buffer.alloc(512);
  Buffer.from(CODE).copy(sector);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

test("16-bit code in a segment that begins within a page is seen where it is, and goes on as it would", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-boot-"));
  try {
    const disk = join(folder, "boot.img");
    writeFileSync(disk, makeBootSector());
    const run = await runGuest({
      task: null,
      qemuArgs: ["-drive", `file=${disk},format=raw,if=floppy`, "-boot", "a"],
      script: () => `
        import { ALL_PROCESSES, CallbackManager, Engine, startMonitoringProcess, stopMonitoringProcess } from "rebox";
        let cm: CallbackManager;
        export function initialize_callbacks(handle: number, print: (text: string) => void): void {
          cm = new CallbackManager(handle);
          const seen: string[] = [], blocks: string[] = [];
          const begin = cm.addCallback(CallbackManager.INSN_BEGIN_CB, (_, cpu) => {
            // Removing a callback leaves the generated code: it must come back to the same place.
            cm.rmCallback(begin);
            print("begins at " + cpu.CS_BASE.toString(16) + ":" + cpu.RIP.toString(16));
            startMonitoringProcess(ALL_PROCESSES);
            cm.addCallback(CallbackManager.INSN_BEGIN_CB, (_, vcpu) => {
              if (vcpu.CS_BASE === 0x7c00n && seen.length < 30) seen.push(vcpu.RIP.toString(16));
            });
            cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, (_, vcpu, tb) => {
              if (vcpu.CS_BASE === 0x7c00n) blocks.push(tb.pc.toString(16));
            });
          }, { addr: 0x7c05n });
          cm.addCallback(CallbackManager.INSN_BEGIN_CB, (_, cpu) => {
            print("instructions " + seen.join(" "));
            print("loops " + blocks.filter((pc) => pc === "7c09").length + " cx " + (cpu.RCX & 0xffffn));
            stopMonitoringProcess(ALL_PROCESSES, true);
            setTimeout(() => void Engine.get().quit(), 0);
          }, { addr: 0x7c0dn });
        }
        export function clean(): void {
          cm.clean();
        }
      `,
    });
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.stderr, "");
    const loop = Array.from({ length: 5 }, () => "9 a").join(" ");
    assert.deepEqual(run.messages, ["begins at 7c00:5", `instructions 6 ${loop} c`, "loops 4 cx 0"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
