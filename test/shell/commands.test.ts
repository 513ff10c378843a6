import assert from "node:assert/strict";
import { test } from "node:test";
import { setScriptHost } from "../../src/scripts/module-control";
import type { ScriptHost } from "../../src/scripts/script-host";
import { createDoors } from "../../src/scripts/loading/doors";
import { parseBytes } from "../../src/shell/commands/arguments/typed-values";
import { CommandError } from "../../src/shell/errors";
import { CommandInput } from "../../src/shell/commands/command";
import { CommandSession } from "../../src/shell/commands/command-session";
import { listCommandGroups, listCommandNames } from "../../src/shell/commands/command-table";
import { Disassembler } from "../../src/guest/unwinding/disassembler";
import { evaluate, type NameSource } from "../../src/shell/commands/arguments/expression";
import { getSize, parsePlace, parseRange } from "../../src/shell/commands/arguments/memory-place";
import { renderJson, renderText } from "../../src/shell/commands/rendering/render";
import { runCommandLine } from "../../src/shell/commands/run-command-line";

const NAMES: NameSource = {
  findRegister: (name) => ({ RIP: 0x1000n, RAX: 5n, LSTAR: 7n })[name],
  findSymbol: (module, name) =>
    name === "schedule" && (module ?? "kernel") === "kernel" ? 0xffffffff81000000n : undefined,
  findVariable: (name) => ({ here: "rip+10", loop: "$loop" })[name],
};

test("numbers are hexadecimal, decimal behind \\d, and names are registers, symbols and variables", () => {
  const values: Record<string, bigint> = {
    "1f": 0x1fn,
    "0x1F": 0x1fn,
    "\\d31": 31n,
    "-1": 0xffffffffffffffffn,
    rip: 0x1000n,
    "@lstar": 7n,
    schedule: 0xffffffff81000000n,
    "kernel!schedule+10-\\d16": 0xffffffff81000000n,
    "$here+rax": 0x1015n,
  };
  for (const [text, value] of Object.entries(values)) assert.equal(evaluate(text, NAMES), value, text);
});

test("what means nothing is refused by name", () => {
  const refused: Record<string, RegExp> = {
    "": /no address or number/,
    "1+": /no address or number/,
    "1 2": /" 2" in "1 2" is out of place/,
    nothing: /no symbol nothing in the kernel/,
    "libc!schedule": /no symbol schedule in libc/,
    "@xyz": /no register xyz/,
    $missing: /no variable \$missing/,
    $loop: /leads to itself/,
  };
  for (const [text, message] of Object.entries(refused)) {
    assert.throws(
      () => evaluate(text, NAMES),
      (error: Error) => error instanceof CommandError && message.test(error.message),
      text,
    );
  }
});

test("p in front of a number is a physical address, in front of a name a part of it", () => {
  assert.deepEqual(parsePlace("p1000", NAMES), { isPhysical: true, address: 0x1000n });
  assert.deepEqual(parsePlace("p\\d16", NAMES), { isPhysical: true, address: 16n });
  assert.deepEqual(parsePlace("p$here", NAMES), { isPhysical: true, address: 0x1010n });
  assert.throws(() => parsePlace("page_fault", NAMES), /no symbol page_fault/);
});

test("a range has a size in hexadecimal, within limits", () => {
  const range = parseRange("rip:20", NAMES);
  assert.deepEqual(range, { isPhysical: false, address: 0x1000n, size: 0x20n });
  assert.equal(getSize(range, 512, 0x1000), 0x20);
  assert.equal(getSize(parseRange("rip", NAMES), 512, 0x1000), 512);
  assert.throws(() => getSize(parseRange("rip:0", NAMES), 512, 0x1000), /out of range/);
  assert.throws(() => getSize(parseRange("rip:-1", NAMES), 512, 0x1000), /out of range/);
  assert.throws(() => parseRange("1:2:3", NAMES), /too many colons/);
});

test("bytes are hexadecimal pairs, text, or text of 16-bit characters", () => {
  assert.equal(parseBytes("48 89 e5").toString("hex"), "4889e5");
  assert.equal(parseBytes("0x4889E5").toString("hex"), "4889e5");
  assert.equal(parseBytes('"a\\x00\\"("').toString("latin1"), 'a\0"(');
  assert.equal(parseBytes('u"hi"').toString("hex"), "68006900");
  for (const wrong of ["123", "xy", '""', "", '"open']) assert.throws(() => parseBytes(wrong), CommandError, wrong);
});

test("words keep their quotes together, and one that is not closed is an error", () => {
  const input = new CommandInput("s", `1:2:"a b" 'c d'  rest of it `);
  assert.equal(input.find(), '1:2:"a b"');
  assert.equal(input.find(), "'c d'");
  assert.equal(input.rest(), "rest of it");
  assert.equal(input.find(), undefined);
  assert.throws(
    () => new CommandInput("s", 'x "open').find() && new CommandInput("s", '"open').find(),
    /quote is not closed/,
  );
});

test("text from the guest cannot reach a terminal as anything but text, nor break a row in two", () => {
  const evil = "\u001b[31mred\u0007\u009b2J\n\u202eback";
  const shown = renderText({ kind: "rows", columns: ["name"], rows: [{ name: evil }] });
  assert.equal(shown, "name\n\\x1b[31mred\\x07\\x9b2J\\n\\u202eback");
  assert.equal(renderText({ kind: "text", text: "two\nlines\u001b]0;title\u0007" }), "two\nlines\\x1b]0;title\\x07");
  assert.deepEqual(renderJson({ kind: "rows", columns: ["name"], rows: [{ name: evil }] }), [{ name: evil }]);
});

test("rows are aligned, numbers to the right, and JSON keeps addresses exact", () => {
  const rows = [
    { pid: 1, pgd: 0x1000n, name: "init" },
    { pid: 100, pgd: 0xffffffffffffffffn, name: "a" },
  ];
  const result = { kind: "rows" as const, columns: ["pid", "pgd", "name"], rows };
  assert.equal(
    renderText(result),
    ["pid  pgd                 name", "  1  0x1000              init", "100  0xffffffffffffffff  a"].join("\n"),
  );
  assert.deepEqual(renderJson(result), [
    { pid: 1, pgd: "0x1000", name: "init" },
    { pid: 100, pgd: "0xffffffffffffffff", name: "a" },
  ]);
  assert.equal(renderText({ ...result, rows: [] }), "nothing found");
});

test("instructions are decoded in each mode as the processor's manual says", () => {
  const decode = (bits: 16 | 32 | 64, hex: string) => [
    ...new Disassembler(bits).decode(Buffer.from(hex, "hex"), 0x1000n, 9),
  ];
  // E8 is a call relative to the next instruction; in 64-bit mode 05 addresses relative to it; 48 is a prefix only there.
  const [call, load, back] = decode(64, "e80b000000488b0510000000c3");
  assert.deepEqual([call?.isCall, call?.target], [true, 0x1010n]);
  assert.deepEqual([load?.size, load?.target], [7, 0x101cn]);
  assert.equal(back?.isReturn, true);
  assert.deepEqual(
    decode(32, "4889e5").map(({ size }) => size),
    [1, 2],
  );
  assert.match(decode(16, "ea00000cf0")[0]?.text ?? "", /jmp/);
  // What ends in the middle of an instruction is not made up.
  assert.deepEqual(decode(64, "e80b"), []);
});

test("a line that means nothing says what is nearest, and empty lines do nothing", async () => {
  const session = new CommandSession();
  const run = (line: string) => runCommandLine(line, session);
  assert.equal((await run("  ")).text, "");
  assert.equal((await run("# a remark")).text, "");
  await assert.rejects(run("vmap"), /there is no command vmap; do you mean vmmap\?/);
  await assert.rejects(run("savevm"), /savevm needs the name of a snapshot; see: help savevm/);
  await assert.rejects(run("savevm a b"), /savevm has no use for "b"/);
  session.close();
});

test("variables and aliases are a session's own, and aliases that lead to each other are refused", async () => {
  const session = new CommandSession();
  const run = async (line: string) => (await runCommandLine(line, session)).data;
  await run("$a = 10+\\d16");
  await run("$b=$a+1");
  assert.deepEqual(await run("$"), [
    { name: "$a", value: "0x20" },
    { name: "$b", value: "0x21" },
  ]);
  await run("alias vars = $");
  assert.deepEqual(await run("vars b"), [{ name: "$b", value: "0x21" }]);
  await run("alias one = two");
  await run("alias two = one");
  await assert.rejects(run("one"), /lead to each other/);
  await assert.rejects(runCommandLine("$a", new CommandSession()), /no variable \$a/);
  session.close();
});

test("an expression is TypeScript, has the script API and the variables, and keeps what it declares", async () => {
  const session = new CommandSession(createDoors({ rebox: { double: (value: bigint) => value * 2n } }));
  const run = async (line: string) => (await runCommandLine(line, session)).data;
  await run("$x = 1f");
  assert.equal(await run("!double($x)"), "0x3e");
  await run("!const kept: number = 4;");
  assert.equal(await run("!Promise.resolve(kept + 1)"), 5);
  await assert.rejects(run("!missing"), /ReferenceError: missing is not defined/);
  await assert.rejects(run("!for (;;);"), /timed out/);
  session.close();
});

test("help knows every command, by its name and aliases", async () => {
  for (const name of listCommandNames()) assert.notEqual((await runCommandLine(`help ${name}`)).text, "");
  const listed = (await runCommandLine("help")).data as readonly { command: string }[];
  assert.equal(listed.length, listCommandGroups().flatMap(([, commands]) => commands).length);
});

test("help shows the whole comment of a script's command, and the list has it", async () => {
  const help = "Greets somebody.\n\nThe second paragraph says more.";
  setScriptHost({ listCommands: () => [{ name: "greet", help, script: "scripts.hello" }] } as unknown as ScriptHost);
  try {
    const { text, data } = await runCommandLine("help greet");
    assert.equal(text, `custom greet\n${help}\nIt is a command of the script scripts.hello.`);
    assert.equal((data as { name: string }).name, "custom greet");
    const listed = (await runCommandLine("list_commands")).data;
    assert.deepEqual((listed as readonly object[]).at(-1), {
      ...{ group: "scripts.hello", command: "custom greet", arguments: "", help: "Greets somebody." },
    });
    // The shell's own command of a name is the one that runs.
    assert.match((await runCommandLine("help ps")).text, /^ps /);
    await assert.rejects(runCommandLine("help gret"), /there is no command gret/);
  } finally {
    setScriptHost(undefined);
  }
});
