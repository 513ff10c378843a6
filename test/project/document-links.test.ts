import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { createProgram } from "../../src/cli/program";
import type { RunEnvironment } from "../../src/cli/run/run-environment";
import { doors } from "../../src/doors/doors";
import { DOORS, listDoorNames } from "../../src/scripts/loading/doors";
import { findCommands, findOptions, splitCode } from "../kit/documents/documented-commands";
import { PROJECT } from "../kit/project";

const listMarkdown = (place: string, recursive: boolean) =>
  readdirSync(join(PROJECT, place), { recursive, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(place, name));
const DOCUMENTS = [...listMarkdown(".", false), ...listMarkdown("docs", true), ...listMarkdown("qemu-patches", false)];
const read = (path: string) => readFileSync(join(PROJECT, path), "utf8");
const program = createProgram({ projectFolder: PROJECT } as RunEnvironment, undefined, () => undefined);
const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };

/** The anchor that a heading gets: its text in lower case, blanks as dashes, without punctuation. */
function findAnchors(markdown: string): string[] {
  return [...splitCode(markdown).prose.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replace(/ /g, "-"),
  );
}

function findBrokenLinks(document: string, markdown: string): string[] {
  const links = [...splitCode(markdown).prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  return links.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false;
    const [file = "", anchor] = target.split("#");
    const path = file === "" ? join(PROJECT, document) : resolve(PROJECT, dirname(document), file);
    if (!existsSync(path) || relative(PROJECT, path).startsWith("..")) return true;
    return anchor !== undefined && !findAnchors(readFileSync(path, "utf8")).includes(anchor);
  });
}

/** What is wrong with a command of rebox: no such command, or options that it does not know. */
function findFaults(words: readonly string[]): string[] {
  const own = words.includes("--") ? words.slice(0, words.indexOf("--")) : words;
  const [name = ""] = own;
  const found = name.startsWith("-") ? program : program.commands.find((one) => one.name() === name);
  if (!found) return [`there is no command ${name}`];
  const command = found.commands.find((one) => found !== program && one.name() === own[1]) ?? found;
  const known = [...command.options, ...program.options.filter(() => command === program)].flatMap((one) => [
    one.short,
    one.long,
  ]);
  return findOptions(own).filter((option) => !known.includes(option) && !["-h", "--help"].includes(option));
}

/** What is wrong with a command of npm; options behind "--" are those that the script's usage names. */
function findNpmFaults(words: readonly string[]): string[] {
  const [verb, ...rest] = words;
  if (["ci", "init", "install"].includes(verb!)) return [];
  const name = verb === "run" ? rest[0]! : verb!;
  const script = scripts[name];
  if (script === undefined) return [`package.json has no script ${name}`];
  const options = findOptions(words.includes("--") ? words.slice(words.indexOf("--") + 1) : []);
  const programs = script.split(" ").filter((word) => /\.m?js$/.test(word));
  const main = programs.at(-1)?.replace(/^build\/js\/(.*)\.js$/, "$1.ts");
  return options.filter((option) => main === undefined || !new RegExp(`${option}\\b`).test(read(main)));
}

test("every link from a document to another, and to a heading, leads somewhere", () => {
  for (const document of DOCUMENTS) {
    assert.deepEqual(findBrokenLinks(document, read(document)), [], document);
  }
});

test("every file of the project that a document names is there", () => {
  for (const document of DOCUMENTS) {
    const named = [...read(document).matchAll(/`((?:src|test|native|docs|bench|qemu-patches)\/[\w./-]+)`/g)];
    const missing = named.map(([, path]) => path!).filter((path) => !existsSync(join(PROJECT, path)));
    assert.deepEqual(missing, [], document);
  }
});

test("every document that a file of the project names is there", () => {
  const folders = ["src", "test", "bench", "native", "modules", "scripts", "triggers"];
  const files = folders.flatMap((folder) =>
    readdirSync(join(PROJECT, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => /\.(ts|mjs|c|h|cc|py|txt)$/.test(name))
      .map((name) => join(folder, name)),
  );
  const missing = ["pyrebox.conf", ...files].flatMap((file) =>
    [...read(file).matchAll(/docs\/((guides|reference|architecture)\/[\w/-]+|[\w-]+)\.md/g)]
      .filter(([path]) => !existsSync(join(PROJECT, path)))
      .map(([path]) => `${file}: ${path}`),
  );
  assert.deepEqual(missing, []);
});

test("every command of rebox and npm that a document mentions exists, with its options", () => {
  let count = 0;
  for (const document of DOCUMENTS) {
    for (const { program: name, words, text } of findCommands(read(document))) {
      count++;
      assert.deepEqual(name === "npm" ? findNpmFaults(words) : findFaults(words), [], `${document}: ${text}`);
    }
  }
  assert.ok(count > 50, `${count} commands`);
});

test("docs/reference/command-line.md describes every command and every option of rebox, and its synopsis names each", () => {
  const page = read("docs/reference/command-line.md");
  const synopsis = [...page.split("\n## ", 1)[0]!.matchAll(/^ {4}rebox ([a-z]+)/gm)].map(([, name]) => name!);
  const names = program.commands.map((command) => command.name()).filter((name) => name !== "help");
  assert.deepEqual([...new Set(synopsis)].sort(), names.sort());
  for (const command of program.commands) {
    assert.ok(page.includes(`\n## rebox ${command.name()}\n`), `rebox ${command.name()}`);
    for (const { long } of command.options.filter((option) => !option.hidden)) {
      assert.ok(page.includes(long!), `rebox ${command.name()} ${long}`);
    }
  }
});

test("each document can be reached from the README", () => {
  const reached = new Set(["README.md"]);
  for (const document of reached) {
    for (const [, target] of read(document).matchAll(/\]\(([^)#\s]+)/g)) {
      const path = relative(PROJECT, resolve(PROJECT, dirname(document), target!));
      if (path.endsWith(".md") && existsSync(join(PROJECT, path)) && statSync(join(PROJECT, path)).isFile()) {
        reached.add(path);
      }
    }
  }
  assert.deepEqual(
    DOCUMENTS.map((document) => join(document)).filter((document) => !reached.has(document)),
    ["CHANGELOG.md"],
  );
});

test("a wrong link, command or option would be noticed", () => {
  const page = join("docs/reference", "x.md");
  assert.deepEqual(findBrokenLinks(page, "[a](shell.md#values) [b](shell.md#value) [c](no.md) [d](../../../x)"), [
    "shell.md#value",
    "no.md",
    "../../../x",
  ]);
  const [good, bad, worse, npm] = findCommands(
    "`rebox run --watch -- -m 5 --x` `npx rebox run --wach`\n\n    $ rebox fly  # so\n    npm run nothing\n",
  );
  assert.deepEqual(findFaults(good!.words), []);
  assert.deepEqual(findFaults(bad!.words), ["--wach"]);
  assert.deepEqual(findFaults(worse!.words), ["there is no command fly"]);
  assert.deepEqual(findNpmFaults(npm!.words), ["package.json has no script nothing"]);
  assert.deepEqual(findNpmFaults(["run", "bench", "--", "--only", "x"]), []);
  assert.deepEqual(findNpmFaults(["run", "soak", "--", "--only"]), ["--only"]);
});

test("every function and class that scripts import is in a document, and every task of the guest kit", () => {
  // docs/reference/pyrebox.md only says which name of PyREBox it is.
  const text = DOCUMENTS.filter((document) => document !== "docs/reference/pyrebox.md")
    .map(read)
    .join("\n");
  const names = DOORS.flatMap((door) => listDoorNames(doors, door));
  assert.ok(names.length > 60);
  assert.deepEqual(
    names.filter((name) => !new RegExp(`\\b${name}\\b`).test(text)),
    [],
  );
  const tasks = readdirSync(join(PROJECT, "native/guest/tasks"));
  assert.deepEqual(
    tasks.filter((task) => !read("docs/guides/setup.md").includes(`\n| \`${task}\` |`)),
    [],
  );
});
