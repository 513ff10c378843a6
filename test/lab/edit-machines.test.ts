import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConfigMap, ConfigNode } from "../../src/config/schema/config-node";
import { ConfigProblems } from "../../src/config/schema/config-problems";
import { readIniFiles } from "../../src/config/schema/ini-file";
import { splitList } from "../../src/config/schema/setting-list";
import { readYamlFile } from "../../src/config/schema/yaml-file";
import { MachineryManagerError } from "../../src/lab/errors";
import { addToIni, deleteFromIni } from "../../src/lab/machinery/config/edit-ini";
import { addToYaml, deleteFromYaml, type NewSetting } from "../../src/lab/machinery/config/edit-yaml";

/** REBOX_TEST_EDITS=20000 takes some minutes. */
const RUNS = Number(process.env.REBOX_TEST_EDITS ?? 1_000);
type Content = Readonly<Record<string, unknown>>;

const folder = mkdtempSync(join(tmpdir(), "rebox-edit-"));
process.on("exit", () => rmSync(folder, { recursive: true }));

/** Reads a file's machines, each with its values; a list of text is split as settings split it. */
function read(text: string, format: "ini" | "yaml"): { readonly names: readonly string[]; readonly all: Content } {
  const file = join(folder, `it.${format}`);
  writeFileSync(file, text);
  const problems = new ConfigProblems();
  const root = format === "ini" ? readIniFiles([file], problems) : readYamlFile(file, problems);
  assert.deepEqual(problems.errors.map(({ message }) => message), [], text); // prettier-ignore
  const content = toContent(root) as Record<string, Content>;
  const list = root.entries.get("machines");
  if (format === "yaml") return { names: list?.kind === "map" ? [...list.entries.keys()] : [], all: content };
  const { machines, ...main } = content.main!;
  return { names: splitList(machines as string).items, all: { ...content, main } };
}

function toContent(node: ConfigNode): unknown {
  if (node.kind === "text") return node.text;
  if (node.kind === "list") return node.items.map(toContent);
  return Object.fromEntries([...(node as ConfigMap).entries].map(([name, value]) => [name, toContent(value)]));
}

const awkward = fc.constantFrom("a", "", "# x", "a # b", "it's", '"q"', "%", "%%", "%(x)s", "100%", "a: b", "a, b", "\\", "\\,", "- x", "[x]", "{a: 1}", "null", "~", "yes", "1.10", "0x10", "&a", "*a", "!!int 5", "|", ">", "console=ttyS0 x=\"y #z\"", "é\u2028x", "\ufeff", " a", "a ", "a\nb", "\t", "\xa0", "a\u3000", "\u2003"); // prettier-ignore
const word = fc.oneof(awkward, fc.string({ maxLength: 12 }), fc.string({ maxLength: 12, unit: "grapheme" }));
const value = fc.oneof({ weight: 3, arbitrary: word }, fc.array(word, { maxLength: 3 }));
const settings = fc.uniqueArray(
  fc.record({ name: fc.constantFrom("ip", "label", "tags", "append", "x"), value, comment: fc.constantFrom("", "What it is.", "two\nlines") }), // prettier-ignore
  { selector: ({ name }) => name, minLength: 1, maxLength: 4 },
);
const machine = fc.constantFrom("a", "b", "c", "d", "win10.x", "null", "1", "yes");
const remark = fc
  .stringMatching(/^[\w #;:=[\]%'",.-]{0,20}$/)
  .map((text, index = text.length) => `# ${text} ${index}!`);

/** A file with machines and comments of a person's between them. */
const machines = fc.uniqueArray(fc.tuple(machine, settings, fc.array(remark, { maxLength: 2 }), fc.boolean()), {
  selector: ([name]) => name,
  maxLength: 4,
});

function holds(text: string, comments: readonly string[]): void {
  const lines = text.split("\n").map((line) => line.trim());
  for (const comment of comments) assert.ok(lines.includes(comment.trim()), `${comment} is gone:\n${text}`);
}

for (const format of ["ini", "yaml"] as const) {
  const empty = format === "ini" ? "# the head\n[main]\ndsn = x\nmachines =\n" : "# the head\ndsn: x\nmachines:\n";
  const add = (text: string, name: string, values: readonly NewSetting[]) =>
    format === "ini" ? addToIni(text, "main", name, values) : addToYaml(text, name, values);
  const remove = (text: string, names: readonly string[]) =>
    format === "ini" ? deleteFromIni(text, "main", names) : deleteFromYaml(text, names);
  const getMachine = ({ all }: { readonly all: Content }, name: string) =>
    (format === "ini" ? all[name] : (all.machines as Content)[name]) as Readonly<Record<string, unknown>>;

  test(`${format}: what was added is what is read, and what was there is as before`, () => {
    let written = 0;
    fc.assert(
      fc.property(machines, (given) => {
        let text = empty;
        for (const [name, values] of given) {
          const before = read(text, format);
          let after: string;
          try {
            after = add(text, name, values);
          } catch (error) {
            assert.ok(error instanceof MachineryManagerError, String(error));
            assert.match(error.message, /cannot hold this/);
            continue;
          }
          written++;
          const now = read(after, format);
          assert.deepEqual(now.names, [...before.names, name]);
          for (const { name: setting, value: wanted } of values) {
            const found = getMachine(now, name)[setting];
            const list = typeof found === "string" && typeof wanted !== "string" ? splitList(found).items : found;
            assert.deepEqual(list, wanted, after);
          }
          for (const other of before.names) assert.deepEqual(getMachine(now, other), getMachine(before, other));
          holds(after, text.split("\n").filter((line) => /^\s*#/.test(line))); // prettier-ignore
          text = after;
        }
      }),
      { numRuns: RUNS },
    );
    assert.ok(written > RUNS / 2, `${written} were written`);
  });

  test(`${format}: a machine that is deleted takes its settings alone along; comments stay`, () => {
    fc.assert(
      fc.property(machines, fc.nat(), fc.array(remark, { maxLength: 2 }), (given, chosen, tail) => {
        let text = empty;
        const remarks = new Map<string, readonly string[]>();
        for (const [name, values, comments, hasGap] of given) {
          const plain = values.map(({ name: key }) => ({ name: key, value: "v", comment: "" }));
          const before = text;
          text = add(text, name, plain);
          // A person writes above the machine's first line.
          const header = format === "ini" ? `[${name}]` : new RegExp(`^ +["']?${name}["']?:`, "m").exec(text)![0];
          const at = format === "ini" ? text.lastIndexOf(header) : before.length && text.lastIndexOf(header);
          const indent = format === "ini" ? "" : "  ";
          const lines = comments.map((comment) => `${indent}${comment}\n`).join("") + (hasGap && comments.length > 0 ? "\n" : ""); // prettier-ignore
          text = text.slice(0, at) + lines + text.slice(at);
          remarks.set(name, comments);
        }
        text += tail.map((comment) => `\n${comment}\n`).join("");
        const before = read(text, format);
        if (before.names.length === 0) return;
        const gone = before.names[chosen % before.names.length]!;
        const after = remove(text, [gone]);
        const now = read(after, format);
        assert.deepEqual(now.names, before.names.filter((name) => name !== gone)); // prettier-ignore
        for (const other of now.names) assert.deepEqual(getMachine(now, other), getMachine(before, other));
        assert.equal(now.all.dsn ?? (now.all.main as Content).dsn, "x");
        holds(after, ["# the head", ...tail, ...[...remarks.values()].flat()]);
      }),
      { numRuns: RUNS },
    );
  });
}

test("ini: a list of machines over several lines, Windows line ends and indented sections are edited where they are", () => {
  const text = "[main]\r\nmachines = a,\r\n  # the second\r\n  b\r\n  [a]\r\n    label = x\r\n  [b]\r\n";
  assert.throws(() => deleteFromIni(text, "main", ["a"]), /there is no machine a in the file/);
  const file = "[main]\r\nmachines = a,\r\n  # the second\r\n  b\r\n[a]\r\n    label = x\r\n  [b]\r\n    label = y\r\n";
  const added = addToIni(file, "main", "c", [{ name: "label", value: "100%", comment: "" }]);
  assert.equal(added, `${file.replace("  b\r", "  b, c\r")}\r\n[c]\r\nlabel = 100%%\r\n`);
  assert.equal(deleteFromIni(added, "main", ["b", "c"]), "[main]\r\nmachines = a,\r\n  # the second\r\n[a]\r\n    label = x\r\n"); // prettier-ignore
  assert.equal(
    deleteFromIni(added, "main", ["a", "c"]),
    "[main]\r\nmachines =\r\n  # the second\r\n  b\r\n[b]\r\n    label = y\r\n\r\n",
  );
});
