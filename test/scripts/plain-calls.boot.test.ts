import assert from "node:assert/strict";
import { test } from "node:test";
import { runGuest } from "../kit/guests/guest-run";

/** Asks what callbacks ask often, rightly and wrongly, and prints the answers. */
const ASK = (): string => `
  import * as rebox from "rebox";
  const { CallbackManager, Engine, findPa, getBlockCount, isMonitoredProcess, vaToPa } = rebox;
  let callbacks: rebox.CallbackManager;
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    const attempt = (name: string, ask: () => unknown): void => {
      try {
        print(name + " " + typeof ask() + " " + String(ask()));
      } catch (error) {
        const { name: kind, message, address } = error as rebox.MemoryError;
        print(name + " " + kind + ": " + message + " " + typeof address + " " + (error instanceof Error));
      }
    };
    attempt("before the run", () => getBlockCount());
    callbacks = new CallbackManager(handle);
    rebox.setBlockCounting(true);
    let changes = 0;
    callbacks.addCallback("CONTEXTCHANGE_CB", () => {
      if (++changes !== 4) return;
      const pgd = rebox.getRunningProcess();
      const cpu = rebox.readCpu();
      const physical = findPa(pgd, cpu.RIP)!;
      print("same " + (physical === vaToPa(pgd, cpu.RIP)) + " " + rebox.readPa(physical, 8).equals(rebox.readVa(pgd, cpu.RIP, 8)));
      attempt("nothing", () => findPa(pgd, 0n));
      attempt("nothing", () => vaToPa(pgd, 0n));
      attempt("wrapped", () => findPa(pgd, cpu.RIP - (1n << 64n)) === physical);
      for (const wrong of [1, "0x1000", undefined, null, {}]) {
        attempt("findPa", () => findPa(pgd, wrong as bigint));
        attempt("vaToPa", () => vaToPa(wrong as bigint, 0n));
        attempt("isMonitoredProcess", () => isMonitoredProcess(wrong as bigint));
      }
      attempt("monitored", () => isMonitoredProcess(pgd));
      rebox.startMonitoringProcess(pgd);
      attempt("monitored", () => isMonitoredProcess(pgd));
      attempt("monitored", () => isMonitoredProcess(pgd | 1n));
      print("counts " + (getBlockCount() > 1000 && Number.isInteger(getBlockCount())));
      void Engine.get().quit();
    });
  }
  export const clean = (): void => callbacks.clean();
`;

test("the sandbox answers what callbacks ask often as rebox does outside of it, errors included", async () => {
  const [inside, outside] = await Promise.all(
    [false, true].map((trust) => runGuest({ task: "idle", trust, script: ASK })),
  );
  assert.deepEqual([inside!.stderr, outside!.stderr], ["", ""]);
  const { messages } = inside!;
  const isWrong = (text: string): boolean => /^(findPa|vaToPa|isMonitoredProcess) /.test(text);
  // Of wrong arguments the sandbox says which, as for all of its functions.
  const wrong = messages.filter(isWrong);
  assert.equal(wrong.length, 15);
  for (const text of wrong)
    assert.match(text, /TypeError: argument [12] of \w+\(\) is a \w+; it must be a bigint .* true$/);
  assert.deepEqual(
    messages.filter((text) => !isWrong(text)),
    outside!.messages.filter((text) => !isWrong(text)),
  );
  assert.ok(messages.includes("same true true") && messages.includes("counts true"), messages.join("\n"));
  assert.deepEqual(
    messages.filter((text) => text.startsWith("monitored")),
    ["monitored boolean false", "monitored boolean true", "monitored boolean true"],
  );
  assert.match(
    messages.find((text) => text.startsWith("nothing MemoryError"))!,
    /nothing is mapped at 0x0 .* bigint true$/,
  );
});
