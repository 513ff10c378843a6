import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { listCommandGroups } from "../../src/shell/commands/command-table";
import { ControlClient } from "../../src/shell/line/control-client";
import { defaultKit } from "../kit/guests/guest-kits";
import { getMachineArgs } from "../kit/guests/guest-args";
import { runRebox } from "../kit/guests/guest-run";
import { withRounds } from "../kit/terminal/rounds-run";
import { withShell } from "../kit/terminal/shell-run";
import { PROJECT, REBOX } from "../kit/project";

type Row = Record<string, string>;
const hex = (value: bigint) => `0x${value.toString(16)}`;

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-session-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("scripts are loaded, listed, called, reloaded and unloaded from the shell", () =>
  inFolder(async (folder) => {
    const file = join(folder, "greeter.ts");
    const write = (greeting: string) =>
      writeFileSync(
        file,
        `export const initialize_callbacks = () => {};\nexport const do_greet = (line: string) => "${greeting} " + line;\nexport const clean = () => {};\n`,
      );
    await withShell({ task: "idle" }, async (run) => {
      assert.match(await run.text("list_modules"), /no scripts are loaded/);
      assert.match(await run.text("custom"), /no script defines a command/);
      write("Hello");
      const { handle, name } = await run.data<{ handle: number; name: string }>(`import ${file}`);
      assert.match(name, /greeter$/);
      assert.equal(await run.text("custom greet Ada"), "Hello Ada");
      const listed = await run.data<Record<string, unknown>[]>("list_modules");
      assert.deepEqual(
        listed.map((row) => [row.handle, row.name, row.version, row.kind, row.commands]),
        [[handle, name, 1, "sandboxed", ["greet"]]],
      );
      write("Good morning");
      assert.equal((await run.data<{ version: number }>(`reload ${name}`)).version, 2);
      assert.equal(await run.text("custom greet Ada"), "Good morning Ada");
      writeFileSync(file, "export const clean = 1;");
      assert.match(await run.error(`reload ${handle}`), /initialize_callbacks/);
      assert.equal(await run.text("custom greet Bo"), "Good morning Bo");
      await run.text(`unload ${handle}`);
      assert.match(await run.error("custom greet Ada"), /no command greet|greet/);
      assert.match(await run.error(`unload ${handle}`), /no script/);
      assert.match(await run.error(`import ${join(folder, "missing.ts")}`), /missing/);
    });
  }));

test("variables, aliases, expressions and help: each line says what it means", async () => {
  await withRounds({}, async (run) => {
    await run.text(`bp ${run.at("call")}`);
    await run.hit();
    const monitor = await run.monitor();
    const found = await run.data<{ isHealthy: boolean; steps: { evidence: string }[] }>("doctor");
    assert.ok(found.isHealthy && found.steps.some(({ evidence }) => evidence.includes(defaultKit().release)));
    await run.text("$here = rip+10");
    assert.deepEqual(await run.data("$here"), [{ name: "$here", value: hex(monitor.get("RIP")! + 16n) }]);
    await run.text("$more = $here-rsi");
    assert.equal((await run.data<Row[]>("$")).length, 2);
    assert.equal(await run.data("!$more"), hex(monitor.get("RIP")! + 16n - monitor.get("RSI")!));
    await run.text("$more =");
    assert.match(await run.error("$more"), /there is no variable \$more/);
    assert.match(await run.error("dq $nosuch"), /there is no variable \$nosuch/);
    await run.text("alias top = dq rsp:1");
    assert.deepEqual(await run.data("top"), await run.data("dq rsp:1"));
    await run.text("alias a = b");
    await run.text("alias b = a");
    assert.match(await run.error("a"), /lead to each other/);
    assert.equal(await run.data("!cpu.RDI"), "0x0");
    assert.equal(await run.data("!const round: bigint = cpu.RSI; round * 2n"), hex(monitor.get("RSI")! * 2n));
    assert.equal(await run.data("!guest!.findProcess(pgd)!.name"), "rounds");
    assert.equal(
      await run.data("!await Promise.resolve(getNumCpus())").catch(() => run.data("!Promise.resolve(getNumCpus())")),
      1,
    );
    assert.match(await run.error("!nosuch()"), /ReferenceError: nosuch/);
    assert.match(await run.error("!throw new TypeError('on purpose')"), /TypeError: on purpose/);
    const groups = listCommandGroups();
    const listed = await run.data<Row[]>("help");
    assert.equal(listed.length, groups.flatMap(([, commands]) => commands).length);
    for (const { name, aliases = [] } of groups.flatMap(([, commands]) => commands)) {
      // Each other name is the same command.
      for (const alias of [name, ...aliases]) assert.equal((await run.data<Row>(`help ${alias}`)).name, name);
    }
    assert.match(await run.error("statsu"), /there is no command statsu; do you mean status\?/);
  });
});

test("every command has a test that runs it", () => {
  // Commands that show another room's work are tested there.
  const folder = join(PROJECT, "test");
  const tests = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  const sources = tests.map((name) => readFileSync(join(folder, name), "utf8"));
  const names = listCommandGroups().flatMap(([, commands]) => commands.map(({ name }) => name));
  const missing = names.filter((name) => {
    const line = `["'\`]${name.replace(/[$!?]/g, "\\$&")}(?=[\\s"'\`${/\w$/.test(name) ? "" : "\\w"}])`;
    const isAsked = new RegExp(`\\.(text|data|error|run)(<[^(]*>)?\\(\\s*${line}`);
    // Replays are asked many lines at once.
    const isListed = new RegExp(line);
    return !sources.some((source) => isAsked.test(source) || (source.includes("folder.ask(") && isListed.test(source)));
  });
  assert.deepEqual(missing, []);
});

/** Lines that change nothing: whoever asks gets the same answer, as long as the guest stands still. */
const QUESTIONS = [
  "ps",
  "proc 1",
  "vmmap",
  "threads",
  "files",
  "sockets",
  "lm",
  "lm kernel",
  "x kernel!*sched_clock",
  "ln kernel!schedule+10",
  "dt list_head",
  "dt task_struct kernel!init_task comm",
  "r",
  "r all",
  "print_cpu 0",
  "db kernel!linux_banner:20",
  "dw p7c00:8",
  "dd p7c00:4",
  "dq rsp:8",
  "dump kernel!linux_banner:40",
  "strings kernel!linux_banner:80",
  's kernel!linux_banner:100:"version"',
  "u",
  "dis 4",
  "bt",
  "bt 1",
  "bl",
  "status",
  "hmp info status",
  "iord cf8",
  "list_modules",
  "custom",
  "$",
  "alias",
  "!cpu.RIP",
  "help",
  "help dq",
  "nosuch",
  "dq",
  "x kernel!no_such_*",
  "dt nosuch",
];

interface Shown {
  readonly data?: unknown;
  readonly error?: string;
}

test("rebox attach, its JSON, the socket and QEMU's monitor answer alike", async () => {
  await withShell({ task: "busy" }, async (run) => {
    await run.truth("busy");
    await run.text("pause");
    // A session of their own for each of them.
    const other = await ControlClient.connect(run.socket);
    const expected: { readonly line: string; readonly text: string; readonly shown: Shown }[] = [];
    for (const line of QUESTIONS) {
      const answer = await other.run(line);
      expected.push({
        line,
        text: answer.error === undefined ? answer.text : `error: ${answer.error}`,
        shown: answer.error === undefined ? { data: answer.data } : { error: answer.error },
      });
    }
    other.close();
    for (const { line, text } of expected) {
      const monitor = await run.client.run(`hmp sh ${line}`);
      const plain = (monitor.error ?? monitor.text).trimEnd().replace(`sh ${line}: `, "error: ");
      assert.equal(plain, text.trimEnd(), `sh ${line}`);
    }
    const good = expected.filter(({ shown }) => shown.error === undefined);
    const asText = await runRebox(["attach", run.socket, ...good.map(({ line }) => line)], 60_000);
    assert.equal(asText.status, 0, asText.stderr);
    assert.equal(
      asText.stdout,
      good
        .filter(({ text }) => text !== "")
        .map(({ text }) => `${text}\n`)
        .join(""),
    );
    const asJson = await runRebox(["attach", run.socket, "--json", ...good.map(({ line }) => line)], 60_000);
    assert.deepEqual(
      asJson.stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Shown),
      good.map(({ shown }) => shown),
    );
    for (const { line, text } of expected.filter(({ shown }) => shown.error !== undefined)) {
      const failed = await runRebox(["attach", run.socket, line, "status"], 60_000);
      assert.deepEqual([failed.status, failed.stderr, failed.stdout], [1, `${text}\n`, ""], line);
    }
    const nobody = await runRebox(["attach", `${run.socket}.no`], 60_000);
    assert.equal(nobody.status, 1);
    assert.match(nobody.stderr, /nobody listens there; start the guest with rebox run --control/);
  });
});

/** Runs `rebox run --shell` with lines on its standard input, by a shell command around it if one is given. */
function runShell(
  command: readonly string[],
  answer: (shown: string, type: (text: string) => void) => void,
): Promise<string> {
  return new Promise((done, fail) => {
    const [program, ...args] = command as [string, ...string[]];
    const child = spawn(program, args, { cwd: tmpdir(), stdio: ["pipe", "pipe", "inherit"] });
    let shown = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      shown += text;
      answer(shown, (line) => child.stdin.write(line));
    });
    answer("", (line) => child.stdin.write(line));
    child.on("error", fail);
    child.on("close", () => done(shown));
  });
}

// A clone that is not whole yet would be paused as "inmigrate".
const reboxRun = async (folder: string) => [
  ...[process.execPath, REBOX, "run", "--shell", "--plain", "--"],
  ...(await getMachineArgs(folder, { task: "idle", boots: true })),
];

test("rebox run --shell answers the lines of its standard input, and ends the machine when told", () =>
  inFolder(async (folder) => {
    let isAsked = false;
    const shown = await runShell(await reboxRun(folder), (_, type) => {
      if (!isAsked) type("pause\nhmp info status\nnosuch\nquit machine\n");
      isAsked = true;
    });
    assert.match(shown, /VM status: paused\n(.*\n)*error: there is no command nosuch(.*\n)*the machine ends\n/);
  }));

test("at a terminal the shell has a prompt, completes names, and remembers lines", () =>
  inFolder(async (folder) => {
    const quoted = (await reboxRun(folder)).map((word) => `'${word}'`).join(" ");
    const steps = [
      // What comes at once is pasted, and nothing is completed in that.
      { until: /rebox> /, type: "setc" },
      { until: /setc$/, type: "\t" },
      { until: /setc.*pu/s, type: " 0\r" },
      // The arrow brings the line before it back.
      { until: /vCPU 0\r*\n/, type: "\u001b[A" },
      { until: /vCPU 0\r*\n.*setcpu 0/s, type: "\r" },
      { until: /vCPU 0\r*\n.*vCPU 0\r*\n/s, type: "quit machine\r" },
    ];
    const shown = await runShell(["script", "-qfec", quoted, "/dev/null"], (text, type) => {
      const [next] = steps;
      if (next && next.until.test(text)) {
        steps.shift();
        type(next.type);
      }
    });
    assert.match(shown, /the machine ends/);
    assert.deepEqual(steps, []);
  }));
