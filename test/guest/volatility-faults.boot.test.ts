import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { BUILT } from "../kit/project";

const STAND_IN = join(BUILT, "test/kit/systems/stand-in-volatility.js");

interface Told {
  readonly reason?: string;
  readonly message?: string;
  readonly rows?: readonly Record<string, unknown>[];
  readonly warnings?: readonly string[];
  /** The engine's state while the plugin ran, and afterwards. */
  readonly during?: string;
  readonly after: string;
  /** Whether the processes of an endless plugin are gone. */
  readonly isGone?: boolean;
  readonly left: readonly string[];
  readonly progress?: readonly string[];
}

/** Lines for a script: run() runs a plugin and tells what came of it. */
const PRELUDE = (serial: string, folder: string): string => `
  import { CallbackManager, Engine, volatility, waitForGuest } from "rebox";
  import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
  ${scriptPrelude(serial)}
  const pids = ${JSON.stringify(join(folder, "pids"))};
  const runs = ${JSON.stringify(join(folder, "cache/rebox/volatility/runs"))};
  const told: Record<string, unknown> = {};
  process.env["STAND_IN_PIDS"] = pids;
  const isAlive = (pid: number): boolean => { try { process.kill(pid, 0); return true; } catch { return false; } };
  const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const gone = async (): Promise<boolean> => {
    const all = readFileSync(pids, "utf8").split(" ").map(Number);
    // What was killed is there until its parent has asked for its end; process 1 does that for what has lost its parent.
    for (let turn = 0; turn < 500 && all.some(isAlive); turn++) await sleep(20);
    return all.every((pid) => pid > 1 && !isAlive(pid));
  };
  const left = (): string[] => (existsSync(runs) ? readdirSync(runs) : []);
  async function run(label: string, plugin: string, args: string[] = [], options: object = {}): Promise<void> {
    let during: string | undefined;
    const progress: string[] = [];
    rmSync(pids, { force: true });
    const onProgress = (percent: number, what: string) => {
      during ??= Engine.get().state;
      progress.push(percent + " " + what);
    };
    const result = await volatility.run(plugin, args, { onProgress, ...options }).then(
      ({ rows, warnings }) => ({ rows, warnings }),
      ({ reason, message, stack }) => ({ reason, message, stack }),
    );
    const isGone = existsSync(pids) ? await gone() : undefined;
    told[label] = { ...result, during, progress, isGone, after: Engine.get().state, left: left() };
    save();
  }
  const hex = (_: string, value: unknown) => (typeof value === "bigint" ? "0x" + value.toString(16) : value);
  const save = () => writeFileSync(${JSON.stringify(join(folder, "told.json"))}, JSON.stringify(told, hex));
`;

/** Boots a guest with a script that runs plugins of the stand-in, and returns what it told. */
async function tell(body: string, env: NodeJS.ProcessEnv = {}, prepare: (folder: string) => void = () => undefined) {
  const folder = mkdtempSync(join(tmpdir(), "rebox-faults-"));
  try {
    mkdirSync(join(folder, "cache"));
    prepare(folder);
    const run = await runGuest({
      task: "busy",
      timeoutMs: 300_000,
      env: { XDG_CACHE_HOME: join(folder, "cache"), REBOX_VOLATILITY: `'${process.execPath}' '${STAND_IN}'`, ...env },
      script: (serial) => `
        ${PRELUDE(serial, folder)}
        let ending: Promise<void> = Promise.resolve();
        export function initialize_callbacks(handle: number, print: (text: string) => void): void {
          const work = async (): Promise<void> => { await untilTruth("busy"); await waitForGuest(); ${body} };
          ending = work().catch((error) => print(String(error.stack))).finally(() => Engine.get().quit().catch(() => undefined));
        }
        export const clean = (): Promise<void> => ending;
      `,
    });
    assert.deepEqual(run.messages, [], run.stderr);
    assert.equal(run.status, 0, run.stderr);
    const told = JSON.parse(readFileSync(join(folder, "told.json"), "utf8")) as Record<string, Told>;
    const kernels = join(folder, "cache/rebox/volatility/kernels");
    const files = existsSync(kernels) ? readdirSync(kernels, { recursive: true, encoding: "utf8" }) : [];
    return { told, files };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Checks that a plugin failed for this reason, and that the guest runs again and nothing is left. */
function assertFailed(told: Told | undefined, reason: string, message: RegExp, after = "running"): void {
  assert.equal(told?.reason, reason, told?.message);
  assert.match(told?.message ?? "", message);
  assert.equal(told?.after, after);
  assert.deepEqual(told?.left, []);
}

test("rows are typed, the guest stands still meanwhile, and every failure of a plugin leaves it running", async () => {
  const { told, files } = await tell(`
    await run("good", "good");
    await run("unknown", "linux.goood");
    await run("usage", "good", ["--what"]);
    await run("fails", "linux.fails.Fails");
    await run("garbage", "garbage");
    await run("timeout", "endless", [], { timeoutMs: 3000 });
    const abort = new AbortController();
    await run("cancelled", "endless", [], { signal: abort.signal, onProgress: () => abort.abort() });
    await run("aborted before", "good", [], { signal: AbortSignal.abort() });
    await run("live", "good", [], { pause: false });
    await Engine.get().pause();
    await run("paused before", "good");
    await Engine.get().resume();
    await run("paused meanwhile", "good", [], { onProgress: () => void Engine.get().pause() });
    await Engine.get().resume();
    await run("timeout of no use", "good", [], { timeoutMs: -1 });
  `);
  const { good } = told;
  assert.equal(good?.message, undefined, good?.message);
  const [row] = good?.rows ?? [];
  assert.match(String(row?.["Name"]), /^Linux version \d/);
  const cells = Object.fromEntries(Object.entries(row ?? {}).filter(([name]) => name !== "Name"));
  assert.deepEqual(cells, {
    ...{ PID: 1, Offset: "0xf0", Big: "0xffffffffffffffff", Ratio: 0.5, Flag: true, Nothing: null, __children: [] },
  });
  assert.deepEqual([good?.during, good?.after, good?.left], ["paused", "running", []]);
  assert.deepEqual(good?.progress, ["50 Looking", "100 Done"]);
  assert.deepEqual(good?.warnings, ["WARNING volatility3: something odd"]);
  assertFailed(told["unknown"], "plugin", /no plugin "linux\.goood"; did you mean linux\.good\?/);
  assertFailed(told["usage"], "plugin", /unrecognized arguments: --what/);
  assertFailed(told["fails"], "failed", /Page error 0xdead in layer layer_name/);
  assertFailed(told["garbage"], "output", /wrote no JSON.*this is no JSON/);
  assertFailed(told["timeout"], "timeout", /did not end within 3 s/);
  assertFailed(told["cancelled"], "cancelled", /was cancelled/);
  assertFailed(told["aborted before"], "cancelled", /was cancelled/);
  assert.deepEqual([told["timeout"]?.isGone, told["cancelled"]?.isGone], [true, true]);
  assert.deepEqual([told["live"]?.during, told["live"]?.after], ["running", "running"]);
  assert.deepEqual([told["paused before"]?.during, told["paused before"]?.after], ["paused", "paused"]);
  assert.equal(told["paused meanwhile"]?.after, "paused");
  assert.match(told["timeout of no use"]?.message ?? "", /timeoutMs is -1/);
  // One symbol file for all of them.
  assert.equal(files.filter((name) => name.endsWith(".json")).length, 1, files.join());
  assert.ok(!files.some((name) => name.endsWith(".partial")));
});

test("several plugins share one pause, and a callback that waits for one holds the guest", async () => {
  const { told } = await tell(`
    const states: string[] = [];
    const abort = new AbortController();
    const isBegun = new Promise<void>((resolve) => {
      void volatility.run("endless", [], { signal: abort.signal, onProgress: () => resolve() }).catch(() => undefined)
        .finally(() => states.push("endless ended"));
    });
    await isBegun;
    await run("beside", "good");
    abort.abort();
    while (Engine.get().state !== "running") await sleep(10);
    told["order"] = states;
    const callbacks = new CallbackManager(handle);
    await new Promise<void>((resolve) => {
      const id = callbacks.addCallback(CallbackManager.CONTEXTCHANGE_CB, () => {
        callbacks.rmCallback(id);
        return run("in a callback", "good").then(resolve);
      });
    });
    const progress = callbacks;
    await new Promise<void>((resolve) => {
      const id = progress.addCallback(CallbackManager.CONTEXTCHANGE_CB, () => { progress.rmCallback(id); resolve(); });
    });
    told["goes on"] = true;
    save();
  `);
  assert.deepEqual([told["beside"]?.during, told["beside"]?.after], ["paused", "paused"]);
  assert.deepEqual(told["order"], ["endless ended"]);
  assert.equal(told["in a callback"]?.message, undefined, told["in a callback"]?.message);
  assert.deepEqual([told["in a callback"]?.during, told["in a callback"]?.after], ["paused", "running"]);
  assert.equal(told["goes on"], true);
});

test("no Volatility, one that is too old, and one that does not start are told apart, and a repaired one works", async () => {
  const { told } = await tell(
    `
    const standIn = process.env["REBOX_VOLATILITY"]!;
    const use = async (label: string, command: string, behaviour = "") => {
      process.env["REBOX_VOLATILITY"] = command;
      process.env["STAND_IN"] = behaviour;
      await run(label, "good");
    };
    await use("missing", "/nowhere/vol");
    process.env["PATH"] = "/nowhere";
    await use("none at all", "");
    await use("broken", standIn, "broken");
    await use("not Volatility", "/bin/true");
    await use("no interpreter", ${JSON.stringify("FOLDER")} + "/vol");
    await use("repaired", standIn);
    rmSync(runs + "/../programs", { recursive: true });
    writeFileSync(${JSON.stringify("FOLDER")} + "/again.js", readFileSync(${JSON.stringify(STAND_IN)}));
    await use("old", standIn.replace(/ '[^']*'$/, " " + ${JSON.stringify("FOLDER")} + "/again.js"), "version=2.4.1");
  `.replaceAll("FOLDER", FOLDER),
    {},
    () => writeFileSync(`${FOLDER}/vol`, "#!/nowhere/python3\n", { mode: 0o755 }),
  );
  assertFailed(told["missing"], "missing", /no program \/nowhere\/vol; install it: rebox vol install/);
  assertFailed(told["none at all"], "missing", /no "vol" on the PATH; install it: rebox vol install/);
  assertFailed(told["broken"], "broken", /No module named 'volatility3'/);
  assertFailed(told["not Volatility"], "broken", /does not say that it is Volatility 3/);
  assertFailed(told["no interpreter"], "broken", /does not start/);
  assert.equal(told["repaired"]?.message, undefined);
  assertFailed(told["old"], "old", /is Volatility 2\.4\.1, and rebox needs 2\.26\.0 or newer/);
});

test("a guest that ends meanwhile ends the plugin", async () => {
  const { told } = await tell(`
    const end = (): void => void Engine.get().quit();
    await run("ended", "endless", [], { pause: false, onProgress: end });
    await run("after the end", "good");
  `);
  assertFailed(told["ended"], "guest", /the guest has ended/, "shutdown");
  assert.equal(told["ended"]?.isGone, true);
  assertFailed(told["after the end"], "guest", /the guest has ended/, "shutdown");
});

const FOLDER = mkdtempSync(join(tmpdir(), "rebox-stand-in-"));
process.on("exit", () => rmSync(FOLDER, { recursive: true, force: true }));

/** A file system that is too small for a symbol file; undefined when this user may not mount one. */
function mountSmall(folder: string): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "none", folder], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

test("a full disk is told, the guest runs again, and no part of a file stays", async (t) => {
  const small = join(FOLDER, "small");
  mkdirSync(small);
  if (!mountSmall(small)) return t.skip("mounting a small file system takes root");
  try {
    const { told } = await tell('await run("full", "good");', { XDG_CACHE_HOME: small });
    assertFailed(told["full"], "disk", /ENOSPC/);
    const files = readdirSync(small, { recursive: true, encoding: "utf8" });
    assert.deepEqual(
      files.filter((name) => /partial|symbols/.test(name)),
      [],
    );
  } finally {
    execFileSync("umount", [small]);
  }
});
