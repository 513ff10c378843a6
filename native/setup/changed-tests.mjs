import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, dirname, extname, join, relative } from "node:path";
import { filesBelow } from "./fingerprint.mjs";

const SOURCE_FOLDERS = ["src", "test", "scripts", "modules"];

/** Nearly every test starts rebox by one of these, so they say nothing about which test a file below them belongs to. */
const DOORS = ["src/doors/rebox.ts", "src/doors/doors.ts", "src/cli/command-line.ts"];

/** Tests that a change calls for although no import and no name leads from the one to the other. */
const RULES = [
  { changed: /^(native\/(qemu|addon)|qemu-patches)\//, tests: /^test\/(machine|guest)\/.*\.boot\.test\.ts$/ },
  { changed: /^qemu-patches\//, tests: /^test\/setup\/patches\./ },
  { changed: /^native\/setup\//, tests: /^test\/setup\// },
  { changed: /^native\/guest\//, tests: /^test\/setup\/guest-tasks\./ },
  { changed: /^triggers\//, tests: /^test\/machine\/triggers-shipped\./ },
  {
    changed: /^triggers\/(trigger_call_record|call_record|open_calls|recorded_function|guest_reader|guest_thread)\./,
    tests: /^test\/guest\/recorded-calls\./,
  },
  { changed: /^triggers\/.*\.h$/, tests: /^test\/machine\/trigger/ },
  { changed: /\.md$/, tests: /^test\/project\/document/ },
  { changed: /^(package(-lock)?|tsconfig)\.json$/, tests: /(?<!\.boot)\.test\.ts$/ },
];

/**
 * Lists the files that differ from a revision, with those that git does not know yet and those that are gone.
 *
 * @param root folder of the checkout
 * @param since a revision; without it the point where the branch left its upstream, without an upstream where it left
 *   `main`, and on `main` itself the commit before the last one
 * @returns the revision, and paths relative to the checkout
 */
export function findChangedFiles(root, since) {
  const git = (...args) =>
    execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const base = since ?? findBase(git);
  const changed = git("diff", "--name-only", "--no-renames", "--relative", base, "--");
  const added = git("ls-files", "--others", "--exclude-standard");
  return { base, files: [...new Set(`${changed}${added}`.split("\n").filter(Boolean))].sort() };
}

function findBase(git) {
  for (const parent of ["@{upstream}", "main"]) {
    try {
      const base = git("merge-base", "HEAD", parent).trim();
      if (parent !== "main" || base !== git("rev-parse", "HEAD").trim()) return base;
    } catch {
      // There is no such branch.
    }
  }
  return "HEAD~1";
}

/** Reads the TypeScript files that tests are made of. @returns their text by their path relative to the checkout */
export function readSources(root) {
  const paths = SOURCE_FOLDERS.flatMap((folder) => filesBelow(join(root, folder)));
  return new Map(
    paths.filter((path) => path.endsWith(".ts")).map((path) => [relative(root, path), readFileSync(path, "utf8")]),
  );
}

/**
 * Chooses the tests that changed files call for: those that import them, those of the same room, and those that name a
 * document, script, module or program. It is a choice for work in progress: only all tests show that nothing broke.
 *
 * @param sources as readSources() returns them
 * @param changed paths relative to the checkout; a path that is gone counts as well
 * @returns paths of tests, sorted
 */
export function chooseTests(sources, changed) {
  const tests = [...sources.keys()].filter((path) => path.endsWith(".test.ts"));
  const imports = new Map([...sources].map(([path, text]) => [path, findImports(path, text, sources)]));
  const importers = new Map([...sources.keys()].map((path) => [path, []]));
  for (const [path, targets] of imports) for (const target of targets) importers.get(target).push(path);
  const readers = new Map(tests.map((test) => [test, readTestText(test, imports, sources)]));

  const chosen = new Set();
  for (const file of changed) {
    const touched = sources.has(file) ? follow([file], importers, (path) => !DOORS.includes(path)) : new Set([file]);
    const names = [...touched].map(findName).filter((name) => name !== undefined);
    const room = /^src\/(\w+)\//.exec(file)?.[1];
    for (const test of tests) {
      const isChosen =
        touched.has(test) ||
        test.startsWith(`test/${room}/`) ||
        names.some((name) => name.test(readers.get(test))) ||
        RULES.some((rule) => rule.changed.test(file) && rule.tests.test(test));
      if (isChosen) chosen.add(test);
    }
  }
  return [...chosen].sort();
}

/** Finds the files that a file imports when it runs, or whose compiled form it names, such as "src/cli/main.js". */
function findImports(path, text, sources) {
  const found = new Set();
  for (const [, target] of text.matchAll(
    /(?:^import (?!type )[^;"]*|^export (?!type )[^;"]*from |\b(?:import|require)\()"(\.[^"\n]*)"/gm,
  )) {
    const bare = join(dirname(path), target).replace(/\.js$/, "");
    const file = [`${bare}.ts`, join(bare, "index.ts")].find((one) => sources.has(one));
    if (file !== undefined) found.add(file);
  }
  for (const [, name] of text.matchAll(/"((?:src|test)\/[\w./-]+)\.js"/g))
    if (sources.has(`${name}.ts`)) found.add(`${name}.ts`);
  return found;
}

/** Returns the pattern by which a test names a file that it does not import; undefined for files of src and test. */
function findName(path) {
  if (/^(src|test)\//.test(path)) return undefined;
  const name = path.endsWith(".md") ? basename(path) : basename(path, extname(path));
  return new RegExp(`(?<![\\w-])${name.replace(/[^\w-]/g, "\\$&")}(?![\\w-])`);
}

/** Returns the text of a test with all of test/kit that it uses. */
function readTestText(test, imports, sources) {
  const files = follow([test], imports, (path) => path.startsWith("test/"));
  return [...files]
    .filter((path) => path.startsWith("test/"))
    .map((path) => sources.get(path))
    .join("\n");
}

/** Returns all that is reached by steps, the start included; a step from a path is taken when `passes` lets it. */
function follow(start, steps, passes) {
  const reached = new Set(start);
  for (const path of reached)
    if (start.includes(path) || passes(path)) for (const next of steps.get(path)) reached.add(next);
  return reached;
}
