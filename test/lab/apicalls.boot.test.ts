import assert from "node:assert/strict";
import { test } from "node:test";
import { readModuleResults } from "../../src/lab/analysis/report/module-results";
import { startModules, stopModules } from "../kit/lab/auxiliary-guest";
import { withGuest } from "../kit/lab/guest-machine";

const ENABLED = ["[apicalls]", "enabled = yes"];

interface Recorded {
  readonly processes: readonly {
    readonly pid: number;
    readonly name: string;
    readonly calls: Readonly<Record<string, number>>;
  }[];
  readonly recorded: number;
  readonly cut: number;
}

test("the calls of a program are recorded as the program itself says that it made them, counted, and in the report", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("true");
    const analysis = await startModules(lab, ENABLED, guest);
    const output = await execute("talker");
    await stopModules(analysis);
    assert.deepEqual([analysis.log, analysis.status("apicalls").errors], [[], []]);
    const pid = /talker\.pid=(\d+)/.exec(output)![1]!;
    const acts = [...output.matchAll(/^rebox-act: \d+ (.*?)\r?$/gm)].map(([, act]) => act!.replaceAll("(nil)", "NULL"));
    assert.ok(acts.length > 30, output);
    const lines = analysis.read("apicalls.log").trimEnd().split("\n");
    const own = lines.flatMap((line) => {
      const [, began, label, call, took, caller] = /^(\d+\.\d{3}) (\d+ \S+\/\d+) (.*), (\d+\.\d{3}) ms, (\S+)$/.exec(
        line,
      )!;
      assert.ok(Number(began) >= 0 && Number(took) >= 0);
      return label === `${pid} talker/${pid}` ? [{ call: call!, caller: caller! }] : [];
    });
    // What it needs to say all that, it does not report.
    const isReported = ({ call }: { readonly call: string }) => !/^(printf|vsnprintf|fflush|exit)\(/.test(call);
    assert.deepEqual(
      own.filter(isReported).map(({ call }) => call),
      acts,
    );
    assert.match(own.find(({ call }) => call.startsWith("strcmp"))!.caller, /^talker!compare\+0x/);
    const { processes, recorded, cut } = JSON.parse(analysis.read("apicalls.json")) as Recorded;
    assert.deepEqual([recorded, cut], [lines.length, 0]);
    const counted = processes.find((process) => process.pid === Number(pid))!;
    assert.equal(counted.name, "talker");
    for (const name of ["strcmp", "getenv", "write", "qsort"]) {
      assert.equal(counted.calls[name], acts.filter((act) => act.startsWith(`${name}(`)).length, name);
    }
    const shown = readModuleResults(analysis.folder).libraryCalls.find((process) => process.pid === Number(pid))!;
    assert.deepEqual(Object.fromEntries(shown.calls), counted.calls);
  });
});

test("the file has its size, and only the functions that are wanted are recorded", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("true");
    const settings = [...ENABLED, "most_bytes = 100", "functions = getenv, libc.so.6!str*"];
    const analysis = await startModules(lab, settings, guest);
    await execute("talker");
    await stopModules(analysis);
    const { processes, recorded, cut } = JSON.parse(analysis.read("apicalls.json")) as Recorded;
    const made = processes.flatMap(({ calls }) => Object.entries(calls));
    assert.equal(
      made.reduce((sum, [, count]) => sum + count, 0),
      recorded + cut,
    );
    assert.ok(recorded > 0 && cut > 0);
    assert.deepEqual(analysis.log, [`warn: apicalls: ${cut} calls more than fit into 100 bytes (most_bytes)`]);
    assert.ok(made.every(([name]) => name === "getenv" || name.startsWith("str")));
    assert.ok(made.some(([name]) => name === "strdup") && made.some(([name]) => name === "getenv"));
    assert.ok(analysis.read("apicalls.log").length < 300);
  });
});
