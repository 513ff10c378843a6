import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import type { ConfigMap } from "../../src/config/schema/config-node";
import { ConfigProblems } from "../../src/config/schema/config-problems";
import { readIniFiles } from "../../src/config/schema/ini-file";
import { stripBlanks } from "../../src/config/schema/ini-syntax";
import { joinList, splitList } from "../../src/config/schema/setting-list";
import { type ParsedIni, PythonConfigParser } from "../kit/config/python-config-parser";

const folder = mkdtempSync(join(tmpdir(), "rebox-ini-"));
const file = join(folder, "it.conf");
const ENVIRONMENT = { REBOX_TEST_PLAIN: "plain text", REBOX_TEST_PERCENT: "50%(x)s %% 1" };
let python: PythonConfigParser;

before(() => {
  Object.assign(process.env, ENVIRONMENT);
  python = new PythonConfigParser(ENVIRONMENT);
});
after(async () => {
  for (const name of Object.keys(ENVIRONMENT)) delete process.env[name];
  await python.close();
  rmSync(folder, { recursive: true });
});

/** Reads a file as a lab's; undefined when there is a mistake in it. */
function read(text: string): { readonly content: ParsedIni; readonly problems: ConfigProblems } {
  writeFileSync(file, text);
  const problems = new ConfigProblems();
  const root = readIniFiles([file], problems);
  for (const { line } of problems.errors) assert.ok(line !== undefined && line >= 1, "an error has its line");
  if (problems.errors.length > 0) return { content: undefined, problems };
  const sections = [...root.entries].map(([name, section]) => [name, flatten(section as ConfigMap)] as const);
  return { content: Object.fromEntries(sections), problems };
}

/** `group.member` is one option for Python. */
function flatten(map: ConfigMap): Record<string, string> {
  const options = [...map.entries].flatMap(([name, node]) => {
    if (node.kind === "text") return [[name, node.text] as const];
    return Object.entries(flatten(node as ConfigMap)).map(([member, text]) => [`${name}.${member}`, text] as const);
  });
  return Object.fromEntries(options);
}

/** Returns what Python reads, without a prototype's names being something special. */
const plain = (content: ParsedIni) => content && JSON.parse(JSON.stringify(content)) as ParsedIni; // prettier-ignore

/** Compares what both read; returns how many files both refuse. */
async function compare(texts: readonly string[]): Promise<number> {
  const expected = await python.read(texts);
  for (const [index, text] of texts.entries()) {
    assert.deepEqual(plain(read(text).content), expected[index], JSON.stringify(text));
  }
  return expected.filter((each) => each === undefined).length;
}

const CAPE = `[DEFAULT]
interface = virbr7
[kvm]
    machines = win10, win7,
    dsn = qemu:///system
[win10]
    label = domain1
    platform = windows
    ip = 192.0.2.105
    tags = don't, use        # it's old
[win7]
label = 50%%off
platform = windows
ip = 192.0.2.106
`;

test("indented options, [DEFAULT], %%, apostrophes and comments are what Python's ConfigParser takes them for", async () => {
  await compare([CAPE]);
  const { content, problems } = read(CAPE);
  assert.equal(content?.win10!.label, "domain1");
  assert.equal(content?.win7!.label, "50%off");
  assert.deepEqual([content?.win10!.interface, content?.win7!.interface], ["virbr7", "virbr7"]);
  assert.deepEqual(problems.warnings.map(String), [
    `${file}:10: warning: the "#" behind a blank is part of "tags", as in CAPE; put a comment on a line of its own`,
  ]);
});

test("lines that Python refuses are errors with their lines, each of them", () => {
  const lines = (text: string) => read(text).problems.errors.map(({ line }) => line);
  assert.deepEqual(lines("a = 1\nb = 2\n[x]\nk = v\n"), [1]);
  assert.deepEqual(lines("[x]\nk = v\nk = w\nword\n= 1\n[y]\n[x]\n"), [3, 4, 5, 7]);
  assert.deepEqual(lines("[x]\na = 1\n    5% of\n    it\nb = %(c)s\nc = %(b)s\nd = %(nothing)s\n"), [3, 5, 6, 7]);
  assert.deepEqual(lines("[DEFAULT]\na = %\n[x]\n[y]\n"), [2], "a mistake of [DEFAULT] is told once");
  assert.deepEqual(lines("[x]\nk = %(ENV:REBOX_NO_SUCH_VARIABLE)s"), [2]);
});

const name = fc.constantFrom("a", "b", "A", "key", "Key", "machines", "env:x", "x y", "ÄB", "a.b", "a%", "İ", "#k", "k#", ";"); // prettier-ignore
const blank = fc.constantFrom("", "", "", " ", "  ", "\t", "    ", "\u00a0", "\f", "\u2028", "\x1c");
const piece = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("word", "don't", '"quoted # text"', "'", '"', "%%", "%", "%(a)s", "%(KEY)s", "%(b)s", "%(ENV:REBOX_TEST_PLAIN)s", "%(env:rebox_test_percent)s", "%(no)s", "%(", "%()s", "# no", "; no", "#", ";", ",", "=", ":", "[x]", "\\", "${a}", "$", "0x10", "é", "\ufeff") }, // prettier-ignore
  { weight: 1, arbitrary: fc.string({ maxLength: 8, unit: "binary" }).filter((text) => !text.includes("\0")) }, // prettier-ignore
);
const value = fc.array(fc.tuple(piece, blank), { maxLength: 4 }).map((parts) => parts.flat().join(""));
const option = fc
  .tuple(blank, name, blank, fc.constantFrom("=", ":", "=", "=", ""), blank, value)
  .map((parts) => parts.join(""));
const header = fc
  .tuple(
    blank,
    fc.constantFrom(
      "[kvm]",
      "[win10]",
      "[win7]",
      "[DEFAULT]",
      "[default]",
      "[a] b]",
      "[]",
      "[x",
      "[x] # y",
      "[ x ]",
      "[x]=y",
    ),
    blank,
  ) // prettier-ignore
  .map((parts) => parts.join(""));
const line = fc.oneof(
  { weight: 5, arbitrary: option },
  { weight: 2, arbitrary: header },
  { weight: 2, arbitrary: fc.tuple(blank, value).map((parts) => parts.join("")) },
  { weight: 1, arbitrary: fc.constantFrom("", " ", "# comment", "  ; comment", "    # deeper") },
);
const text = fc
  .tuple(fc.array(line, { maxLength: 12 }), fc.constantFrom("\n", "\n", "\n", "\r\n", "\r"), fc.boolean())
  // Most files begin with a header: without one, the first line ends the reading.
  .map(([lines, end, isHeaded]) => [...(isHeaded ? ["[kvm]"] : []), ...lines, ""].join(end))
  // A mark of the byte order at the beginning is skipped, and no part of the first line as for Python.
  .filter((content) => !content.startsWith("\ufeff"));

/** REBOX_TEST_FILES=100000 takes some minutes. */
const FILES = Number(process.env.REBOX_TEST_FILES ?? 10_000);
const BATCH = 250;

test("generated files are read as Python's ConfigParser reads them, or refused by both", async () => {
  let refused = 0;
  let all = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(text, { minLength: BATCH, maxLength: BATCH }), async (texts) => {
      refused += await compare(texts);
      all += texts.length;
    }),
    { numRuns: FILES / BATCH },
  );
  assert.ok(all >= FILES && refused > all / 20 && refused < all * 0.95, `${refused} of ${all} were refused`);
});

test("a list that is written as text is read as its items, whatever they hold", () => {
  const item = fc.oneof(fc.constantFrom("a", "a,b", ",", "\\", "\\,", "C:\\", "C:\\x\\,", "'", '"a, b"', "don't"), fc.string({ unit: "binary" })); // prettier-ignore
  fc.assert(
    fc.property(fc.array(item, { maxLength: 5 }), (items) => {
      const written = joinList(items);
      if (written !== undefined) assert.deepEqual(splitList(written), { items, hasEmpty: false });
      else assert.ok(items.some((each) => each === "" || each.includes("\n") || stripBlanks(each) !== each));
    }),
    { numRuns: 100_000 },
  );
  assert.deepEqual(splitList("win10, win7,\nwin8").items, ["win10", "win7", "win8"]);
  assert.deepEqual(splitList("C:\\dir, \\\\server\\share, a\\,b, D:\\\\, E:").items, ["C:\\dir", "\\\\server\\share", "a,b", "D:\\", "E:"]); // prettier-ignore
});
