import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { chooseTests, findChangedFiles, readSources } from "./changed-tests.mjs";
import { filesBelow } from "./fingerprint.mjs";
import { places } from "./places.mjs";
import { SANITIZED_NODE } from "./steps/sanitized-node.mjs";

// For a whole file: it may boot several guests, on a machine that may be busy.
const TIMEOUT_MS = 900_000;
// Guests are some five times slower in it.
const SANITIZED_TIMEOUT_MS = 3 * TIMEOUT_MS;

// Node, V8 and QEMU's coroutines switch stacks and handle faults in ways that AddressSanitizer takes for errors.
const ASAN_OPTIONS = [
  "detect_leaks=0",
  "handle_segv=0",
  "handle_sigbus=0",
  "allow_user_segv_handler=1",
  "detect_stack_use_after_return=0",
  "use_sigaltstack=0",
];

// Of two cores one would often have nothing to do: tests wait for guests, and for time to pass.
const AT_ONCE = 3;
// Nothing but computing, and tests may wait for a guest no longer than they do.
const SANITIZED_AT_ONCE = 2;

// With more than these something is broken, and not by chance.
const MOST_AGAIN = 6;

const REPORTER = pathToFileURL(join(places.root, "native/setup/failed-files.mjs")).href;

const PROCESSOR_TIME = pathToFileURL(join(places.root, "native/setup/processor-time.mjs")).href;
/** So many files are named as the most expensive ones, where there are more than that. */
const MOST_EXPENSIVE = 15;

const USAGE =
  "usage: node native/setup/run-tests.mjs [--fast] [--node MAJOR | --sanitize] [--again] [--changed [--since REVISION]] [ROOM|NAME ...]";

const { values, positionals: names } = readArguments();
if (values.node !== undefined && values.sanitize) fail(`--node and --sanitize exclude each other\n${USAGE}`);
const otherNode = values.node === undefined ? undefined : findNode(values.node);
const all = filesBelow(join(places.build, "js/test")).filter((path) => path.endsWith(".test.js"));
if (all.length === 0) fail(`no *.test.js below build/js/test; run "npm run setup" first`);
const unknown = names.find((name) => !all.some((path) => isNamed(path, name)));
if (unknown !== undefined) fail(`no test has "${unknown}" in its path below test/\n${USAGE}`);
const changed = values.changed || values.since !== undefined ? findTestsOfChanges() : undefined;
const tests = all
  .filter((path) => names.length === 0 || names.some((name) => isNamed(path, name)))
  .filter((path) => !values.fast || !path.endsWith(".boot.test.js"))
  .filter((path) => changed === undefined || changed.has(relative(join(places.build, "js"), path)));
if (tests.length === 0 && changed !== undefined) process.exit(0);
if (tests.length === 0) fail(`no test of ${names.join(", ")} runs without a guest`);

const failed = runTests(tests);
if (failed.length > 0 && values.again && failed.length <= MOST_AGAIN) {
  console.log(`\ntests: once more, each alone: ${failed.join(", ")}\n`);
  const still = failed.filter((path) => runTests([join(places.build, "js", path)]).length > 0);
  console.log(`\nflaky: ${failed.filter((path) => !still.includes(path)).join(", ") || "none"}`);
  process.exit(still.length > 0 ? 1 : 0);
}
process.exit(failed.length > 0 ? 1 : 0);

/** Runs test files. @returns those that failed, relative to the checkout */
function runTests(paths) {
  const folder = mkdtempSync(join(tmpdir(), "rebox-tests-"));
  const list = join(folder, "failed");
  const times = join(folder, "times");
  const { status, signal } = spawnSync(
    values.sanitize ? SANITIZED_NODE : (otherNode ?? process.execPath),
    [
      "--enable-source-maps",
      ...["--import", PROCESSOR_TIME],
      "--test",
      ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
      ...[`--test-reporter=${REPORTER}`, `--test-reporter-destination=${list}`],
      `--test-concurrency=${values.sanitize ? SANITIZED_AT_ONCE : AT_ONCE}`,
      `--test-timeout=${values.sanitize ? SANITIZED_TIMEOUT_MS : TIMEOUT_MS}`,
      ...paths.map((path) => relative(places.root, path)),
    ],
    {
      cwd: places.root,
      env: {
        ...process.env,
        REBOX_PROCESSOR_TIMES: times,
        ...(values.sanitize ? sanitizerEnvironment() : {}),
        ...(otherNode ? withFirst(otherNode) : {}),
      },
      stdio: "inherit",
    },
  );
  const files = existsSync(list) ? readFileSync(list, "utf8").split("\n").filter(Boolean) : [];
  if (existsSync(times) && paths.length > MOST_EXPENSIVE) sayExpensive(readFileSync(times, "utf8"));
  rmSync(folder, { recursive: true });
  if (signal) fail(`the test runner was ended by ${signal}`);
  if (status !== 0 && files.length === 0) fail(`the test runner ended with ${status} and named no test that failed`);
  return [...new Set(files.map(nameTest))];
}

/** Says which test files have taken the most processor time, with all that they started. */
function sayExpensive(lines) {
  const all = lines
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .sort((a, b) => b.seconds - a.seconds);
  const sum = all.reduce((seconds, each) => seconds + each.seconds, 0);
  console.log(`\ntests: ${Math.round(sum)} s of processor time, most of it for`);
  const show = (seconds) => `${String(Math.round(seconds)).padStart(5)} s`;
  for (const { file, seconds, lastedS } of all.slice(0, MOST_EXPENSIVE)) {
    console.log(`${show(seconds)} in ${show(lastedS)}  ${nameTest(file)}`);
  }
}

/** Names a test by its compiled file below build/js: a failure inside a test has its source's path, by the source map. */
function nameTest(path) {
  const compiled = relative(join(places.build, "js"), path);
  return compiled.startsWith("..") ? relative(places.root, path).replace(/\.ts$/, ".js") : compiled;
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        fast: { type: "boolean", default: false },
        sanitize: { type: "boolean", default: false },
        node: { type: "string" },
        again: { type: "boolean", default: false },
        changed: { type: "boolean", default: false },
        since: { type: "string" },
      },
      allowPositionals: true,
    });
  } catch (error) {
    return fail(`${error.message}\n${USAGE}`);
  }
}

/** Tells whether a test belongs to a room, such as "guest", or has the name in its own, such as "linux". */
function isNamed(path, name) {
  const [room, ...rest] = relative(join(places.build, "js/test"), path).split("/");
  return room === name || rest.join("/").includes(name);
}

/** Returns the compiled tests, relative to build/js, of the files that have changed, and says how many those are. */
function findTestsOfChanges() {
  try {
    const { base, files } = findChangedFiles(places.root, values.since);
    const chosen = chooseTests(readSources(places.root), files);
    console.error(`tests: ${files.length} files differ from ${base}: ${chosen.length} test files`);
    return new Set(chosen.map((path) => path.replace(/\.ts$/, ".js")));
  } catch (error) {
    return fail(`git: ${String(error.stderr ?? error.message).trim()}`);
  }
}

/** Finds the Node of a major version that set-up has fetched, under the name by which the programs of tests find it. */
function findNode(major) {
  const file = join(places.build, "roots/node", `node-${major}`);
  if (!existsSync(file))
    fail(
      `--node ${major}: there is no ${relative(places.root, file)}; "npm run setup -- --for test" fetches 20, 22 and 24`,
    );
  const folder = join(places.build, "nodes", major);
  mkdirSync(folder, { recursive: true });
  rmSync(join(folder, "node"), { force: true });
  // A copy: tests start it as another user too, who cannot look into the cache.
  copyFileSync(file, join(folder, "node"));
  return join(folder, "node");
}

/** Returns the PATH on which a Node comes first: programs of tests that ask for "node" get that one. */
function withFirst(node) {
  return { PATH: `${dirname(node)}:${process.env.PATH ?? ""}` };
}

/** Returns the environment in which every Node is the one that loads the sanitizer. */
function sanitizerEnvironment() {
  if (!existsSync(SANITIZED_NODE)) fail(`${SANITIZED_NODE} is missing; run "npm run test:sanitize", which makes it`);
  return {
    REBOX_BUILD: "asan",
    ...withFirst(SANITIZED_NODE),
    ASAN_OPTIONS: ASAN_OPTIONS.join(":"),
    // A test may not look at what its process prints; it notices that the process is gone.
    UBSAN_OPTIONS: "print_stacktrace=1:halt_on_error=1",
  };
}

function fail(message) {
  console.error(`tests: ${message}`);
  process.exit(1);
}
