import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { createRunCommand } from "../../src/cli/run/run-command";
import type { RunEnvironment } from "../../src/cli/run/run-environment";
import { parseBytes } from "../../src/shell/commands/arguments/typed-values";
import { listCommandNames } from "../../src/shell/commands/command-table";
import { parseRange } from "../../src/shell/commands/arguments/memory-place";
import { loadConfig } from "../../src/config/rebox-config";
import { ExportedApi } from "../kit/documents/exported-api";
import { type NameRow, readNames, readPage } from "../kit/documents/pyrebox-page";
import { PROJECT } from "../kit/project";

const PAGE = readPage();
const api = new ExportedApi();

const read = (path: string) => readFileSync(join(PROJECT, path), "utf8");
const hasWord = (text: string, word: string) => new RegExp(`(?<![\\w.])${word}(?!\\w)`).test(text);
const triggerHeaders = [
  ...["triggers/rebox_trigger.h", "native/qemu/qemu_glue.h", "triggers/pyrebox/callbacks.h"],
  "triggers/pyrebox/utils.h",
]
  .map((path) => read(path).replace(/\/\*.*?\*\//gs, ""))
  .join("\n");
const options = createRunCommand({} as RunEnvironment, undefined, () => undefined).options.map(({ long }) => long);

/** A trigger's source with the headers of triggers/ that it includes. */
function readWithHeaders(path: string): string {
  return read(path).replace(/#include "(\w+\.h)"/g, (line, header: string) =>
    existsSync(join(PROJECT, "triggers", header)) ? readWithHeaders(`triggers/${header}`) : line,
  );
}

function isValue(text: string): boolean {
  const names = {
    findRegister: (name: string) => (/^r(ip|sp)$/i.test(name) ? 1n : undefined),
    findSymbol: (_: string | undefined, name: string) => (name === "schedule" ? 1n : undefined),
    findVariable: (name: string) => (name === "here" ? "1" : undefined),
  };
  return [() => parseRange(text, names), () => parseBytes(text)].some((parse) => {
    try {
      parse();
      return true;
    } catch {
      return false;
    }
  });
}

function isSetting(text: string): boolean {
  const [, section, key] = /^\[(\w+)\] (\S+)$/.exec(text) ?? [];
  const folder = mkdtempSync(join(tmpdir(), "rebox-config-"));
  try {
    writeFileSync(join(folder, "pyrebox.conf"), `[${section}]\n${key}: no\n`);
    return section !== undefined && loadConfig(join(folder, "pyrebox.conf")).warnings.length === 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What the names on the right are, by the table that they are in: whether there is one. */
const EXISTS: Readonly<Record<string, (target: string) => boolean>> = {
  Scripts: (target) => new RegExp(`\\b${target}`).test(read("scripts/script_example.ts")),
  "Monitor commands": (target) => read("native/qemu/monitor/hmp_commands.h").includes(`"${target}"`),
  "Shell commands": (target) => listCommandNames().includes(target),
  "Values in the shell": isValue,
  "Command line and configuration": (target) => (target.startsWith("[") ? isSetting(target) : options.includes(target)),
  "Environment and batch runs": (target) => options.includes(target),
  "Trigger functions": (target) => hasWord(triggerHeaders, target),
  "Trigger types": (target) => hasWord(triggerHeaders, target),
  "Triggers that ship": (target) => existsSync(join(PROJECT, target)),
  "Scripts that ship": (target) => existsSync(join(PROJECT, target)),
};

function exists({ heading }: NameRow, target: string): boolean {
  return (EXISTS[heading] ?? ((name) => api.has(name)))(target);
}

test("docs/reference/pyrebox.md has every name of PyREBox, and no other", () => {
  const names = readNames();
  assert.ok([...names.values()].flat().length > 300);
  assert.deepEqual([...new Set(PAGE.map(({ heading }) => heading))].sort(), [...names.keys()].sort());
  for (const [heading, lines] of names) {
    const rows = PAGE.filter((row) => row.heading === heading);
    const missing = lines.filter((line) => !rows.some((row) => line.every((name) => row.names.includes(name))));
    assert.deepEqual(missing, [], heading);
    const known = new Set(lines.flat());
    const made = rows.flatMap((row) => row.names).filter((name) => !known.has(name));
    assert.deepEqual(made, [], `${heading}: these are not in pyrebox-names.txt`);
  }
});

test("each row of the page names something that exists in rebox, or says why there is nothing", () => {
  for (const row of PAGE) {
    const { text, targets, isNone, hasLink, difference } = row;
    assert.ok(isNone ? difference !== "" : targets.length > 0 || hasLink, text);
    const missing = targets.filter((target) => !exists(row, target));
    assert.deepEqual(missing, [], text);
  }
  const isOnPage = (name: string) => PAGE.some(({ targets }) => targets.includes(name));
  for (const name of ["readPa()", "BP.EXECUTION", "get_var", "[VOL] profile", "dq"]) assert.ok(isOnPage(name), name);
});

test("a name on the page that does not exist would be noticed", () => {
  const inTable = (heading: string) => PAGE.find((row) => row.heading === heading)!;
  for (const name of ["readPb", "ALL_PROCESSES()", "BP.EXECUTE", "BreakpointOptions.sice", "Cpu.CR1"]) {
    assert.equal(exists(inTable("Python API"), name), false, name);
  }
  assert.equal(exists(inTable("Monitor commands"), "pyrebox_gdbserver"), false);
  assert.equal(exists(inTable("Shell commands"), "volatility"), false);
  assert.equal(exists(inTable("Values in the shell"), "kernel!nobody"), false);
  assert.equal(exists(inTable("Command line and configuration"), "[VOL] profiles"), false);
  assert.equal(exists(inTable("Command line and configuration"), "--conf"), false);
  assert.equal(exists(inTable("Trigger functions"), "get_cpu_state"), false);
});

test("a trigger that ships has the variables and functions that PyREBox's has", () => {
  for (const { heading, names, targets } of PAGE.filter((row) => row.heading === "Triggers that ship")) {
    const [file] = targets as [string];
    assert.equal(basename(file).replace(/\.\w+$/, ""), names[0], heading);
    const source = readWithHeaders(file);
    for (const name of names.slice(1)) {
      assert.ok(source.includes(`"${name}"`), `${file} has no ${name}`);
    }
  }
});
