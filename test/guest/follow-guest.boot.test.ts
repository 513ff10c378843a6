import assert from "node:assert/strict";
import { test } from "node:test";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";

/**
 * Looks for the kernel whenever it may have moved one of its entries, LIDT (0x0f01) and WRMSR (0x0f30), until it has a process; and
 * follows it all the time.
 */
const FOLLOW = (serial: string): string => `
  import { ALL_PROCESSES, CallbackManager, Engine, findGuest, startMonitoringProcess, stopMonitoringProcess } from "rebox";
  import { followGuest } from "rebox/trusted";
  ${scriptPrelude(serial)}
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    const callbacks = new CallbackManager(handle);
    const seen = new Set<any>();
    let entries = new Set<string>();
    const watch = (): void => {
      startMonitoringProcess(ALL_PROCESSES);
      for (const opcode of [0x0f01, 0x0f30]) {
        callbacks.addCallback(CallbackManager.OPCODE_RANGE_CB, (_index, cpu) => {
          const guest = findGuest();
          if (!guest) return;
          seen.add(guest);
          entries.add([cpu.LSTAR, cpu.SYSENTER_EIP, cpu.IDT_BASE].join());
          if (guest.getProcessList().length < 2) return;
          print("seen " + seen.size + " " + [...seen].map(({ kernel }) => kernel.directMap.start).join());
          print("entries " + entries.size);
          callbacks.clean();
          stopMonitoringProcess(ALL_PROCESSES);
        }, { startOpcode: opcode, endOpcode: opcode });
      }
    };
    watch();
    followGuest((guest) => print("follows " + guest.version.split(" ")[0]), (error) => print(String(error)));
    void (async () => {
      await untilTruth("kernel");
      const guest = findGuest() as any;
      print("later " + seen.has(guest) + " " + guest.kernel.directMap.start);
      seen.clear();
      entries = new Set();
      const engine = Engine.get();
      await engine.qmp("set-action", { reboot: "reset" });
      // The kernel that idles writes registers too: it is looked for again from the first instruction behind the reset.
      await engine.qmp("stop");
      const isReset = new Promise((resolve) => engine.on("reset", () => resolve(undefined)));
      await engine.qmp("system_reset");
      await isReset;
      watch();
      await engine.qmp("cont");
      // The console's file begins anew for no reset: the guest writes its line a second time.
      while (readFileSync(serialFile, "latin1").split("rebox-guest: kernel=").length < 3) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
      print("again " + seen.has(findGuest()) + " " + (findGuest() === guest));
      void engine.quit();
    })();
  }
  export const clean = (): void => undefined;
`;

test("a kernel that boots is one guest, however often it moves its entries, and is followed once for each start", async () => {
  const { messages, stderr } = await runGuest({
    task: "idle",
    boots: true,
    script: FOLLOW,
    trust: true,
    timeoutMs: 240_000,
  });
  assert.equal(stderr, "");
  const told = (word: string) =>
    messages.filter((text) => text.startsWith(`${word} `)).map((text) => text.split(" ").slice(1));
  assert.deepEqual(told("follows"), [["Linux"], ["Linux"]], messages.join("\n"));
  const [first, second] = told("seen");
  assert.deepEqual([first?.[0], second?.[0]], ["1", "1"]);
  // It was looked for while it had not all of its entries.
  for (const [count] of told("entries")) assert.ok(Number(count) > 1, `entries ${count}`);
  // It was found where it is to this day, also by its first page tables.
  assert.deepEqual(told("later"), [["true", first?.[1]]]);
  assert.deepEqual(told("again"), [["true", "false"]]);
});
