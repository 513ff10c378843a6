import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { promisify } from "node:util";
import { checkBundle } from "../../src/cli/bundle/check-bundle";
import { BUILT, PROJECT, REBOX } from "../kit/project";

const run = promisify(execFile);

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-bundle-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

/** Makes a rebox of two words: the compiled files print "files", the bundle prints "bundle". */
function makeSmallRebox(): void {
  for (const file of ["main.js", "bundle/load-bundle.js"]) {
    cpSync(join(BUILT, "src/cli", file), join(folder, "build/js/src/cli", file));
  }
  write("build/js/src/cli/command-line.js", 'exports.start = () => console.log("files");');
  const programs = '{ rebox: () => { console.log("bundle"); process.exitCode = Number(process.env.STATUS ?? 0); } }';
  const parameters = "exports,require,module,__filename,__dirname";
  write("build/bundle/rebox-1.js", `(function(${parameters}){ module.exports.programs = ${programs}; })`);
  write("build/js/tsbuildinfo", "one");
  const { mtimeMs, size } = statSync(join(folder, "build/js/tsbuildinfo"));
  write(
    "build/bundle/stamp.json",
    JSON.stringify({ file: "rebox-1.js", inputs: { "js/tsbuildinfo": [mtimeMs, size] } }),
  );
}

async function start(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const main = join(folder, "build/js/src/cli/main.js");
  const { stdout } = await run(process.execPath, [main, ...args], {
    env: { ...process.env, XDG_CACHE_HOME: join(folder, "cache"), ...env },
  });
  return stdout.trim();
}

describe("a launcher", () => {
  beforeEach(makeSmallRebox);

  test("starts the bundle that fits the compiled files", async () => assert.equal(await start(), "bundle"));

  test("starts the compiled files when there is no bundle", async () => {
    rmSync(join(folder, "build/bundle"), { recursive: true });
    assert.equal(await start(), "files");
    assert.equal(checkBundle(folder).detail, "there is none");
  });

  test("starts the compiled files when they are newer than the bundle", async () => {
    assert.equal(checkBundle(folder).status, "ok");
    utimesSync(join(folder, "build/js/tsbuildinfo"), 1, 1);
    assert.equal(await start(), "files");
    assert.equal(checkBundle(folder).status, "warn");
  });

  test("starts the compiled files when a file that the bundle was made of is gone", async () => {
    rmSync(join(folder, "build/js/tsbuildinfo"));
    assert.equal(await start(), "files");
  });

  test("starts the compiled files with REBOX_BUNDLE=no", async () => {
    assert.equal(await start([], { REBOX_BUNDLE: "no" }), "files");
  });

  test("keeps what V8 has compiled, for each command", async () => {
    const kept = () => readdirSync(join(folder, "build/bundle/code/rebox-1.js")).sort();
    await start(["run"]);
    const name = `run-${process.version}-${process.arch}.code`;
    assert.deepEqual(kept(), [name]);
    const { mtimeMs } = statSync(join(folder, "build/bundle/code/rebox-1.js", name));
    assert.equal(await start(["run"]), "bundle");
    assert.equal(statSync(join(folder, "build/bundle/code/rebox-1.js", name)).mtimeMs, mtimeMs);
    await start(["attach"]);
    assert.equal(kept().length, 2);
  });

  test("keeps nothing of a command that fails", async () => {
    await assert.rejects(start(["nonsense"], { STATUS: "1" }));
    assert.ok(!existsSync(join(folder, "build/bundle/code")));
  });

  test("keeps it in the user's cache where rebox's folder cannot be written", async () => {
    write("build/bundle/code", "a file");
    assert.equal(await start(["run"]), "bundle");
    assert.equal(readdirSync(join(folder, "cache/rebox/code/rebox-1.js")).length, 1);
    assert.equal(await start(["run"]), "bundle");
  });

  test("does without where kept code is damaged", async () => {
    await start(["run"]);
    const [name] = readdirSync(join(folder, "build/bundle/code/rebox-1.js"));
    write(`build/bundle/code/rebox-1.js/${name}`, "damaged");
    assert.equal(await start(["run"]), "bundle");
  });

  test("makes kept code anew that V8 does not take", async () => {
    await start(["run"]);
    const [name] = readdirSync(join(folder, "build/bundle/code/rebox-1.js"));
    const file = join(folder, "build/bundle/code/rebox-1.js", name!);
    const whole = statSync(file).size;
    writeFileSync(file, "damaged");
    await start(["run"]);
    assert.equal(statSync(file).size, whole);
  });

  test("keeps code by the options of V8, which takes none of other options", async () => {
    const env = { NODE_OPTIONS: "--max-old-space-size=300" };
    await start(["run"]);
    await start(["run"], env);
    const files = readdirSync(join(folder, "build/bundle/code/rebox-1.js")).map((name) => join(folder, "build/bundle/code/rebox-1.js", name)); // prettier-ignore
    assert.equal(files.length, 2, files.join(" "));
    const times = files.map((file) => statSync(file).mtimeMs);
    await start(["run"], env);
    await start(["run"]);
    assert.deepEqual(files.map((file) => statSync(file).mtimeMs), times); // prettier-ignore
  });

  test("keeps the code of four bundles in the user's cache, the newest", async () => {
    write("build/bundle/code", "a file");
    for (const age of [1, 2, 3, 4, 5]) {
      write(`cache/rebox/code/rebox-old${age}.js/run.code`, "old");
      utimesSync(join(folder, `cache/rebox/code/rebox-old${age}.js`), 1e6 - age, 1e6 - age);
    }
    await start(["run"]);
    const kept = ["rebox-1.js", "rebox-old1.js", "rebox-old2.js", "rebox-old3.js"];
    assert.deepEqual(readdirSync(join(folder, "cache/rebox/code")).sort(), kept);
  });
});

for (const bundle of ["yes", "no"]) {
  test(`an internal error shows the places of the TypeScript (REBOX_BUNDLE=${bundle})`, async () => {
    const preload = join(folder, "throw.cjs");
    write("throw.cjs", 'process.stdout.write = () => { throw new Error("made here"); };');
    const options = bundle === "yes" ? [] : ["--enable-source-maps"];
    const env = { ...process.env, REBOX_BUNDLE: bundle };
    await assert.rejects(
      run(process.execPath, [...options, "--require", preload, REBOX, "--version"], { env }),
      (error: { stderr: string; code: number }) => {
        assert.equal(error.code, 70);
        assert.match(error.stderr, /^rebox: internal error: Error: made here\n/);
        assert.ok(error.stderr.includes(`(${join(PROJECT, "src/cli/program.ts")}:`), error.stderr);
        return true;
      },
    );
  });
}
