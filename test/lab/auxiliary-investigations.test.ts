import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { GuestHandle } from "../../src/lab/auxiliary/auxiliary-run";
import { AuxiliaryFolder } from "../kit/lab/auxiliary-folder";
import { PROJECT } from "../kit/project";

const MODULE = join(PROJECT, "modules/auxiliary/investigations.ts");

/** A guest that answers as an engine does, and remembers what it was asked. */
function createGuest(asked: string[]): GuestHandle {
  const command = async (line: string) => {
    asked.push(line);
    if (line.includes("netstat")) throw new Error("the engine is gone");
    return { foundanything: true, success: true, elements: { hostname: "one" }, statistics: {}, errors: null };
  };
  return { command } as unknown as GuestHandle;
}

test("an analysis asks the guest what its configuration says, and keeps answers and failures", async () => {
  const lab = new AuxiliaryFolder();
  try {
    mkdirSync(join(lab.path, "modules/auxiliary"), { recursive: true });
    copyFileSync(MODULE, join(lab.path, "modules/auxiliary/investigations.ts"));
    const action = join(lab.path, "action.json");
    lab.write("action.json", '{"operations":[{"module":"file","parameters":{"searches":{}}}]}');
    lab.configure(
      ...["[investigations]", "enabled = yes", "modules = example, netstat", `action = ${action}`],
      ...["when = both", "most_seconds = 9"],
    );
    const asked: string[] = [];
    const runner = lab.runner({ machine: { guest: createGuest(asked) } });
    await runner.start();
    await runner.machineStarted();
    const questions = [
      "investigate --timeout 9 example",
      "investigate --timeout 9 netstat",
      'investigate --timeout 9 file {"searches":{}}',
    ];
    assert.deepEqual(asked, questions);
    await runner.stop();
    assert.deepEqual(asked, [...questions, ...questions]);
    const folder = join(lab.path, "analyses/1");
    const answers = JSON.parse(readFileSync(join(folder, "investigations.json"), "utf8")) as Record<string, unknown>[];
    const byName = (name: string) => answers.filter(({ module }) => module === name);
    assert.deepEqual(byName("example")[0]?.elements, { hostname: "one" });
    assert.deepEqual(
      byName("netstat").map(({ phase, success, errors }) => [phase, success, errors]),
      [
        ["start", false, ["the engine is gone"]],
        ["end", false, ["the engine is gone"]],
      ],
    );
    assert.equal(lab.acts.filter((act) => act === "investigation").length, 6);
  } finally {
    lab.remove();
  }
});
