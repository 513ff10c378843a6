import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { listCommandGroups } from "../../src/shell/commands/command-table";
import { ControlClient } from "../../src/shell/line/control-client";
import { SLOWNESS } from "../kit/guests/guest-run";
import { type ShellRun, withShell } from "../kit/terminal/shell-run";
import { PROJECT } from "../kit/project";

type Row = Record<string, string>;
const hex = (value: bigint) => `0x${value.toString(16)}`;

/** The registers that QEMU's monitor shows, by their name. */
async function readMonitor({ text }: ShellRun): Promise<Map<string, bigint>> {
  const shown = await text("hmp info registers");
  return new Map(
    [...shown.matchAll(/\b([A-Z0-9]+) ?=([0-9a-f]{8,16})\b/g)].map(([, name, value]) => [name!, BigInt(`0x${value}`)]),
  );
}

test("registers, memory and code are what QEMU's own monitor says", async () => {
  await withShell({ task: "busy" }, async (run) => {
    await run.truth("busy");
    await run.text("pause");
    const monitor = await readMonitor(run);
    const shown = {
      ...(await run.data<Row>("r")),
      ...(await run.data<Row>("r control")),
      ...(await run.data<Row>("r debug")),
    };
    const compared = [...monitor.keys()].filter((name) => name in shown);
    assert.ok(compared.length >= 22, compared.join());
    for (const name of compared) assert.equal(shown[name], hex(monitor.get(name)!), name);

    const words = await run.text("hmp x /8gx 0x" + BigInt(shown.RSP!).toString(16));
    const expected = [...words.matchAll(/ 0x([0-9a-f]{16})/g)].map(([, value]) => hex(BigInt(`0x${value}`)));
    assert.deepEqual((await run.data<{ values: string[] }>("dq rsp:8")).values, expected);
    const physical = await run.text("hmp xp /16bx 0x7c00");
    const bytes = [...physical.matchAll(/ 0x([0-9a-f]{2})\b/g)].map(([, value]) => hex(BigInt(`0x${value}`)));
    assert.deepEqual((await run.data<{ values: string[] }>("db p7c00:10")).values, bytes);

    const { address } = (await run.data<Row[]>("ln kernel!vfs_read"))[0]!;
    const code = await run.text(`hmp x /24i ${address}`);
    const lines: { address: bigint; bytes: string }[] = [];
    for (const [, at, bytes, instruction] of code.matchAll(/^0x([0-9a-f]+): {2}(.{2,23}) ?(.*?)\r?$/gm)) {
      // Bytes that find no room in a line are in the next one, without an instruction.
      if (instruction === "") lines.at(-1)!.bytes += bytes;
      else lines.push({ address: BigInt(`0x${at}`), bytes: bytes! });
    }
    assert.equal(lines.length, 24, code);
    const own = await run.data<Row[]>("u kernel!vfs_read:18");
    assert.deepEqual(
      own.map((row) => `${row.address} ${row.bytes}`),
      lines.map(({ address: at, bytes }) => `${hex(at)} ${bytes.replace(/\s/g, "")}`),
    );
  });
});

test("symbols are what the guest's /proc/kallsyms says, in both directions", async () => {
  await withShell({ task: "symbols" }, async (run) => {
    // The guest powers off when it has told; until its kernel is found there is no such symbol.
    while (
      (await run.error("bp kernel!kernel_power_off once")) !== "" ||
      (await run.data<Row[]>("bl"))[0]?.state === "pending"
    ) {
      await run.text("bc *");
    }
    const truth = await run.truth("symbols.done");
    while ((await run.data<{ state: string }>("status")).state !== "paused");
    for (const name of ["_text", "init_task"]) {
      const address = hex(BigInt(truth.get(`symbol.${name}`)!));
      assert.ok(
        (await run.data<Row[]>(`x kernel!${name}`)).some((row) => row.address === address),
        name,
      );
    }
    const init = truth.get("symbol.init_task")!;
    assert.deepEqual(
      (await run.data<Row[]>(`ln ${init}+8`)).map(({ symbol, distance }) => `${symbol} ${distance}`),
      ["init_task 0x8"],
    );
    assert.equal((await run.data<Row[]>("dt task_struct kernel!init_task comm"))[0]?.value, '"swapper/0"');
    assert.match(await run.error("x"), /x needs a name/);
    assert.deepEqual(await run.data("x kernel!no_such_*"), []);
  });
});

test("what is written is read back, and a search tells every place exactly, also across pages and of odd bytes", async () => {
  await withShell({ task: "busy" }, async (run) => {
    await run.truth("busy");
    await run.text("pause");
    await run.text("proc 1");
    const heap = (await run.data<Row[]>("vmmap")).find(({ path }) => path === "[heap]")!;
    const page = BigInt(heap.start!) + 0x1000n;
    const saved = await run.data<{ values: string[] }>(`dump ${hex(page - 16n)}:40`);
    const places = [page - 3n, page + 4n, page + 6n, page + 8n];
    await run.text(`write ${hex(page - 3n)}="(*needle"`);
    // The pattern overlaps itself, and begins with a byte that has a meaning in regular expressions.
    await run.text(`write ${hex(page + 8n)}=28282828`);
    assert.deepEqual(
      (await run.data<Row[]>(`s ${hex(page - 16n)}:40:"(*need"`)).map((row) => row.address),
      [hex(places[0]!)],
    );
    const doubled = (await run.data<Row[]>(`s ${hex(page - 16n)}:40:2828`)).map((row) => row.address);
    assert.deepEqual(
      doubled,
      [8n, 9n, 10n].map((at) => hex(page + at)),
    );
    await run.text(`write ${hex(page + 16n)}=u"wide"`);
    assert.deepEqual(
      (await run.data<Row[]>(`s ${hex(page)}:20:u"wide"`)).map((row) => row.address),
      [hex(page + 16n)],
    );
    assert.match(await run.text(`hmp x /3bx ${hex(page - 3n)}`), /0x28 0x2a 0x6e/);
    await run.text(`ed ${hex(page)}=11223344 55`);
    assert.deepEqual((await run.data<{ values: string[] }>(`dd ${hex(page)}:2`)).values, ["0x11223344", "0x55"]);
    await run.text(`eb ${hex(page - 16n)}=${saved.values.join(" ")}`);
    assert.deepEqual(await run.data(`dump ${hex(page - 16n)}:40`), saved);
    // A page that is not there is shown as such, passed over, and not written in part.
    const end = BigInt(heap.end!);
    assert.match(await run.text(`db ${hex(end - 4n)}:8`), /\?\? \?\? \?\? \?\?/);
    assert.match(await run.error(`write ${hex(end - 1n)}=0000`), /nothing is mapped at/);
  });
});

test("several shells at once have sessions of their own, the socket is the owner's, and a name cannot inject escape codes", async () => {
  await withShell({ task: "busy" }, async (run) => {
    await run.truth("busy");
    assert.equal(statSync(run.socket).mode & 0o777, 0o600);
    const other = await ControlClient.connect(run.socket);
    await run.text("proc 1");
    assert.equal(run.client.prompt, "rebox init:1> ");
    await other.run("status");
    assert.equal(other.prompt, "rebox> ");
    assert.equal((await other.interrupt()).error, undefined);
    assert.equal((await run.data<{ state: string }>("status")).state, "paused");
    const task = (await run.data<Row[]>("ps 2"))[0]!.task!;
    const offset = (await run.data<Row[]>("dt task_struct")).find(({ name }) => name === "comm")!.offset!;
    await run.text(`write ${task}+${offset}="\\x1b[2Jevil\\0"`);
    assert.match(await run.text("ps 2"), / \\x1b\[2Jevil /);
    await run.text("cont");
    await other.run("quit");
    other.close();
    assert.equal((await run.data<{ state: string }>("status")).state, "running");
  });
});

test("a breakpoint pauses the guest exactly there, and steps go where the code says", async () => {
  await withShell({ task: "busy" }, async (run) => {
    await run.truth("busy");
    const notices: Row[] = [];
    const paused = async () => {
      while ((await run.data<{ state: string }>("status")).state !== "paused");
    };
    run.client.onNotice = ({ data }) => notices.push(data as Row);
    const [at] = await run.data<Row[]>("ln kernel!ksys_read");
    await run.text("bp kernel!ksys_read once if cpu.RDX > 16n");
    await paused();
    assert.deepEqual([notices[0]?.pc, notices[0]?.symbol], [at?.address, "kernel!ksys_read"]);
    assert.equal((await readMonitor(run)).get("RIP"), BigInt(at!.address!));
    assert.ok((await readMonitor(run)).get("RDX")! > 16n);
    assert.deepEqual(await run.data("bl"), []);
    const frames = await run.data<Row[]>("bt");
    assert.match(frames[1]?.symbol ?? "", /^kernel!do_syscall_64\+/);
    // The call pushed where it returns to.
    const [pushed] = (await run.data<{ values: string[] }>("dq rsp:1")).values;
    assert.equal(frames[1]?.address, pushed);
    const code = await run.data<Row[]>("u rip:4");
    assert.equal((await run.data<Row>("step")).address, code[1]!.address);
    assert.equal((await run.data<Row>("step 2")).address, code[3]!.address);
    assert.equal((await run.data<Row>("finish")).address, pushed);
    await run.text("bpw kernel!jiffies:8");
    await run.text("cont");
    await paused();
    assert.equal((await run.data<Row[]>("bl"))[0]?.hits, 1);
    assert.match(notices[1]?.address ?? "", /^0x/);
    await run.text("bc *");
    assert.match(await run.text("bp nomodule!symbol"), /waited for/);
    assert.equal((await run.data<Row[]>("bl"))[0]?.state, "pending");
    assert.match(await run.error("bp no_such_symbol"), /no symbol no_such_symbol/);
    await run.text("cont");
  });
});

test(
  "an interruption that comes right behind a line ends it, whether it has let the guest go or not",
  { timeout: 60_000 * SLOWNESS },
  async () => {
    await withShell({ task: "busy" }, async ({ client, data, text, truth }) => {
      await truth("busy");
      await text("pause");
      for (let round = 0; round < 20; round++) {
        for (const line of ["until 0x10", "step 80000", "cont"]) {
          const ended = client.run(line);
          // Half of them come with the line, the others while it lets the guest go or waits.
          if (round % 2 === 1) await sleep(round);
          const [{ error }] = await Promise.all([ended, client.interrupt()]);
          assert.equal(error, undefined, line);
          assert.equal((await data<{ state: string }>("status")).state, "paused", line);
        }
      }
      // One that comes when no line is there is about none that comes later.
      await client.interrupt();
      const [first] = await data<{ address: string }[]>("u rip:1");
      await text("step");
      assert.notEqual((await data<{ address: string }[]>("u rip:1"))[0]!.address, first!.address);
    });
  },
);

test("a script's breakpoints are its own, and a shell in a callback holds the guest exactly there", async () => {
  const script = () => `
    import { PassThrough } from "node:stream";
    import { ALL_PROCESSES, readCpu, waitForGuest } from "rebox";
    import { BP, startShell } from "rebox/trusted";
    export function initialize_callbacks(_: number, print: (text: string) => void): void {
      void waitForGuest().then(() => {
        let calls = 0;
        new BP("kernel!ksys_read", ALL_PROCESSES, {
          func: async ({ address, breakpoint }) => {
            if (++calls !== 2) return;
            const input = new PassThrough(), output = new PassThrough();
            let answers = "";
            output.on("data", (bytes) => (answers += bytes));
            input.write("!cpu.RIP\\nr rip\\ncont\\n");
            await startShell({ input, output, json: true });
            const [first, second] = answers.trim().split("\\n").map((line) => JSON.parse(line).data);
            print(["held", first === "0x" + address.toString(16), second.RIP === first, readCpu().RIP === address, breakpoint.hits].join(" "));
          },
        });
      });
    }
    export const clean = (): void => {};
  `;
  const end = await withShell({ task: "busy", script }, async (run) => {
    await run.truth("busy");
    while ((await run.data<Row[]>("bl")).every(({ hits }) => Number(hits) < 3));
    assert.deepEqual(
      (await run.data<Row[]>("bl")).map(({ type, owner }) => `${type} ${/script$/.test(owner!)}`),
      ["execution true"],
    );
    const [script] = await run.data<{ handle: number }[]>("list_modules");
    await run.text(`unload ${script!.handle}`);
    assert.deepEqual(await run.data("bl"), []);
  });
  assert.match(end.stdout, /held true true true 2/);
});

test("every example of docs/reference/shell.md works, and every command is described there", async () => {
  const page = readFileSync(join(PROJECT, "docs/reference/shell.md"), "utf8");
  const lines = [...page.matchAll(/^ {4}rebox> (.*)$/gm)].map(([, line]) => line!);
  assert.ok(lines.length > 30, `${lines.length} examples`);
  for (const { name } of listCommandGroups().flatMap(([, commands]) => commands)) {
    const isShown = page.includes(`\`${name}`) || lines.some((line) => line.startsWith(name));
    assert.ok(isShown, `docs/reference/shell.md lacks ${name}`);
  }
  await withShell({ task: "busy" }, async (run) => {
    await run.truth("busy");
    for (const line of lines) await run.text(line);
  });
});

test("a breakpoint that waits for a module is set when the module is loaded, in time for its own start", async () => {
  await withShell({ task: "modules", parameters: { now: 1, times: 1 } }, async (run) => {
    const notices: Row[] = [];
    run.client.onNotice = ({ data }) => notices.push(data as Row);
    while ((await run.error("ps 1")) !== "");
    await run.text("bp dummy!dummy_setup once");
    await run.text("bp kernel!kernel_power_off once");
    const truth = run.truth("modules.done");
    while ((await run.data<{ state: string }>("status")).state !== "paused");
    assert.match(notices[0]?.symbol ?? "", /^dummy!/);
    await run.text("cont");
    await truth;
  });
});
