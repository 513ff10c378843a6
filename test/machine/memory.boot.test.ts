import assert from "node:assert/strict";
import { test } from "node:test";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";

const PATTERN = "0x5ca1ab1e0ddba115";

test("a page that a process filled reads the same from outside: physical, virtual, through a view", async () => {
  const run = await runGuest({
    task: "pattern",
    parameters: { pattern: PATTERN },
    script: (serial) => `
      import { createHash } from "node:crypto";
      import { CallbackManager, Engine, MemoryError, findPa, readPa, readVa, vaToPa, viewPa, writeVa } from "rebox";
      ${scriptPrelude(serial)}
      const pgds = new Set<bigint>();
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        cm = new CallbackManager(handle);
        cm.addCallback(CallbackManager.CONTEXTCHANGE_CB, (_, pgd) => void pgds.add(pgd));
        void look(printer);
      }
      async function look(printer: (text: string) => void): Promise<void> {
        const truth = await untilTruth("pattern.done");
        const physical = BigInt(truth.get("pattern.physical")!);
        const virtual = BigInt(truth.get("pattern.virtual")!);
        const hash = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
        printer("physical " + hash(readPa(physical, 4096)));
        printer("view 0x" + viewPa(physical, 4096).getBigUint64(4088, true).toString(16));
        const owners = [...pgds].filter((pgd) => findPa(pgd, virtual) === physical);
        printer("owners " + owners.length);
        const pgd = owners[0]!;
        printer("virtual " + hash(readVa(pgd, virtual, 4096)));
        printer("translated 0x" + vaToPa(pgd, virtual + 8n).toString(16));
        writeVa(pgd, virtual, Buffer.from("written!"));
        printer("written " + readPa(physical, 8).toString());
        for (const attempt of [() => readVa(pgd, 0x10n, 8), () => readPa(1n << 50n, 8), () => readPa(0xfee00000n, 4)]) {
          try {
            attempt();
            printer("no error");
          } catch (error) {
            printer((error instanceof MemoryError) + " " + (error as Error).message.replaceAll(pgd.toString(16), "PGD"));
          }
        }
        await Engine.get().quit();
      }
      export function clean(): void {
        cm.clean();
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  const sha256 = run.truth.get("pattern.sha256");
  assert.match(sha256 ?? "", /^[0-9a-f]{64}$/);
  assert.deepEqual(run.messages, [
    `physical ${sha256}`,
    `view ${PATTERN}`,
    "owners 1",
    `virtual ${sha256}`,
    `translated 0x${(BigInt(run.truth.get("pattern.physical")!) + 8n).toString(16)}`,
    "written written!",
    "true nothing is mapped at 0x10 in the address space of pgd 0xPGD",
    "true physical address 0x4000000000000 is not RAM: nothing or a device answers there",
    "true physical address 0xfee00000 is not RAM: nothing or a device answers there",
  ]);
});
