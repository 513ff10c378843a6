import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runRebox } from "./guest-run";

/** The source of a trigger for INSN_BEGIN_CB that passes everything. */
export const TRIGGER = `
  #include "rebox_trigger.h"
  REBOX_TRIGGER_API_VERSION;
  callback_type_t get_type(void) { return INSN_BEGIN_CB; }
  int trigger(callback_handle_t handle, callback_params_t params) { return 1; }
  void clean(callback_handle_t handle) {}
`;

/** Runs a script on a machine without a vCPU, which has nothing to execute: what is refused is refused before that. */
export async function runWithoutGuest(files: Record<string, string>, body: string): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-triggers-"));
  const temporary = join(folder, "temporary");
  try {
    mkdirSync(temporary);
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(folder, name), text);
    }
    writeFileSync(
      join(folder, "script.ts"),
      `
        import * as fs from "node:fs";
        import { CallbackManager, Engine } from "rebox";
        export function initialize_callbacks(handle: number, print: (text: string) => void): void {
          const cm = new CallbackManager(handle);
          const folder = ${JSON.stringify(folder)};
          const attempt = (act: () => void) => {
            try {
              act();
              print("done");
            } catch (error) {
              print((error as Error).name + ": " + (error as Error).message.replaceAll(folder, "."));
            }
          };
          ${body}
          setTimeout(() => void Engine.get().quit(), 0);
        }
        export function clean(): void {}
      `,
    );
    const run = await runRebox(
      [
        ...["run", "--trust", "--json", join(folder, "log.json"), "--script", join(folder, "script.ts")],
        ...["--", "-machine", "none", "-display", "none", "-monitor", "none"],
      ],
      60_000,
      undefined,
      { TMPDIR: temporary },
    );
    assert.equal(run.status, 0, run.stderr);
    const left = readdirSync(temporary).filter((name) => name.startsWith("rebox-trigger-"));
    assert.deepEqual(left, [], "no copy of a trigger is left behind");
    return readFileSync(join(folder, "log.json"), "utf8")
      .split("\n")
      .filter((line) => line.includes('"message"'))
      .map((line) => (JSON.parse(line) as { text: string }).text);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
