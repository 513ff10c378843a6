import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SigmaFolderError, SigmaSyntaxError } from "../../src/lab/errors";
import { SigmaEvent } from "../../src/lab/verdict/sigma/event";
import { createSigmaRule } from "../../src/lab/verdict/sigma/rule";
import { readRuleFolder } from "../../src/lab/verdict/sigma/rule-folder";
import { askSigmaReference, NEEDS_SIGMA_REFERENCE, type SigmaCase } from "../kit/lab/sigma-reference";
import { inFolder } from "../kit/in-folder";

type Fields = Readonly<Record<string, string | number | undefined>>;

/** Makes a rule with one search "a", or with the searches and the condition given. */
function createRule(detection: object, condition = "a") {
  const searches = "a" in detection ? detection : { a: detection };
  return createSigmaRule({ title: "t", logsource: { category: "c" }, detection: { ...searches, condition } });
}

function fits(detection: object, fields: Fields, condition?: string): boolean {
  return createRule(detection, condition).fits(new SigmaEvent("c", fields));
}

describe("a Sigma rule", () => {
  test("compares texts without regard to case, as a whole, with wildcards that a backslash makes plain", () => {
    assert.ok(fits({ Image: "/BIN/sh" }, { Image: "/bin/SH" }));
    assert.ok(!fits({ Image: "bin" }, { Image: "/bin/sh" }));
    assert.ok(fits({ Image: "/b?n/*" }, { Image: "/bin/sh" }));
    assert.ok(fits({ Image: "/b\\?n" }, { Image: "/b?n" }) && !fits({ Image: "/b\\?n" }, { Image: "/bin" }));
    assert.ok(fits({ Image: "C:\\Windows" }, { Image: "c:\\windows" }));
    assert.ok(fits({ Image: "C:\\\\*" }, { Image: "C:\\Windows" }), "an escaped backslash before a wildcard");
    assert.ok(fits({ "Image|cased": "aB" }, { Image: "aB" }) && !fits({ "Image|cased": "aB" }, { Image: "ab" }));
    assert.ok(fits({ Image: "" }, { Image: "" }) && !fits({ Image: "" }, {}));
    assert.ok(fits({ Image: null }, {}) && !fits({ Image: null }, { Image: "" }));
    assert.ok(fits({ Port: 22 }, { Port: 22 }) && fits({ Port: 22 }, { Port: "22" }));
  });

  test("takes a list of values as any of them, with |all as each, and lines of a map as all", () => {
    const line = { "CommandLine|contains": ["curl", "wget"], User: "root" };
    assert.ok(fits(line, { CommandLine: "x wget y", User: "root" }) && !fits(line, { CommandLine: "wget" }));
    assert.ok(
      fits({ "C|contains|all": ["a", "b"] }, { C: "b a" }) && !fits({ "C|contains|all": ["a", "b"] }, { C: "a" }),
    );
    assert.ok(fits({ a: [{ A: 1 }, { B: 2 }] }, { B: 2 }), "a list of maps");
    assert.ok(fits({ a: ["needle", "pin"] }, { X: "hay needle hay" }), "keywords are found in any field");
    assert.ok(!fits({ a: { "|all": ["needle", "pin"] } }, { X: "needle" }));
    assert.ok(fits({ a: { "|all": ["needle", "pin"] } }, { X: "needle", Y: "pin" }));
  });

  test("has the specification's modifiers", () => {
    assert.ok(fits({ "C|startswith": "/t" }, { C: "/tmp" }) && fits({ "C|endswith": "mp" }, { C: "/tmp" }));
    assert.ok(fits({ "C|re": "^a.+b$" }, { C: "axb" }) && !fits({ "C|re": "^A" }, { C: "a" }));
    assert.ok(fits({ "C|re|i": "^A" }, { C: "a" }) && fits({ "C|re|s": "a.b" }, { C: "a\nb" }));
    assert.ok(fits({ "D|cidr": ["192.0.2.0/24", "2001:db8::/32"] }, { D: "192.0.2.77" }));
    assert.ok(
      fits({ "D|cidr": "2001:db8::/32" }, { D: "2001:db8::1" }) && !fits({ "D|cidr": "::/0" }, { D: "1.2.3.4" }),
    );
    assert.ok(
      fits({ "N|gte": 10, "N|lt": 20 }, { N: 10 }) && !fits({ "N|gt": 10 }, { N: 10 }) && !fits({ "N|lt": 1 }, {}),
    );
    assert.ok(fits({ "C|exists": false }, {}) && fits({ "C|exists": true }, { C: "" }));
    assert.ok(
      fits({ "A|fieldref": "B" }, { A: "x", B: "X" }) && fits({ "A|fieldref|endswith": "B" }, { A: "/x", B: "x" }),
    );
    assert.ok(!fits({ "A|neq": "x" }, { A: "X" }) && fits({ "A|neq": "x" }, { A: "y" }));
    assert.ok(
      fits({ "C|windash|contains": " -enc" }, { C: "x /enc" }) &&
        fits({ "C|windash|contains": " -enc" }, { C: "x \u2013enc" }),
    );
    const hidden = (text: string) => ({ C: `echo ${Buffer.from(text).toString("base64")} | base64 -d` });
    for (const before of ["", "x", "xy"]) {
      assert.ok(fits({ "C|base64offset|contains": "/dev/tcp/" }, hidden(`${before}/dev/tcp/192.0.2.1`)), before);
    }
    assert.ok(fits({ "C|base64|contains": "abc" }, hidden("abcdef")));
    const wide = { C: Buffer.from("IEX", "utf16le").toString("base64") };
    assert.ok(fits({ "C|wide|base64offset|contains": "IEX" }, wide) && fits({ "C|utf16le|base64": "IEX" }, wide));
  });

  test("has a condition with not, and, or in this order, parentheses and quantities", () => {
    const searches = { a: { A: 1 }, b: { B: 1 }, b2: { C: 1 }, _hidden: { D: 1 } };
    const ask = (condition: string, fields: Fields) => fits(searches, fields, condition);
    assert.ok(ask("a or b and not b2", { A: 1, C: 1 }) && !ask("(a or b) and not b2", { A: 1, C: 1 }));
    assert.ok(ask("1 of b*", { C: 1 }) && !ask("all of b*", { C: 1 }) && ask("ALL OF b* AND NOT a", { B: 1, C: 1 }));
    assert.ok(!ask("1 of them", { D: 1 }) && ask("2 of them", { A: 1, B: 1 }) && ask("not not a", { A: 1 }));
    const several = createSigmaRule({ title: "t", logsource: {}, detection: { ...searches, condition: ["a", "b"] } });
    assert.ok(several.fits(new SigmaEvent("c", { B: 1 })), "several conditions mean any of them");
  });

  const wrong: readonly [what: string, detection: object, condition: string, message: RegExp][] = [
    ["an unknown search", { A: 1 }, "b", /no search "b"; it has a/],
    ["an aggregation", { A: 1 }, "a | count() > 5", /aggregation .* is not supported/],
    ["a parenthesis that stays open", { A: 1 }, "(a", /not closed/],
    ["a condition that goes on", { A: 1 }, "a a", /"a" is not expected here/],
    ["a condition that ends too early", { A: 1 }, "a and", /ends too early/],
    ["no such quantity", { A: 1 }, "some of them", /"some of" is no quantity/],
    ["deep parentheses", { A: 1 }, `${"(".repeat(5000)}a`, /more than 64 parentheses/],
    ["an unknown modifier", { "A|contians": 1 }, "a", /modifier "contians" of A is not supported/],
    ["a wrong expression", { "A|re": "(" }, "a", /A\|re: /],
    ["a lookahead", { "A|re": "a(?=b)" }, "a", /A\|re: /],
    ["no network", { "A|cidr": "10.0.0.0" }, "a", /is no network; one is 10.0.0.0\/8/],
    ["two ways to compare", { "A|re|cidr": "x" }, "a", /exclude each other/],
    ["an encoding alone", { "A|wide": "x" }, "a", /followed by base64/],
    ["an encoded wildcard", { "A|base64": "x*" }, "a", /wildcards cannot be encoded/],
    ["a comparison with a text", { "A|gt": "x" }, "a", /is no number/],
  ];
  for (const [what, detection, condition, message] of wrong) {
    test(`is refused for ${what}, and says so`, () => {
      assert.throws(
        () => createRule(detection, condition),
        (error: Error) => error instanceof SigmaSyntaxError && message.test(error.message),
      );
    });
  }

  test("is not slowed down by a text that an expression or a pattern could be lost in", () => {
    const text = `${"a".repeat(50_000)}!`;
    const beganMs = performance.now();
    assert.ok(!fits({ "C|re": "^(a+)+$" }, { C: text }));
    assert.ok(!fits({ C: "*a*a*a*b" }, { C: text.slice(0, 5_000) }));
    assert.ok(performance.now() - beganMs < 10_000);
  });

  test("names its techniques and fields", () => {
    const rule = createSigmaRule({
      ...{
        title: "Cron",
        level: "high",
        tags: ["attack.persistence", "attack.t1053.003"],
        logsource: { product: "linux" },
      },
      detection: { a: { "Image|endswith": "/crontab", "User|fieldref": "Owner" }, condition: "a" },
    });
    assert.deepEqual(
      [rule.techniques, [...rule.fields], rule.level],
      [["T1053.003"], ["Image", "User", "Owner"], "high"],
    );
  });
});

const WORDS = ["a", "B", "ab", "-x", " ", "/", "*", "?", "\\", "%", "_", "'", "1"];
const text = fc.array(fc.constantFrom(...WORDS), { maxLength: 4 }).map((words) => words.join(""));
const plain = text.map((value) => value.replace(/[*?\\]/g, "")).filter((value) => value !== "");
const textField = fc.constantFrom("A", "B");

const line = fc.oneof(
  fc.tuple(textField, text),
  fc.tuple(
    fc
      .tuple(textField, fc.constantFrom("contains", "startswith", "endswith", "contains|all", "windash|contains"))
      .map(([field, modifier]) => `${field}|${modifier}`),
    fc.array(plain, { minLength: 1, maxLength: 3 }),
  ),
  fc.tuple(fc.constantFrom("A|base64offset|contains", "B|base64|contains"), plain),
  fc.tuple(fc.constantFrom("A|re", "B|re|i"), fc.constantFrom("^a", "b$", "a.*b", "[ab]+x", "^$", "(a|B)1?")),
  fc.tuple(fc.constantFrom("N", "N|lt", "N|gte", "N|gt", "N|lte"), fc.integer({ min: -2, max: 3 })),
  fc.tuple(fc.constantFrom("A|exists", "N|exists"), fc.boolean()),
  fc.tuple(fc.constantFrom("A", "N"), fc.constant(null)),
  fc.constant(["A|fieldref", "B"] as [string, string]),
);
const map = fc.array(line, { minLength: 1, maxLength: 3 }).map((lines) => Object.fromEntries(lines) as object);
const search = fc.oneof(map, fc.array(map, { minLength: 1, maxLength: 2 }));
const { condition } = fc.letrec<{ condition: string }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom("s1", "s2", "s3", "1 of s*", "all of them"),
    tie("condition").map((inner) => `not (${inner})`),
    fc
      .tuple(tie("condition"), fc.constantFrom("and", "or"), tie("condition"))
      .map(([a, word, b]) => `(${a}) ${word} ${b}`),
  ),
}));
const rule = fc.record({ s1: search, s2: search, s3: search, condition }).map((detection) => ({
  ...{ title: "t", logsource: { category: "process_creation", product: "linux" }, detection },
}));
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 4 });
const event = fc.record({ A: optional(text), B: optional(text), N: optional(fc.integer({ min: -2, max: 3 })) });
const cases: fc.Arbitrary<SigmaCase> = fc.record({ rule, events: fc.array(event, { minLength: 5, maxLength: 10 }) });

/** REBOX_TEST_RULES=100000 takes some minutes. */
const RULES = Number(process.env.REBOX_TEST_RULES ?? 2_000);
const BATCH = 500;

test("generated rules fit the events that pySigma's queries find", { skip: NEEDS_SIGMA_REFERENCE }, () => {
  fc.assert(
    fc.property(fc.array(cases, { minLength: BATCH, maxLength: BATCH }), (batch) => {
      const expected = askSigmaReference(batch);
      for (const [index, { rule, events }] of batch.entries()) {
        const ours = createSigmaRule(rule);
        const found = events.map((fields) => ours.fits(new SigmaEvent("c", fields)));
        assert.deepEqual(found, expected[index], JSON.stringify({ rule, events }));
      }
    }),
    { numRuns: Math.ceil(RULES / BATCH), endOnFailure: true },
  );
});

const CRON = `
title: Cron
logsource: {product: linux, category: process_creation}
detection:
  a: {Image|endswith: /crontab}
  condition: a
`;

test("a folder of rules is read as it is, and each rule that cannot be asked is named with its reason", async () => {
  await inFolder((folder) => {
    const write = (name: string, content: string) => {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    };
    write("linux/cron.yml", CRON);
    write("linux/two.yaml", `${CRON}---\n${CRON.replace("Cron", "Second")}`);
    write("windows/a.yml", CRON.replace("linux", "windows"));
    write("quoted.yml", `---\n${CRON.replace("linux", "'macos'").replace("detection:", "detection: &x")}`);
    write("auditd.yml", CRON.replace("category: process_creation", "service: auditd"));
    write("field.yml", CRON.replace("Image", "OriginalFileName"));
    write("broken.yml", "title: [");
    write("none.yml", "");
    write("text.yml", "just words");
    write("bomb.yml", `a: &a [x,x,x,x,x,x,x,x,x]\n${[..."bcdefgh"].map((name, index) => `${name}: &${name} [${`*${"abcdefg"[index]},`.repeat(9)}]`).join("\n")}\ntitle: x\n`); // prettier-ignore
    write("readme.md", CRON);
    symlinkSync("/etc", join(folder, "elsewhere"));
    const { rules, unusable } = readRuleFolder(folder, "linux");
    assert.deepEqual(
      rules.map(({ file, line, rule }) => [file, line, rule.title]),
      [
        ["linux/cron.yml", 2, "Cron"],
        ["linux/two.yaml", 2, "Cron"],
        ["linux/two.yaml", 9, "Second"],
      ],
    );
    const reasons = new Map(unusable.map(({ file, reason }) => [file, reason]));
    assert.equal(reasons.get("windows/a.yml"), "it is for windows");
    assert.equal(reasons.get("quoted.yml"), "it is for macos");
    assert.equal(reasons.get("auditd.yml"), "an analysis has no log source linux/auditd");
    assert.equal(reasons.get("field.yml"), "events of process_creation have no OriginalFileName");
    assert.match(reasons.get("broken.yml")!, /^line \d+: this is no YAML/);
    assert.match(reasons.get("text.yml")!, /^the rule: /);
    assert.match(reasons.get("bomb.yml")!, /YAML|title|logsource/);
    assert.equal(reasons.size, 7);
    assert.deepEqual(readRuleFolder(folder).rules.find(({ file }) => file === "windows/a.yml")?.categories, ["windows/process_creation"]); // prettier-ignore
    return Promise.resolve();
  });
  assert.throws(() => readRuleFolder("/no/such/folder"), SigmaFolderError);
});
