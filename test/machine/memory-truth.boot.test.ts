import assert from "node:assert/strict";
import { test } from "node:test";
import { type BootImage, withBootImage } from "../kit/guests/boot-image";
import { MEMORY_ACCESS } from "../kit/guests/boot-programs";
import { runGuest } from "../kit/guests/guest-run";

async function watch({ labels, qemuArgs }: BootImage): Promise<string[]> {
  const at = (label: string) => `${labels.get(label)}n`;
  const run = await runGuest({
    task: null,
    qemuArgs,
    script: () => `
      import { ALL_PROCESSES, CallbackManager, Engine, startMonitoringProcess } from "rebox";
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        const seen: string[] = [];
        let on = false;
        startMonitoringProcess(ALL_PROCESSES);
        cm.addCallback("INSN_BEGIN_CB", (_, cpu) => {
          if (cpu.CS_BASE === 0n && cpu.RIP === ${at("begin")}) on = true;
        }, { filter: { pc: { from: ${at("begin")}, to: ${at("stop")} } } });
        cm.addCallback("MEM_READ_CB", (_, vaddr, size, haddr) => {
          if (on) seen.push("R" + size + " " + vaddr.toString(16) + (haddr === vaddr ? "" : " at " + haddr.toString(16)));
        });
        cm.addCallback("MEM_WRITE_CB", (_, vaddr, size, haddr, data) => {
          if (on) seen.push("W" + size + " " + vaddr.toString(16) + " " + data.toString(16) + (haddr === vaddr ? "" : " at " + haddr.toString(16)));
        });
        cm.addCallback("INSN_BEGIN_CB", () => {
          on = false;
          cm.clean();
          for (const line of seen) print(line);
          setTimeout(() => void Engine.get().quit(), 0);
        }, { addr: ${at("stop")} });
      }
      export const clean = (): void => cm.clean();
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  return [...run.messages];
}

// What the instructions of MEMORY_ACCESS do, as the processor's manual says: kind and size, linear address, value written.
const BEFORE_PUSHA = [
  ...["W1 6000 5a", "W2 6002 1234", "W4 6004 89abcdef", "R2 6002", "R4 6004"],
  // Across two pages, as one access.
  ...["W4 6ffe 1020304", "R4 6ffe"],
  ...["W2 79fe 1111", "R2 79fe"],
];
const PUSHA = [
  ...["W2 79fe 1111", "W2 79fc 2222", "W2 79fa 3333", "W2 79f8 4444"],
  ...["W2 79f6 7a00", "W2 79f4 5555", "W2 79f2 6666", "W2 79f0 7777"],
];
const afterPusha = (farReturn: bigint): string[] => [
  // POPA leaves SP out, which is at 79f6.
  ...["R2 79f0", "R2 79f2", "R2 79f4", "R2 79f8", "R2 79fa", "R2 79fc", "R2 79fe"],
  // A far call pushes CS and IP, a far return pops them.
  ...["W2 79fe 0", `W2 79fc ${farReturn.toString(16)}`, "R2 79fc", "R2 79fe"],
  ...["R2 6000", "W2 6100 5a", "R2 6002", "W2 6102 1234", "R2 6004", "W2 6104 cdef"],
  ...["R1 6000", "W1 6000 5b", "R2 6002", "W2 6002 4444"],
  ...["W4 6010 55667788", "W4 6014 11223344", "R8 6010", "W8 6010 bbbbbbbbaaaaaaaa"],
  // ENTER and LEAVE.
  ...["W2 79fe 5555", "R2 79fe"],
  ...["W2 6020 37f", "W2 b8000 741"],
  // INT pushes its frame by itself, which docs/reference/callbacks/mem-read.md says is not reported; IRET pops IP, CS and flags.
  ...["R2 79fa", "R2 79fc", "R2 79fe"],
];

test("every access of a boot sector is reported once, as the processor's manual says", () =>
  withBootImage(MEMORY_ACCESS, async (image) => {
    const seen = await watch(image);
    const pusha = seen.splice(BEFORE_PUSHA.length, PUSHA.length);
    assert.deepEqual(seen.splice(0, BEFORE_PUSHA.length), BEFORE_PUSHA);
    // In which order PUSHA writes cannot be seen by a program.
    assert.deepEqual(pusha.toSorted().reverse(), PUSHA);
    assert.deepEqual(seen, afterPusha(image.labels.get("far_return")!));
  }));
