import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { readWritableFiles } from "../kit/documents/writable-files";
import { withShell } from "../kit/terminal/shell-run";

test("the script, the trigger and the observing file of the page work on a guest", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-doc-"));
  try {
    for (const [name, text] of Object.entries(readWritableFiles())) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    const script = () => `
      import { CallbackManager } from "rebox";
      let callbacks: CallbackManager;
      export function initialize_callbacks(handle: number): void {
        callbacks = new CallbackManager(handle);
      }
      export function do_attach(): string {
        const name = callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => {}, { addr: 0x1000n });
        callbacks.addTrigger(name, ${JSON.stringify(join(folder, "every_second.c"))});
        callbacks.rmCallback(name);
        return "attached";
      }
      export function clean(): void {
        callbacks.clean();
      }`;
    const reboxArgs = ["--script", join(folder, "hello.ts")];
    const { stdout } = await withShell({ task: "idle", reboxArgs, script }, async ({ client, data, truth }) => {
      await truth("kernel");
      let attached = await client.run("custom attach");
      // The script is loaded while the guest begins.
      while (/there is no such command/.test(attached.error ?? "")) attached = await client.run("custom attach");
      assert.match(attached.error === undefined ? attached.text : "", /attached/, attached.error);
      const file = JSON.stringify(join(folder, "modules/auxiliary/engine/loads.ts"));
      const { number } = await data<{ number: number }>(`observe ${file} {}`);
      assert.equal(typeof (await data<{ count: number }>(`observe_end ${number}`)).count, "number");
    });
    assert.match(stdout, /hello/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
