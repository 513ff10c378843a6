import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { stopCompiler } from "../../src/scripts/loading/script-compiler";
import { ParameterError, UsageShown } from "../../src/investigation/errors";
import type { InvestigationContext, InvestigationModule, InvestigationRun } from "../../src/investigation/module";
import { decodeResult } from "../../src/investigation/result";
import { type FlagKind, parseFlags } from "../../src/investigation/parameters";
import { loadModule } from "../kit/investigations/investigation-modules";
import { PROJECT } from "../kit/project";

/** REBOX_TEST_PARAMETERS=100000 takes some minutes. */
const RUNS = Number(process.env.REBOX_TEST_PARAMETERS ?? 1_000);
const KINDS: Readonly<Record<string, FlagKind>> = {
  ...{ name: "texts", lib: "texts", all: "switch", offset: "number", source: "text", "two-words": "text" },
};
const TRUE = ["1", "t", "T", "true", "TRUE", "True"];
const FALSE = ["0", "f", "F", "false", "FALSE", "False"];

type Given = Record<string, string | number | boolean | string[]>;

/** A second description of the syntax, by places in the words in place of expressions; undefined when it is refused. */
function describeFlags(words: readonly string[]): Given | "help" | undefined {
  const given: Given = {};
  if (words[0] === "help") return "help";
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word[0] !== "-") return undefined;
    const body = word.startsWith("--") ? word.substring(2) : word.substring(1);
    if (body === "" || body[0] === "-" || body[0] === "=") return undefined;
    const sign = body.indexOf("=");
    const name = sign < 0 ? body : body.substring(0, sign);
    const value = sign < 0 ? undefined : body.substring(sign + 1);
    const kind = Object.keys(KINDS).includes(name) ? KINDS[name] : undefined;
    if (kind === undefined) return name === "h" || name === "help" ? "help" : undefined;
    if (kind === "switch") {
      if (value !== undefined && !TRUE.includes(value) && !FALSE.includes(value)) return undefined;
      given[name] = value === undefined || TRUE.includes(value);
      continue;
    }
    const text = value ?? words[++at];
    if (text === undefined) return undefined;
    if (kind === "texts") given[name] = [...((given[name] as string[] | undefined) ?? []), text];
    else if (kind === "text") given[name] = text;
    else {
      const isNumber = text !== "" && ![...text].some((letter) => letter.trim() === "") && isFinite(Number(text));
      if (!isNumber) return undefined;
      given[name] = Number(text);
    }
  }
  return given;
}

const value = fc.oneof(
  fc.constantFrom(
    "",
    "true",
    "false",
    "0",
    "T",
    "yes",
    "-name",
    "--",
    "a=b",
    "1e3",
    "0x10",
    " 5",
    "-1",
    "Infinity",
    "\n",
    "é",
  ),
  fc.string({ maxLength: 5 }),
);
const name = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...Object.keys(KINDS)) },
  { weight: 1, arbitrary: fc.constantFrom("nam", "__proto__", "constructor", "toString", "h", "help", "", "-", "=x") },
);
const flag = fc
  .tuple(fc.constantFrom("-", "--"), name, value, fc.constantFrom("beside", "behind", "alone"))
  .map(([dash, which, text, form]) =>
    form === "beside"
      ? [`${dash}${which}=${text}`]
      : form === "behind" && KINDS[which] !== "switch"
        ? [dash + which, text]
        : [dash + which],
  );
const words = fc
  .tuple(fc.array(flag, { maxLength: 4 }), fc.array(value, { maxLength: 1, minLength: 0 }), fc.nat(9))
  .map(([flags, more, chance]) => [...flags.flat(), ...(chance === 0 ? more : [])]);

test(`${RUNS} generated command lines are read, or refused, by one rule`, () => {
  let accepted = 0;
  fc.assert(
    fc.property(words, (line) => {
      const expected = describeFlags(line);
      if (expected === "help") assert.throws(() => parseFlags(line, KINDS, "the help"), UsageShown);
      else if (expected === undefined) assert.throws(() => parseFlags(line, KINDS, "the help"), ParameterError);
      else {
        assert.deepEqual(parseFlags(line, KINDS, "the help"), expected);
        accepted++;
      }
    }),
    { numRuns: RUNS },
  );
  assert.ok(accepted > RUNS / 10, `${accepted} were accepted`);
});

/** The members of a module's parameters by the flag that sets them. */
interface Module {
  readonly texts: Readonly<Record<string, string>>;
  /** Values that a flag may have; a text that is not among them may be refused. */
  readonly values: Readonly<Record<string, readonly string[]>>;
}

const EXPRESSIONS = ["bash$", "(?i)^/usr", "[[:digit:]]+x", "a|b"];
const HASH = "0123456789abcdef0123456789abcdef";
const MODULES: Readonly<Record<string, Module>> = {
  file: {
    texts: { name: "names", size: "sizes", mtime: "mtimes", mode: "modes", content: "contents", md5: "md5" },
    values: { name: [...EXPRESSIONS, "!no"], size: ["<10m", ">1g", "5"], mtime: ["<90d", ">3h"], mode: ["-rwx"], content: ["!x", "y"], md5: [HASH] }, // prettier-ignore
  },
  memory: {
    texts: { name: "names", lib: "libraries", content: "contents", bytes: "bytes" },
    values: { name: EXPRESSIONS, lib: EXPRESSIONS, content: EXPRESSIONS, bytes: ["ff00", "DEAD"] },
  },
};
const loaded = new Map<string, InvestigationModule>();
before(async () => {
  for (const one of Object.keys(MODULES))
    loaded.set(one, await loadModule(join(PROJECT, "modules/investigation"), one));
});
after(stopCompiler);

function createRun(module: string): InvestigationRun {
  const context = {
    ...{ vantage: "host", signal: new AbortController().signal, pausedMs: 0, timeoutMs: 60_000, folder: undefined },
    getGuest: () => {
      throw new Error("there is no guest");
    },
    turn: async () => undefined,
    log: () => undefined,
    alert: () => undefined,
  } as unknown as InvestigationContext;
  return loaded.get(module)!.newRun!(context) as InvestigationRun;
}

for (const [module, { texts, values }] of Object.entries(MODULES)) {
  const lists = fc.record(
    Object.fromEntries(
      Object.keys(texts).map((one) => [one, fc.array(fc.constantFrom(...values[one]!), { maxLength: 2 })]),
    ),
  );
  test(`${RUNS} generated lines of words for ${module} are the parameters that their JSON is`, () => {
    fc.assert(
      fc.property(lists, fc.constantFrom("all", "any", undefined), fc.boolean(), (given, match, isBeside) => {
        const path = module === "file" ? ["-path", "/etc"] : [];
        const flags = Object.entries(given).flatMap(([one, list]) =>
          list.flatMap((text) => (isBeside ? [`-${one}=${text}`] : [`--${one}`, text])),
        );
        const line = [...path, ...flags, ...(match === undefined ? [] : [`-match${match}`])];
        const search = {
          ...(module === "file" ? { paths: ["/etc"] } : {}),
          ...Object.fromEntries(Object.entries(given).map(([one, list]) => [texts[one]!, list])),
        };
        const total = Object.values(given).flat().length;
        if (module === "memory" && total === 0) {
          assert.throws(() => createRun(module).paramsParser!(line));
          return;
        }
        const parsed = createRun(module).paramsParser!(line) as { searches: Record<string, Record<string, unknown>> };
        assert.deepEqual(Object.keys(parsed.searches), ["s1"]);
        const { options, ...rest } = parsed.searches["s1"] as { options: Record<string, unknown> };
        for (const [member, list] of Object.entries(search)) assert.deepEqual(rest[member as never], list);
        assert.equal(options["matchall"], match !== "any");
      }),
      { numRuns: RUNS },
    );
  });

  test(`what a line of words for ${module} says is accepted as JSON, and any damage to its JSON is refused`, async () => {
    await fc.assert(
      fc.asyncProperty(lists, fc.constantFrom("member", "kind", "none"), async (given, damage) => {
        const line = Object.entries(given).flatMap(([one, list]) => list.flatMap((text) => [`-${one}`, text]));
        if (line.length === 0) return;
        const parsed = createRun(module).paramsParser!([...(module === "file" ? ["-path", "/etc"] : []), ...line]);
        const parameters = JSON.parse(JSON.stringify(parsed)) as { searches: { s1: Record<string, unknown> } };
        if (damage === "member") parameters.searches.s1["nmes"] = [];
        if (damage === "kind") parameters.searches.s1["names"] = "a text";
        const input = (async function* () {
          yield `${JSON.stringify({ class: "parameters", parameters })}\n`;
        })();
        const { errors } = decodeResult(await createRun(module).run(input));
        const isRefused = /there is no "nmes"; do you mean "names"|names: .*expected array/.test(errors?.[0] ?? "");
        assert.equal(isRefused, damage !== "none", JSON.stringify(errors));
      }),
      { numRuns: Math.ceil(RUNS / 10) },
    );
  });
}

test("a kind of flag that does not exist is told with those that do: no compiler looks at a script", () => {
  const kinds = { drift: "flag" } as unknown as Record<string, FlagKind>;
  const told = {
    name: "TypeError",
    message: 'parseFlags: the kind of -drift is one of switch, text, number, texts, not "flag"',
  };
  assert.throws(() => parseFlags([], kinds, "the help"), told);
});
