import assert from "node:assert/strict";
import { test } from "node:test";
import { runGuest } from "../kit/guests/guest-run";

test("a sandboxed script is told the running process as changes of address spaces name it", async () => {
  const { messages, stderr } = await runGuest({
    task: "idle",
    trust: false,
    script: () => `
      import { CallbackManager, Engine, getRunningProcess } from "rebox";
      let callbacks: CallbackManager;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        callbacks = new CallbackManager(handle);
        const entered: bigint[] = [];
        callbacks.addCallback("CONTEXTCHANGE_CB", (oldPgd, newPgd) => {
          if (entered.length === 5) return;
          // The callback comes before or after the change, so the process is one of both.
          const pgd = getRunningProcess();
          if (pgd !== oldPgd && pgd !== newPgd) print("neither " + pgd + ": " + oldPgd + " " + newPgd);
          if (entered.push(newPgd) < 5) return;
          for (const wrong of [1, -1, 0.5, "0n"]) {
            try {
              print("no error for " + wrong + ": " + getRunningProcess(wrong as number));
            } catch (error) {
              print((error as Error).name);
            }
          }
          print(typeof getRunningProcess(0));
          void Engine.get().quit();
        });
      }
      export const clean = (): void => callbacks.clean();
    `,
  });
  assert.equal(stderr, "");
  assert.deepEqual(messages, ["RangeError", "RangeError", "RangeError", "RangeError", "bigint"]);
});
