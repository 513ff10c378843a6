import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { defaultKit, listKits } from "../kit/guests/guest-kits";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { createSnapshotDisk } from "../kit/guests/snapshot-run";

const OTHER = listKits().find(
  ({ architecture, release }) => architecture === "amd64" && release !== defaultKit().release,
);

test(
  "a state with another kernel is attached to anew when it is loaded, and the events are those of its processes",
  { skip: OTHER ? false : "there is no second kernel" },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "rebox-load-"));
    const qemuArgs = createSnapshotDisk(folder);
    try {
      const saved = await runGuest({
        task: "busy",
        qemuArgs,
        timeoutMs: 120_000,
        script: (serial) => `
          import { Engine, getGuest, saveVm } from "rebox";
          ${scriptPrelude(serial)}
          export function initialize_callbacks(handle: number, print: (text: string) => void): void {
            void untilTruth("busy").then(async () => {
              await saveVm("first");
              print(getGuest().kernel.release);
              await Engine.get().quit();
            }).catch((error) => print(String(error.stack)));
          }
          export const clean = (): void => {};
        `,
      });
      assert.deepEqual([...saved.messages, saved.stderr], [defaultKit().release, ""]);
      const loaded = await runGuest({
        task: "busy",
        kit: OTHER!,
        qemuArgs,
        timeoutMs: 120_000,
        script: (serial) => `
          import { CallbackManager, Engine, getGuest, getProcessList, loadVm } from "rebox";
          ${scriptPrelude(serial)}
          let callbacks: CallbackManager;
          export function initialize_callbacks(handle: number, print: (text: string) => void): void {
            callbacks = new CallbackManager(handle);
            let isLoaded = false;
            callbacks.addCallback(CallbackManager.CREATEPROC_CB, (pid, pgd, name) => {
              if (!isLoaded) return;
              isLoaded = false;
              const found = getProcessList().find((process) => process.pid === pid);
              print(getGuest().kernel.release + " " + (found?.pgd === pgd));
              void Engine.get().quit();
            });
            void untilTruth("busy").then(async () => {
              print(getGuest().kernel.release);
              await loadVm("first");
              print(getGuest().kernel.release + " " + getProcessList()[0]!.name);
              isLoaded = true;
            }).catch((error) => print(String(error.stack)));
          }
          export const clean = (): void => callbacks.clean();
        `,
      });
      const { release } = defaultKit();
      assert.deepEqual([...loaded.messages, loaded.stderr], [OTHER!.release, `${release} init`, `${release} true`, ""]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
