import { spawnSync } from "node:child_process";
import { realpathSync } from "node:fs";
import { join, relative } from "node:path";
import { filesBelow } from "./fingerprint.mjs";
import { places } from "./places.mjs";

// For a whole file: it may boot several guests, on a machine that may be busy.
const TIMEOUT_MS = 900_000;

// Node, V8 and QEMU's coroutines switch stacks and handle faults in ways that AddressSanitizer takes for errors.
const ASAN_OPTIONS = [
  "detect_leaks=0",
  "handle_segv=0",
  "handle_sigbus=0",
  "allow_user_segv_handler=1",
  "detect_stack_use_after_return=0",
  "use_sigaltstack=0",
];

const USAGE = "usage: node native/setup/run-tests.mjs [fast] [--sanitize]";

const args = process.argv.slice(2);
const fast = args.includes("fast");
const sanitize = args.includes("--sanitize");
if (args.some((arg) => arg !== "fast" && arg !== "--sanitize")) fail(`unknown argument\n${USAGE}`);

const directory = join(places.build, "js/test", fast ? "fast" : "");
const tests = filesBelow(directory).filter((path) => path.endsWith(".test.js"));
if (tests.length === 0) fail(`no *.test.js below ${directory}; run "npm run setup" first`);

const { status, signal } = spawnSync(
  process.execPath,
  [
    "--enable-source-maps",
    "--test",
    "--test-reporter=spec",
    "--test-concurrency=2",
    `--test-timeout=${TIMEOUT_MS}`,
    ...tests.map((path) => relative(places.root, path)),
  ],
  { cwd: places.root, env: { ...process.env, ...(sanitize ? sanitizerEnvironment() : {}) }, stdio: "inherit" },
);
if (signal) fail(`the test runner was ended by ${signal}`);
process.exit(status ?? 1);

/** Returns what makes Node load the sanitizer before the addon that needs it. */
function sanitizerEnvironment() {
  const { stdout, error } = spawnSync("gcc", ["-print-file-name=libasan.so"], { encoding: "utf8" });
  // Without the file gcc prints the bare name.
  if (error || !stdout.startsWith("/")) fail("gcc has no libasan.so; install build-essential and set up again");
  return { REBOX_BUILD: "asan", LD_PRELOAD: realpathSync(stdout.trim()), ASAN_OPTIONS: ASAN_OPTIONS.join(":") };
}

function fail(message) {
  console.error(`tests: ${message}`);
  process.exit(1);
}
