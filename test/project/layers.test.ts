import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { test } from "node:test";
import ts from "typescript";
import { PROJECT } from "../kit/project";

const SRC = join(PROJECT, "src");

/** The rooms of src/ from the lowest up. The compiler refuses an import that a room's tsconfig.json does not name. */
const ROOMS = [
  "config",
  "systems",
  "machine",
  "guest",
  "scripts",
  "investigation",
  "shell",
  "lab",
  "server",
  "doors",
  "cli",
];

function listFiles(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? listFiles(path) : [path];
  });
}

function readProject(path: string): ts.ParsedCommandLine {
  const { config } = ts.readConfigFile(path, (file) => readFileSync(file, "utf8"));
  return ts.parseJsonConfigFileContent(config, ts.sys, resolve(path, ".."));
}

/** Returns what the compiler says of imports out of a room that has one more file. */
function findUpwardImports(room: string, source: string): string[] {
  const { options, fileNames, projectReferences } = readProject(join(SRC, room, "tsconfig.json"));
  const added = join(SRC, room, "added.ts");
  const quick = { ...options, noLib: true, types: [] };
  const host = ts.createCompilerHost(quick);
  const { readFile, fileExists, getSourceFile } = host;
  host.readFile = (path) => (path === added ? source : readFile(path));
  host.fileExists = (path) => path === added || fileExists(path);
  host.getSourceFile = (path, version) =>
    path === added ? ts.createSourceFile(path, source, version) : getSourceFile.call(host, path, version);
  const references = projectReferences ?? [];
  const program = ts.createProgram({
    rootNames: [added, ...fileNames],
    options: quick,
    host,
    projectReferences: references,
  });
  return program
    .getOptionsDiagnostics()
    .concat(program.getSemanticDiagnostics(program.getSourceFile(added)))
    .filter(({ code }) => code === 6307 || code === 6059)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}

test("every folder of src/ is a room with a place in the order", () => {
  const folders = readdirSync(SRC, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert.deepEqual(folders.map(({ name }) => name).sort(), [...ROOMS].sort());
});

test("a room sees only rooms below it", () => {
  for (const [at, room] of ROOMS.entries()) {
    const { projectReferences = [] } = readProject(join(SRC, room, "tsconfig.json"));
    const seen = projectReferences.map(({ path }) => relative(SRC, path)).filter((path) => path !== "");
    assert.deepEqual(
      seen.filter((name) => !ROOMS.slice(0, at).includes(name)),
      [],
      room,
    );
  }
});

test("systems/ reads an operating system out of bytes alone, and sees no room except config", () => {
  const { projectReferences = [] } = readProject(join(SRC, "systems/tsconfig.json"));
  assert.deepEqual(
    projectReferences.map(({ path }) => relative(SRC, path)),
    ["config"],
  );
});

test("the script of the server's pages runs in browsers, and sees no room", () => {
  const { projectReferences = [], fileNames } = readProject(join(SRC, "server/browser/tsconfig.json"));
  assert.deepEqual(projectReferences, []);
  const { fileNames: ofServer } = readProject(join(SRC, "server/tsconfig.json"));
  assert.deepEqual(
    fileNames.filter((name) => ofServer.includes(name)),
    [],
  );
});

test("the compiler refuses an upward import", () => {
  const upward = findUpwardImports("config", 'export { Engine } from "../machine/engine/engine";');
  assert.ok(
    upward.some((message) => message.includes("src/machine/engine/engine.ts")),
    upward.join("\n"),
  );
  assert.deepEqual(findUpwardImports("config", "export const nothing = 0;"), []);
});

test("only native/addon includes Node's headers, and only native/qemu QEMU's", () => {
  const includes = (folder: string, pattern: RegExp) =>
    listFiles(join(PROJECT, folder))
      .filter((file) => /\.(c|cc|h)$/.test(file) && pattern.test(readFileSync(file, "utf8")))
      .map((file) => relative(PROJECT, file));
  assert.deepEqual(includes("native/qemu", /#include [<"](node_api|napi|uv|v8)/), []);
  assert.deepEqual(includes("native/addon", /#include "(qemu|exec|hw|target|cpu|rebox|tcg|system)[./]/), []);
});

/** The floors of native/qemu from the lowest up; its files beside them are the contracts, which all may include. */
const FLOORS = ["vcpu", "guest", "events", "monitor"];

function listIncludes(file: string): string[] {
  return [...readFileSync(file, "utf8").matchAll(/^#include "(.*)"/gm)].map(([, path]) => path!);
}

test("the floors of native/qemu include downward only", () => {
  const folder = join(PROJECT, "native/qemu");
  const floors = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert.deepEqual(floors.map(({ name }) => name).sort(), [...FLOORS].sort());
  const upward = FLOORS.flatMap((floor, at) =>
    listFiles(join(folder, floor)).flatMap((file) =>
      listIncludes(file)
        .map((path) => /^rebox\/(\w+)\//.exec(path)?.[1])
        .filter((seen) => seen !== undefined && !FLOORS.slice(0, at + 1).includes(seen))
        .map((seen) => `${relative(PROJECT, file)} includes a header of ${seen}/`),
    ),
  );
  assert.deepEqual(upward, []);
  // The contracts are for other programs too, so they include nothing of a floor.
  for (const contract of ["qemu_glue.h", "hooks.h"]) {
    assert.deepEqual(
      listIncludes(join(folder, contract)).filter((path) => path.startsWith("rebox/")),
      [],
      contract,
    );
  }
});

/** The files of native/addon by subject: each pair of header and source, with what it includes of the others. */
function readAddon(): Map<string, Set<string>> {
  const subjects = new Map<string, Set<string>>();
  for (const file of listFiles(join(PROJECT, "native/addon")).filter((path) => /\.(cc|h)$/.test(path))) {
    const subject = basename(file).replace(/\.\w+$/, "");
    const seen = subjects.get(subject) ?? new Set();
    listIncludes(file).forEach((path) => seen.add(path.replace(/\.h$/, "")));
    subjects.set(subject, seen);
  }
  return subjects;
}

test("a trigger knows nothing of who asks it: triggers and their variables include no dispatch and no subscriptions", () => {
  const addon = readAddon();
  const seen = new Set<string>();
  const follow = (subject: string): void => {
    for (const other of addon.get(subject) ?? []) {
      if (seen.has(other)) continue;
      seen.add(other);
      follow(other);
    }
  };
  follow("triggers");
  assert.deepEqual(
    ["dispatch", "subscriptions", "code_events"].filter((name) => seen.has(name)),
    [],
  );
});
