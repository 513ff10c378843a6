import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readRun } from "../../scripts/_coverage_file";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { inFolder } from "../kit/in-folder";

/** Drives the script through its commands while native/guest/programs/go.h polls, and leaves files named by digits. */
const DRIVE = `
  const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  let files = 0;
  const write = async (): Promise<void> => {
    await sleep(400);
    print(await runCommand("coverage_write " + results + "/" + files++));
  };
  await untilTruth("rounds.waits");
  // It is polling already.
  for (const words of ["process=rounds", "process=rounds", "all", "process=rounds edges", "process=rounds"]) {
    await runCommand("coverage_begin " + words);
    await write();
  }
  // Nothing more is collected, and then again, with what was before.
  await runCommand("coverage_stop");
  await write();
  await runCommand("coverage_continue");
  await write();
  // Others listen in between.
  const beside = new CallbackManager(handle).addCallback("BLOCK_BEGIN_CB", () => {}, { filter: { hits: 10 } });
  await runCommand("coverage_begin process=rounds");
  await write();
  void beside;
  await Engine.get().quit();`;

test("coverage that begins anew, stops and goes on has what a process does again and again, though it was known before", () =>
  inFolder(async (folder) => {
    const config = join(folder, "pyrebox.conf");
    const results = join(folder, "results");
    mkdirSync(results);
    writeFileSync(config, "[MODULES]\nscripts.coverage: True\n[PERMISSIONS]\nscripts.coverage: fs:results\n");
    const run = await runGuest({
      task: "rounds",
      trust: true,
      reboxArgs: ["-c", config],
      timeoutMs: 120_000,
      script: (serial) => `
        ${scriptPrelude(serial)}
        import { CallbackManager, Engine, runCommand } from "rebox";
        const results = ${JSON.stringify(results)};
        export function initialize_callbacks(handle: number, print: (text: string) => void): void {
          const drive = async (): Promise<void> => { ${DRIVE} };
          drive().catch((error) => print("failed: " + error.stack));
        }
        export const clean = (): void => {};
      `,
    });
    assert.equal(run.stderr, "");
    assert.equal(run.messages.length, 8, run.messages.join("\n"));
    const poll = BigInt(run.truth.get("rounds.poll")!);
    const poller = (name: number) => {
      const modules = readRun(readFileSync(join(results, String(name))));
      const program = modules.find(({ path }) => path.endsWith("/rounds"));
      assert.ok(program, run.messages[name]);
      return { offset: Number(poll - program.base), blocks: program.blocks };
    };
    const counts = [0, 1, 2, 3, 4, 5, 6, 7].map((name) => {
      const { offset, blocks } = poller(name);
      assert.ok(blocks.has(offset), `file ${name}: ${run.messages[name]}`);
      return blocks.size;
    });
    // It does nothing else.
    assert.equal(counts[1], counts[0]);
    assert.equal(counts[5], counts[4]);
    assert.equal(counts[6], counts[4]);
  }));
