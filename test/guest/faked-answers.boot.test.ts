import assert from "node:assert/strict";
import { test } from "node:test";
import { listKits } from "../kit/guests/guest-kits";
import { runGuest } from "../kit/guests/guest-run";

const ANSWERS = `
  import { answerCpuid, answerSystemCall, hookFunction, readVa, writeVa } from "rebox";
  const slow = (pgd: bigint, address: bigint): void => {
    const time = readVa(pgd, address, 16);
    time.writeBigInt64LE(1000n, 0);
    time.writeBigInt64LE(0n, 8);
    writeVa(pgd, address, time);
  };
  export function initialize_callbacks(_handle: number, print: (text: string) => void): void {
    answerSystemCall("openat", (call) => {
      if (call.findText(call.args[1]!) !== "/etc/forged") return undefined;
      refuse();
      return -2;
    });
    answerSystemCall("newuname", {
      after: async (call, result) => {
        await new Promise((resolve) => setTimeout(resolve, 10));
        call.write(call.args[0]! + 65n, new TextEncoder().encode("forged-name\\0"));
        return result;
      },
    });
    answerSystemCall("sysinfo", { before: () => 0n });
    answerSystemCall("clock_gettime", { after: (call) => slow(call.pgd, call.args[1]!) });
    hookFunction("[vdso]", "__vdso_clock_gettime", { onLeave: ({ args: [, address], pgd }) => slow(pgd, address as bigint) }, { parameters: ["ulong", "pointer"] });
    answerCpuid(({ ecx }) => ({ ecx: ecx & ~(1 << 31) }), { leaf: 1 });
    answerCpuid(({ leaf }) => leaf === 0x40000000 ? { ebx: 0x6b6f6f4c, ecx: 0x65726568, edx: 0x21 } : undefined);
    const refuse = (): void => {
    for (const [what, act] of [
      ["name", () => answerSystemCall("no_such_call", () => 1)],
      ["text", () => answerSystemCall(7 as never, () => 1)],
      ["nothing", () => answerSystemCall("openat", {})],
      ["leaf", () => answerCpuid(() => undefined, { leaf: -1 })],
      ["option", () => answerCpuid(() => undefined, { process: 1 } as never)],
    ] as const) {
      try { act(); print(what + " is taken"); } catch (error) { print(what + " " + (error as Error & { code: string }).code); }
    }
    };
  }
  export const clean = (): void => undefined;
`;

/** The task is a program of 64 bits. */
for (const kit of listKits().filter(({ architecture }) => architecture === "amd64")) {
  test(`a program on ${kit.release} gets the answers of a script in place of the kernel's`, async () => {
    const run = await runGuest({ kit, task: "forged", script: () => ANSWERS, trust: false, timeoutMs: 180_000 });
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.stderr, "");
    const said = (name: string) => run.truth.get(`forged.${name}`);
    assert.equal(said("open"), "-2", run.console);
    assert.equal(said("name"), "forged-name");
    assert.equal(said("release"), kit.release);
    assert.equal(said("hypervisor"), "0");
    assert.equal(said("hypervisor_name"), "Lookhere!");
    assert.equal(said("vdso_ms"), "0");
    assert.equal(said("call_ms"), "0");
    assert.deepEqual(run.messages.map((text) => text.replace(/^.*?(\w+ REBOX)/, "$1")), ["name REBOX_HOOK", "text REBOX_HOOK", "nothing REBOX_HOOK", "leaf REBOX_HOOK", "option REBOX_HOOK"]); // prettier-ignore
  });
}
