import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Command } from "commander";
import { createAnalyzeCommand } from "../../src/cli/analyze/analyze-command";
import { createInvestigateCommand } from "../../src/cli/investigate/investigate-command";
import { createLabCommand } from "../../src/cli/lab/lab-command";
import { createMachineCommand } from "../../src/cli/machine/machine-command";
import type { RunEnvironment } from "../../src/cli/run/run-environment";
import { loadConfig } from "../../src/config/rebox-config";
import { examineSetting, type SettingsSchema } from "../../src/config/schema/settings-schema";
import { createShippedMachineries } from "../../src/lab/find-machineries";
import { LAB_SETTINGS } from "../../src/lab/lab-settings";
import { getMachineSchema } from "../../src/lab/machinery/config/machine-settings";
import { ExportedApi } from "../kit/documents/exported-api";
import { type AncestorPage, readNames, readPage } from "../kit/documents/pyrebox-page";
import { inFolder } from "../kit/in-folder";
import { PROJECT } from "../kit/project";

const PAGES: readonly AncestorPage[] = ["cape", "cuckoo3", "mig"];
const api = new ExportedApi();
const environment = { stdout: process.stdout, stderr: process.stderr } as unknown as RunEnvironment;
const commands: readonly Command[] = [
  createAnalyzeCommand,
  createInvestigateCommand,
  createLabCommand,
  createMachineCommand,
].map((create) => (create as (own: RunEnvironment, onStatus: () => void) => Command)(environment, () => undefined));
const machineries = createShippedMachineries();

/** Lists settings with their aliases and, of groups, their members: "timeouts.stop". */
function listSettings(schema: SettingsSchema): string[] {
  return Object.entries(schema).flatMap(([name, type]) => {
    const { meta, definition } = examineSetting(type);
    return [name, ...(meta.aliases ?? []), ...Object.keys(definition.shape ?? {}).map((each) => `${name}.${each}`)];
  });
}

const settings = new Set([
  ...["machines", "interface", ...machineries.map(({ name }) => name), ...listSettings(LAB_SETTINGS)],
  ...machineries.flatMap((each) => [...listSettings(each.settings), ...listSettings(getMachineSchema(each, true))]),
]);

/** Tells whether what a page names on the right is there: an option, a command, a file, a setting, or something to import. */
async function exists(target: string): Promise<boolean> {
  if (target.startsWith("rebox ")) {
    const [, group, name] = target.split(" ");
    const command = commands.find((each) => each.name() === group);
    return command !== undefined && (name === undefined || command.commands.some((each) => each.name() === name));
  }
  const [, section, key] = /^\[(\w+)\] (\w+)$/.exec(target) ?? [];
  if (section !== undefined) {
    return inFolder(async (folder) => {
      writeFileSync(join(folder, "pyrebox.conf"), `[${section}]\n${key}: no\n`);
      return loadConfig(join(folder, "pyrebox.conf")).warnings.length === 0;
    });
  }
  if (target === "--version") return true;
  if (target.startsWith("-")) return commands.some(({ options }) => options.some(({ long, short }) => [long, short].includes(target))); // prettier-ignore
  if (target.includes("/")) return existsSync(join(PROJECT, target));
  if (settings.has(target)) return true;
  // A namespace of functions is a value, whose members the compiler knows by its type.
  const [, member] = /^config\.(\w+)\(\)$/.exec(target) ?? [];
  if (member !== undefined) return member in (await import("../../src/config/schema/settings.js")).config;
  return api.has(target);
}

for (const page of PAGES) {
  test(`docs/reference/${page}.md has every name of that program, and no other`, () => {
    const names = readNames(page);
    const rows = readPage(page);
    assert.ok([...names.values()].flat().length > 50);
    assert.deepEqual([...new Set(rows.map(({ heading }) => heading))].sort(), [...names.keys()].sort());
    for (const [heading, lines] of names) {
      const known = new Set(lines.flat());
      const found = rows.filter((row) => row.heading === heading).flatMap((row) => row.names);
      assert.deepEqual([...known].filter((name) => !found.includes(name)), [], `${heading}: missing`); // prettier-ignore
      assert.deepEqual(found.filter((name) => !known.has(name)), [], `${heading}: not in ${page}-names.txt`); // prettier-ignore
      assert.equal(found.length, new Set(found).size, `${heading}: a name stands twice`);
    }
  });

  test(`each row of docs/reference/${page}.md names something that exists in rebox, or says why there is nothing`, async () => {
    for (const { text, targets, isNone, difference } of readPage(page)) {
      assert.ok(isNone ? difference !== "" : targets.length > 0, text);
      for (const target of targets) assert.ok(await exists(target), `there is no ${target}: ${text}`);
    }
  });
}

test("a name on these pages that does not exist would be noticed", async () => {
  for (const name of [
    ...["rebox machine beget", "rebox nothing", "--no-such-option", "modules/auxiliary/none.ts", "qcow3_path"],
    ...["[INVESTIGATIONS] publicly", "Machinery.begin()", "config.filePaths()", "timeouts.never"],
  ]) {
    assert.equal(await exists(name), false, name);
  }
});
