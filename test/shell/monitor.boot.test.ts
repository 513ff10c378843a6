import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { type MonitorRun, withMonitors } from "../kit/terminal/monitor-run";
import { PROJECT } from "../kit/project";

/** Counts blocks; says which version it is. */
const COUNTER = (version: string) => `
  import { ALL_PROCESSES, CallbackManager, listCallbacks, startMonitoringProcess } from "rebox";
  let calls = 0;
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    const callbacks = new CallbackManager(handle);
    callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => { calls++; }, { name: "blocks" });
    startMonitoringProcess(ALL_PROCESSES);
  }
  /**
   * Counts the blocks so far.
   *
   * Not in the list.
   */
  export const do_calls = () => String(calls);
  export const do_version = (line: string) => "${version} (" + line + ") " + listCallbacks().map(({ name }) => name).join();
  export const clean = (): void => undefined;
`;

/** Has a command that answers when another one says so. */
const PATIENT = `
  let release: (text: string) => void = () => undefined, waits = 0;
  export const initialize_callbacks = (): void => undefined;
  export const do_wait = (): Promise<string> => new Promise((resolve) => { release = resolve; waits++; });
  export const do_waits = () => String(waits);
  export const do_release = (line: string): void => release("released " + line);
  export const clean = (): void => undefined;
`;

function assertCleanEnd(run: MonitorRun): void {
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  assert.deepEqual(run.sockets, []);
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("QEMU's monitor", () => {
  test("loads, lists, asks, reloads and unloads a script while the guest runs", async () => {
    const run = await withMonitors(
      async ({ first, write }) => {
        const file = write("counter.ts", COUNTER("one"));
        assert.equal(await first.command(`import_module ${file}`), "counter is loaded: handle 1, version 1\n");
        assert.match(await first.command("info status"), /running/);
        const before = Number(await first.command("custom calls"));
        // The guest runs, and the script sees it.
        await first.until("custom calls", (calls) => Number(calls) > before);
        const [heading, line] = (await first.command("list_modules")).split("\n");
        assert.deepEqual(heading!.split(/ +/), ["handle", "version", "name", "runs", "requires", "commands", "file"]);
        assert.deepEqual(line!.split(/ +/), ["1", "1", "counter", "sandboxed", "-", "calls,version", file]);
        assert.equal(
          await first.command("custom"),
          "command  script   help\ncalls    counter  Counts the blocks so far.\nversion  counter\n",
        );
        assert.equal(await first.command("custom version of  today"), "one (of  today) blocks\n");
        write("counter.ts", COUNTER("two"));
        assert.equal(await first.command("reload_module 1"), "counter is loaded: handle 1, version 2\n");
        assert.equal(await first.command("custom version"), "two () blocks\n");
        assert.equal(await first.command("unload_module 1"), "");
        assert.match(await first.command("list_modules"), /^no script is loaded/);
        // A handle is not given twice; what the first one had registered is gone.
        assert.equal(await first.command(`import_module ${file}`), "counter is loaded: handle 2, version 1\n");
        assert.equal(await first.command("custom version"), "two () blocks\n");
      },
      { task: "busy" },
    );
    assertCleanEnd(run);
  });

  test("says what is wrong, and goes on", async () => {
    const run = await withMonitors(async ({ first, write }) => {
      const missing = `${dirname(write("counter.ts", COUNTER("one")))}/missing.ts`;
      assert.match(await first.command(`import_module ${missing}`), /^Error: .*missing\.ts: there is no such file/);
      const file = write("broken.ts", "export const x = 1;\nexport function initialize_callbacks( {\n");
      const answer = await first.command(`import_module ${file}`);
      assert.ok(answer.startsWith(`Error: ${file}:3:1: `), answer);
      assert.match(
        await first.command(`import_module ${write("throws.ts", `${PATIENT}; null!.x;`)}`),
        /^Error: .*throws\.ts:8:/,
      );
      for (const command of ["unload_module", "reload_module"]) {
        assert.equal(
          await first.command(`${command} 7`),
          "Error: module 7: no script has this handle; loaded are: none\n",
        );
        assert.match(await first.command(command), /Try "help (un|re)load_module" for more information\n$/);
      }
      assert.match(await first.command("custom nothing here"), /^Error: custom nothing: there is no such command/);
      assert.match(await first.command("sh r cpl"), /^CPL=[03]\r?\n$/);
      assert.match(await first.command("sh no_such"), /^Error: .*there is no command no_such/);
      assert.match(await first.command("list_modules"), /^no script is loaded/);
      assert.match(await first.command("info status"), /running/);
    });
    assertCleanEnd(run);
  });

  test("takes a script's name or file where it takes its handle, and says when it is loaded already", async () => {
    const run = await withMonitors(async ({ first, write }) => {
      const file = write("counter.ts", COUNTER("one"));
      const already = (version: number) =>
        `counter is loaded already: handle 1, version ${version}; for the present version of its files: reload_module counter`;
      await first.command(`import_module ${file}`);
      assert.equal(await first.command(`import_module ${file}`), `${already(1)}\n`);
      assert.equal(await first.command("reload_module counter"), "counter is loaded: handle 1, version 2\n");
      assert.equal(await first.command("sh reload counter"), "counter is reloaded: version 3\n");
      assert.equal(await first.command("sh import counter"), `${already(3)}\n`);
      const none =
        /^Error: countr: no script of this name is loaded; did you mean counter\?; loaded are: counter \(1\)\n$/;
      for (const word of ["", "sh "]) {
        for (const command of ["unload_module", "reload_module"]) {
          assert.match(await first.command(`${word}${command} countr`), none);
        }
      }
      assert.equal(await first.command(`unload_module ${file}`), "");
      assert.match(await first.command("list_modules"), /^no script is loaded/);
    });
    assertCleanEnd(run);
  });

  test("says for a bare sh where there is a shell with a prompt", async () => {
    const run = await withMonitors(async ({ first }) => {
      assert.match(await first.command("sh"), /^sh runs one command.*rebox attach SOCKET/s);
    });
    assertCleanEnd(run);
  });

  test("helps as with its own commands", async () => {
    const run = await withMonitors(async ({ first }) => {
      assert.equal(
        await first.command("help import_module"),
        "import_module file -- load a script: a file, or a name like scripts.my_script\n",
      );
      const all = (await first.command("help")).split("\n").map((line) => line.split(" ", 1)[0]);
      const own = ["import_module", "unload_module", "reload_module", "list_modules", "custom", "sh"];
      assert.deepEqual(
        own.filter((name) => !all.includes(name)),
        [],
      );
    });
    assertCleanEnd(run);
  });

  test("completes its commands, files, the handles and names of loaded scripts and the names of their commands", async () => {
    const run = await withMonitors(async ({ first, write }) => {
      const file = write("counter.ts", COUNTER("one"));
      assert.equal(await first.complete("import_m"), "import_module ");
      assert.equal(await first.complete(`import_module ${file.slice(0, -6)}`), `import_module ${file} `);
      await first.command(`import_module ${file}`);
      await first.command(`import_module ${write("patient.ts", PATIENT)}`);
      await first.command("unload_module 1");
      assert.equal(await first.complete("reload_module p"), "reload_module patient ");
      assert.equal(await first.complete("unload_module 2"), "unload_module 2 ");
      assert.equal(await first.complete("custom rel"), "custom release ");
    });
    assertCleanEnd(run);
  });

  test("makes text from a script visible that a terminal would obey", async () => {
    const run = await withMonitors(async ({ first, write }) => {
      const evil = `${PATIENT} export const do_evil = () => "\\u001b]0;title\\u0007\\u009b2J";`;
      await first.command(`import_module ${write("evil.ts", evil)}`);
      assert.equal(await first.command("custom evil"), "\\x1b]0;title\\x07\\x9b2J\n");
    });
    assertCleanEnd(run);
  });

  test("waits for one command while others are executed in another monitor, by QMP, and by the guest", async () => {
    const run = await withMonitors(async ({ first, second, qmp, write }) => {
      await first.command(`import_module ${write("patient.ts", PATIENT)}`);
      let isAnswered = false;
      const waiting = first.command("custom wait").finally(() => (isAnswered = true));
      assert.match(await second.command("list_modules"), /patient\.ts/);
      assert.match(await second.command("info status"), /running/);
      assert.deepEqual(((await qmp.execute("list-modules")) as unknown[]).length, 1);
      assert.ok(!isAnswered);
      await second.command("custom release by the second");
      assert.equal(await waiting, "released by the second\n");
    });
    assertCleanEnd(run);
  });

  test("does the same while the guest is paused", async () => {
    const run = await withMonitors(
      async ({ first, qmp, write }) => {
        // The run itself lets the machine go when everything is ready: stopped before that, it would not stay so.
        await first.until("info status", (status) => status.includes("running"));
        await first.command("stop");
        const file = write("counter.ts", COUNTER("one"));
        assert.equal(await first.command(`import_module ${file}`), "counter is loaded: handle 1, version 1\n");
        assert.equal(await first.command("custom calls"), "0\n");
        write("counter.ts", COUNTER("two"));
        assert.equal(((await qmp.execute("reload-module", { handle: 1 })) as { version: number }).version, 2);
        assert.equal(await first.command("custom version"), "two () blocks\n");
        assert.equal(await first.command("custom calls"), "0\n");
        assert.match(await first.command("info status"), /paused/);
        await first.command("cont");
        await first.until("custom calls", (calls) => Number(calls) > 0);
        assert.equal(await first.command("unload_module 1"), "");
      },
      { task: "busy" },
    );
    assertCleanEnd(run);
  });

  test("does the same while a callback holds the guest, and can let it go", async () => {
    const run = await withMonitors(
      async ({ first, second, write }) => {
        const holder = `
          import { CallbackManager } from "rebox";
          let release: () => void = () => undefined, held = 0;
          export function initialize_callbacks(handle: number): void {
            const callbacks = new CallbackManager(handle);
            callbacks.addCallback(CallbackManager.CONTEXTCHANGE_CB, () => {
              if (held++ === 0) return new Promise<void>((resolve) => { release = resolve; });
            });
          }
          export const do_held = () => String(held);
          export const do_release = () => release();
          export const clean = (): void => undefined;
        `;
        await first.command(`import_module ${write("holder.ts", holder)}`);
        await first.until("custom held", (held) => held === "1\n");
        await sleep(200);
        assert.equal(await first.command("custom held"), "1\n");
        const file = write("counter.ts", COUNTER("one"));
        assert.equal(await second.command(`import_module ${file}`), "counter is loaded: handle 2, version 1\n");
        const before = await second.command("custom calls");
        assert.equal(await first.command("reload_module 2"), "counter is loaded: handle 2, version 2\n");
        assert.equal(before, "0\n");
        assert.equal(await second.command("unload_module 2"), "");
        await first.command("custom release");
        await first.until("custom held", (held) => Number(held) >= 3);
      },
      { task: "busy" },
    );
    assertCleanEnd(run);
  });

  test("tells whoever waits that the run has ended, and does not wait itself", async () => {
    let refusal = "";
    const run = await withMonitors(async ({ first, qmp, write }) => {
      await first.command(`import_module ${write("patient.ts", PATIENT)}`);
      const waiting = qmp.execute("custom", { name: "wait" }).catch((error: Error) => (refusal = error.message));
      await first.until("custom waits", (waits) => waits === "1\n");
      first.send("quit");
      await waiting;
    });
    assert.match(refusal, /^the (engine|run) ended before there was an answer$/);
    assertCleanEnd(run);
  });
});

describe("QMP", () => {
  test("has the same commands, with results for programs", async () => {
    const run = await withMonitors(
      async ({ qmp, write }) => {
        const file = write("counter.ts", COUNTER("one"));
        const module = {
          ...{ handle: 1, version: 1, name: "counter", file },
          ...{ requirements: [], trusted: false, commands: ["calls", "version"] },
        };
        assert.deepEqual(await qmp.execute("import-module", { file }), module);
        assert.deepEqual(await qmp.execute("list-modules"), [module]);
        assert.deepEqual(await qmp.execute("custom", { name: "version", arguments: "a  b" }), {
          text: "one (a  b) blocks",
        });
        write("counter.ts", COUNTER("two"));
        assert.deepEqual(await qmp.execute("reload-module", { handle: 1 }), { ...module, version: 2 });
        assert.deepEqual(await qmp.execute("custom", { name: "version" }), { text: "two () blocks" });
        const broken = write("broken.ts", "export {");
        await assert.rejects(qmp.execute("import-module", { file: broken }), { message: new RegExp(`^${broken}:1:`) });
        await assert.rejects(qmp.execute("import-module", { file: 1 }), /expected: string/);
        await assert.rejects(
          qmp.execute("unload-module", { handle: 9 }),
          /^Error: module 9: no script has this handle/,
        );
        assert.match(
          JSON.stringify(await qmp.execute("sh", { command: "r cpl" })),
          /^\{"text":"CPL=[03]","data":\{"CPL":"0x[03]"\}\}$/,
        );
        await assert.rejects(qmp.execute("sh", { command: "no_such" }), /there is no command no_such/);
        assert.deepEqual(await qmp.execute("reload-module", { name: "counter" }), { ...module, version: 3 });
        for (const args of [{}, { handle: 1, name: "counter" }]) {
          await assert.rejects(qmp.execute("unload-module", args), /give either "handle" or "name"/);
        }
        assert.deepEqual(await qmp.execute("unload-module", { name: "counter" }), {});
        assert.deepEqual(await qmp.execute("list-modules"), []);
      },
      { task: "busy" },
    );
    assertCleanEnd(run);
  });

  test("tells their schema", async () => {
    const run = await withMonitors(async ({ qmp }) => {
      interface Entity {
        readonly name: string;
        readonly "meta-type": string;
        readonly "arg-type": string;
        readonly "ret-type": string;
        readonly members: readonly { readonly name: string; readonly type: string }[];
      }
      const schema = (await qmp.execute("query-qmp-schema")) as Entity[];
      const find = (name: string) => schema.find((entity) => entity.name === name)!;
      const describeType = (name: string): string => {
        if (name.startsWith("[")) return `[${describeType(name.slice(1, -1))}]`;
        const members = find(name).members;
        return members === undefined ? name : members.map((member) => `${member.name}: ${member.type}`).join();
      };
      const describeCommand = (name: string) => {
        const command = find(name);
        assert.equal(command["meta-type"], "command");
        return `${describeType(command["arg-type"])} -> ${describeType(command["ret-type"])}`;
      };
      const members =
        /^handle: int,name: str,file: str,version: int,requirements: \[int\],trusted: bool,commands: \[str\]$/;
      const [, module] = describeCommand("import-module").split(" -> ") as [string, string];
      assert.match(module, members);
      assert.equal(describeCommand("import-module"), `file: str -> ${module}`);
      assert.equal(describeCommand("reload-module"), `handle: int,name: str -> ${module}`);
      assert.equal(describeCommand("unload-module"), "handle: int,name: str -> ");
      assert.equal(describeCommand("list-modules"), ` -> [${module}]`);
      assert.equal(describeCommand("custom"), "name: str,arguments: str -> text: str");
      assert.equal(describeCommand("sh"), "command: str -> text: str,data: any");
    });
    assertCleanEnd(run);
  });

  test("executes the monitor's own commands too, those of rebox and those of QEMU, by human-monitor-command", async () => {
    const run = await withMonitors(async ({ qmp, write }) => {
      const hmp = (line: string) => qmp.execute("human-monitor-command", { "command-line": line });
      const file = write("patient.ts", PATIENT);
      assert.equal(await hmp(`  import_module ${file}`), "patient is loaded: handle 1, version 1\r\n");
      assert.match((await hmp("info status")) as string, /running/);
      assert.match((await hmp("help sh")) as string, /^sh \[command\] -- /);
      assert.equal(
        await hmp("unload_module"),
        'unload_module: string expected\r\nTry "help unload_module" for more information\r\n',
      );
      assert.match((await hmp("unload_module 5")) as string, /^Error: module 5: no script has this handle/);
      assert.equal(await hmp("unload_module 1"), "");
      await assert.rejects(qmp.execute("human-monitor-command", {}), /command-line/);
    });
    assertCleanEnd(run);
  });
});

describe("a script", () => {
  test("may give its own monitor's commands, also from within one", async () => {
    const run = await withMonitors(
      async ({ first }) => {
        const answer = await first.command("custom ask");
        assert.match(answer, /^handle .*\n1 .* trusted .*\nhello\r?\n?\n?$/);
      },
      {
        trust: true,
        script: () => `
          import { Engine } from "rebox";
          export const initialize_callbacks = (): void => undefined;
          export async function do_ask(): Promise<string> {
            return (await Engine.get().hmp("list_modules")).replaceAll("\\r", "") + (await Engine.get().hmp("custom hello")).trim();
          }
          export const do_hello = () => "hello";
          export const clean = (): void => undefined;
        `,
      },
    );
    assertCleanEnd(run);
  });

  test("is told when nobody answers a command in time, and an answer that comes later harms nobody", async () => {
    const run = await withMonitors(
      async ({ first, second, qmp }) => {
        await first.command("custom silence");
        const message =
          "no answer within 0.2 s: the command may still be executed; list_modules tells which scripts are loaded";
        const [one, two] = await Promise.all([first.command("list_modules"), second.command("list_modules")]);
        assert.equal(one, `Error: ${message}\n`);
        assert.equal(two, `Error: ${message}\n`);
        await assert.rejects(qmp.execute("list-modules"), { message });
        await sleep(400);
        assert.match(await second.command("info status"), /running/);
      },
      {
        trust: true,
        script: () => `
          import { Engine } from "rebox";
          export const initialize_callbacks = (): void => undefined;
          export function do_silence(): void {
            const { native } = Engine.get();
            native.serveCommands((id) => {
              setTimeout(() => native.answerCommand(id, false, "late"), 400);
            }, 200);
          }
          export const clean = (): void => undefined;
        `,
      },
    );
    assertCleanEnd(run);
  });
});

describe("docs/reference/monitor.md", () => {
  const document = readFileSync(join(PROJECT, "docs/reference/monitor.md"), "utf8");
  const getBlock = (language: string) => new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "ms").exec(document)![1]!;

  test("shows what a monitor answers, and what a program is answered by QMP", async () => {
    const run = await withMonitors(async ({ first, qmp, write }) => {
      const folder = dirname(write("greeter.ts", getBlock("ts")));
      const here = (text: string) => text.replaceAll("/home/me", folder);
      const turns = getBlock("text")
        .split(/^\(qemu\) /m)
        .slice(1);
      assert.ok(turns.length >= 5);
      for (const turn of turns) {
        const [line, answer] = [turn.slice(0, turn.indexOf("\n")), turn.slice(turn.indexOf("\n") + 1)];
        if (line.startsWith("reload_module")) write("greeter.ts", getBlock("ts").replace("Hello", "Good morning"));
        assert.equal(await first.command(here(line)), here(answer), line);
      }
      const exchanges = [...getBlock("json").matchAll(/^-> (.*?)^<- (.*?)(?=^->|$(?![^]))/gms)];
      assert.ok(exchanges.length >= 3);
      for (const [, request, response] of exchanges) {
        const { execute, arguments: args } = JSON.parse(here(request!)) as { execute: string; arguments?: object };
        const answer = await qmp.execute(execute, args).then(
          (value) => ({ return: value }),
          (error: Error) => ({ error: { class: "GenericError", desc: error.message } }),
        );
        assert.deepEqual(answer, JSON.parse(here(response!)));
      }
    });
    assertCleanEnd(run);
  });
});
