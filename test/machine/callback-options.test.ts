import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BP } from "../../src/guest/breakpoints/breakpoint";
import { compileOptions, compileStreamOptions, type Subscription } from "../../src/machine/callbacks/callback-options";
import { type EventFacts, EVENTS } from "../../src/machine/engine/event-table";

const RUNS = 100_000;
const ALL = 2n ** 64n - 1n;
const compile = compileOptions as (type: unknown, options: unknown) => Subscription;
const compileStream = compileStreamOptions as (type: unknown, options: unknown) => Subscription;

test("a misspelt option is refused with the name that was meant", () => {
  assert.throws(
    () => compile("BLOCK_BEGIN_CB", { addres: 1n }),
    /^TypeError: .*BLOCK_BEGIN_CB.*"?addres"?.*did you mean address\?/s,
  );
  assert.throws(() => compile("BLOCK_BEGIN_CB", { fliter: {} }), /TypeError: .*did you mean filter\?/);
  assert.throws(() => compile("BLOCK_BEGIN_CB", { fliter: undefined }), /TypeError: .*did you mean filter\?/);
  assert.throws(() => compile("OPCODE_RANGE_CB", { start_opcode: 0xe8 }), /TypeError: .*did you mean startOpcode\?/);
  assert.throws(
    () => compile("MEM_WRITE_CB", { filter: { adress: [] } }),
    /TypeError: filter: .*did you mean address\?/,
  );
  assert.throws(
    () => compile("MEM_WRITE_CB", { filter: { value: { equal: 1n } } }),
    /filter\.value: .*did you mean equals\?/,
  );
  assert.throws(
    () => compile("MEM_WRITE_CB", { filter: { pc: { from: 1n, til: 2n } } }),
    /filter\.pc: 'til' is unknown/,
  );
  assert.throws(() => compileStream("MEM_READ_CB", { capacty: 5 }), /TypeError: .*did you mean capacity\?/);
  assert.throws(() => compileStream("BLOCK_BEGIN_CB", { addr: 5n }), /TypeError: .*'addr' is unknown/);
  assert.throws(() => new BP(1n, 1n, { isOneshot: true } as never), /TypeError: .*did you mean isOneShot\?/);
});

test("options that are no object are refused, whatever they are", () => {
  for (const wrong of ["text", 5, 5n, true, null, [], Symbol("x"), () => {}]) {
    assert.throws(
      () => compile("BLOCK_BEGIN_CB", wrong),
      /^TypeError: the options of BLOCK_BEGIN_CB: .* is not an object/,
    );
  }
  assert.throws(() => compile(Symbol("BLOCK"), {}), /^TypeError: there is no callback type Symbol\(BLOCK\)/);
});

test("the address has two names, of which one may be given", () => {
  for (const type of ["BLOCK_BEGIN_CB", "INSN_BEGIN_CB"]) {
    const byShort = compile(type, { addr: 0x1000n, pgd: 0x2000n });
    assert.deepEqual(compile(type, { address: 0x1000n, pgd: 0x2000n }), byShort);
    assert.deepEqual(byShort.hook, { address: 0x1000n, pgd: 0x2000n });
    assert.throws(() => compile(type, { addr: 1n, address: 1n }), /two names of one option/);
  }
  assert.throws(() => compile("BLOCK_END_CB", { address: 1n }), /BLOCK_END_CB takes no addr/);
});

// ---- what is accepted, told a second time: as predicates, one for each member ----

type Members = Record<string, unknown>;
const NAMES = "name addr address pgd startOpcode endOpcode filter replay".split(" ");
const FILTER_NAMES = "pc address physical size value mode pgd firstPerPage every hits".split(" ");

const isObject = (value: unknown): value is Members =>
  typeof value === "object" &&
  value !== null &&
  [Object.prototype, null].includes(Object.getPrototypeOf(value) as null);
const isWord = (value: unknown) => typeof value === "bigint" && value >= -(2n ** 63n) && value <= ALL;
const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 1;
const isRange = (value: unknown) =>
  isObject(value) &&
  Object.keys(value).every((key) => key === "from" || key === "to") &&
  typeof value["from"] === "bigint" &&
  typeof value["to"] === "bigint" &&
  value["from"] >= 0n &&
  value["from"] < value["to"] &&
  value["to"] <= ALL;
const oneOrMore = (check: (value: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) ? value.length > 0 && value.every(check) : check(value);
const isComparison = (value: unknown) => {
  if (!isObject(value)) return false;
  const given = Object.entries(value).filter(([, one]) => one !== undefined);
  const comparisons = given.filter(([key]) => ["equals", "notEquals", "below", "above"].includes(key));
  const known = Object.keys(value).every((key) => "equals notEquals below above mask".split(" ").includes(key));
  return known && comparisons.length === 1 && given.every(([, one]) => isWord(one));
};

const MEMBER_CHECKS: Record<string, (value: unknown) => boolean> = {
  ...{ pc: oneOrMore(isRange), address: oneOrMore(isRange), physical: oneOrMore(isRange) },
  ...{ size: oneOrMore(isCount), value: isComparison, pgd: oneOrMore(isWord), every: isCount, hits: isCount },
  ...{ mode: (value) => value === "user" || value === "kernel", firstPerPage: (value) => typeof value === "boolean" },
};

function acceptsFilter(filter: unknown, fitting: readonly string[]): boolean {
  if (filter === undefined) return true;
  if (!isObject(filter)) return false;
  return Object.entries(filter).every(
    ([key, value]) =>
      FILTER_NAMES.includes(key) && fitting.includes(key) && (value === undefined || MEMBER_CHECKS[key]!(value)),
  );
}

const isOpcode = (value: unknown) =>
  typeof value === "number" &&
  Number.isInteger(value) &&
  ((value >= 0 && value < 0x100) || (value >= 0xf00 && value < 0x1000));

function accepts(type: string, options: unknown): boolean {
  const facts = (EVENTS as Record<string, EventFacts>)[type];
  if (!facts || !isObject(options)) return false;
  if (!Object.keys(options).every((key) => NAMES.includes(key))) return false;
  const { name, addr, address, pgd, startOpcode, endOpcode, filter, replay } = options;
  if (name !== undefined && (typeof name !== "string" || name.length === 0)) return false;
  if (addr !== undefined && address !== undefined) return false;
  const place = addr === undefined ? address : addr;
  if ([place, pgd].some((value) => value !== undefined && !isWord(value))) return false;
  if (place !== undefined && !facts.options.includes("addr")) return false;
  if (pgd !== undefined && !facts.options.includes("pgd")) return false;
  if (pgd !== undefined && place === undefined && facts.options.includes("addr")) return false;
  if (facts.options.includes("opcodes")) {
    if (!isOpcode(startOpcode) || !isOpcode(endOpcode) || (startOpcode as number) > (endOpcode as number)) return false;
  } else if (startOpcode !== undefined || endOpcode !== undefined) return false;
  if (filter !== undefined && facts.filter.length === 0) return false;
  if (replay !== undefined && (typeof replay !== "boolean" || !facts.options.includes("replay"))) return false;
  return acceptsFilter(filter, facts.filter);
}

// ---- inputs: most members are right, so that many inputs as a whole are ----

const word = fc.oneof(
  { weight: 40, arbitrary: fc.bigInt(0n, ALL) },
  { weight: 1, arbitrary: fc.bigInt(-(2n ** 65n), 2n ** 65n) },
  { weight: 1, arbitrary: fc.constantFrom(0n, ALL, ALL + 1n, -1n, -(2n ** 63n), -(2n ** 63n) - 1n) },
);
const anything = fc.oneof(
  fc.anything({ withBigInt: true, withNullPrototype: true, withDate: true, withMap: true, withTypedArray: true }),
  fc.constantFrom<unknown>(Symbol("s"), () => {}, NaN, null, -0, "", [], {}),
);
const sometimes = (arbitrary: fc.Arbitrary<unknown>) =>
  fc.oneof(
    { weight: 100, arbitrary },
    { weight: 1, arbitrary: anything },
    { weight: 2, arbitrary: fc.constant(undefined) },
  );
const listOf = (arbitrary: fc.Arbitrary<unknown>) => fc.oneof(arbitrary, fc.array(arbitrary, { maxLength: 3 }));
const count = fc.oneof(
  { weight: 40, arbitrary: fc.integer({ min: 1, max: 100 }) },
  { weight: 1, arbitrary: fc.double() },
);
const range = fc.oneof(
  {
    weight: 20,
    arbitrary: fc
      .tuple(fc.bigInt(0n, ALL - 1n), fc.bigInt(1n, 2n ** 40n))
      .map(([from, size]) => ({ from, to: from + size })),
  },
  { weight: 1, arbitrary: fc.record({ from: sometimes(word), to: sometimes(word) }, { requiredKeys: [] }) },
);
const typing = fc.constantFrom("adr", "fliter", "start_opcode", "pdg", "Name", "__proto__", "toString", "pc");
const withOthers = (members: Record<string, fc.Arbitrary<unknown>>) =>
  fc
    .tuple(
      fc.record(Object.fromEntries(Object.entries(members).map(([key, value]) => [key, sometimes(value)])), {
        requiredKeys: [],
      }),
      fc.oneof({ weight: 25, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: typing }),
    )
    .map(([own, other]) =>
      other === undefined ? own : Object.defineProperty(own, other, { value: 1, enumerable: true }),
    );
const filter = withOthers({
  ...{ pc: listOf(range), address: listOf(range), physical: listOf(range), size: listOf(count), pgd: listOf(word) },
  value: fc
    .tuple(fc.constantFrom("equals", "notEquals", "below", "above"), word, fc.option(word, { nil: undefined }))
    .map(([name, value, mask]) => ({ [name]: value, ...(mask === undefined ? {} : { mask }) })),
  ...{
    mode: fc.constantFrom("user", "kernel", "user", "kernel", "User"),
    firstPerPage: fc.boolean(),
    every: count,
    hits: count,
  },
});
const opcode = fc.oneof(fc.integer({ min: 0, max: 0xff }), fc.integer({ min: -1, max: 0x1100 }));

/** The members that a type takes are common, the others are rare. */
const inputs = fc.constantFrom(...(Object.keys(EVENTS) as (keyof typeof EVENTS)[])).chain((type) => {
  const facts: EventFacts = EVENTS[type];
  const mostly = { name: fc.string({ minLength: 1 }) } as Record<string, fc.Arbitrary<unknown>>;
  if (facts.options.includes("addr"))
    Object.assign(mostly, { [facts.page === "block-begin" ? "address" : "addr"]: word });
  if (facts.options.includes("pgd")) mostly["pgd"] = word;
  if (facts.options.includes("opcodes")) Object.assign(mostly, { startOpcode: opcode, endOpcode: opcode });
  if (facts.options.includes("replay")) mostly["replay"] = fc.boolean();
  const fitting = filter.map((members) =>
    Object.fromEntries(Object.entries(members as Members).filter(([key]) => facts.filter.includes(key))),
  );
  if (facts.filter.length > 0)
    mostly["filter"] = fc.oneof({ weight: 5, arbitrary: fitting }, { weight: 1, arbitrary: filter });
  const everything = {
    addr: word,
    address: word,
    pgd: word,
    startOpcode: opcode,
    endOpcode: opcode,
    filter,
    replay: fc.boolean(),
  };
  const options = fc.oneof(
    { weight: 20, arbitrary: withOthers(mostly) },
    { weight: 3, arbitrary: withOthers({ ...mostly, ...everything }) },
    { weight: 1, arbitrary: anything },
  );
  return fc.tuple(fc.constant(type), options);
});

const asUnsigned = (value: unknown) => ((value as bigint) + 2n ** 64n) % 2n ** 64n;
const asList = (value: unknown) => (Array.isArray(value) ? (value as unknown[]) : [value]);

/** What the addon is to get for accepted options. */
function expected(type: string, options: Members): unknown {
  const { addr, address, pgd, startOpcode, endOpcode, replay } = options;
  const facts = (EVENTS as Record<string, EventFacts>)[type]!;
  const place = addr ?? address;
  return {
    ...{ type, replay: replay === true, filter: options["filter"] && expectedFilter(options["filter"] as Members) },
    ...(place === undefined
      ? {}
      : { hook: { address: asUnsigned(place), pgd: pgd === undefined ? ALL : asUnsigned(pgd) } }),
    ...(facts.options.includes("opcodes") ? { opcodes: { first: startOpcode, last: endOpcode } } : {}),
    ...(facts.options.includes("pgd") && !facts.options.includes("addr")
      ? { pgd: pgd === undefined || asUnsigned(pgd) === ALL ? undefined : asUnsigned(pgd) }
      : {}),
  };
}

function expectedFilter(given: Members): Members {
  const is: Members = {};
  for (const name of ["pc", "address", "physical"].filter((one) => given[one] !== undefined)) {
    is[name] = asList(given[name]).flatMap((one) => [(one as Members)["from"], (one as Members)["to"]]);
  }
  if (given["size"] !== undefined) is["size"] = asList(given["size"]).map((size) => BigInt(size as number));
  const pgds = given["pgd"] === undefined ? [] : asList(given["pgd"]).map(asUnsigned);
  if (pgds.length > 0 && !pgds.includes(ALL)) is["pgd"] = pgds;
  const { equals, notEquals, below, above, mask } = (given["value"] ?? {}) as Members;
  const compared = [undefined, equals, notEquals, below, above].findIndex((one) => one !== undefined);
  if (compared > 0)
    Object.assign(is, { comparison: compared, value: asUnsigned([equals, notEquals, below, above][compared - 1]) });
  if (mask !== undefined) is["mask"] = asUnsigned(mask);
  if (given["mode"] !== undefined) is["mode"] = { user: 1, kernel: 2 }[given["mode"] as "user"];
  if (given["firstPerPage"] === true) is["firstPerPage"] = 1;
  for (const name of ["every", "hits"]) if (given[name] !== undefined) is[name] = given[name];
  return is;
}

function asPlain(filter: Subscription["filter"]): Members | undefined {
  if (!filter) return undefined;
  return Object.fromEntries(
    Object.entries(filter).map(([key, value]) => [
      key,
      value instanceof BigUint64Array ? [...value] : (value as unknown),
    ]),
  );
}

test(`of ${RUNS} generated options each is accepted as a second description says, or refused with a message`, () => {
  let accepted = 0;
  fc.assert(
    fc.property(inputs, ([type, options]) => {
      let subscription: Subscription;
      try {
        subscription = compile(type, options);
      } catch (error) {
        assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
        assert.doesNotMatch(
          error.message,
          /Cannot (read|convert|mix)|is not (iterable|a function)|undefined \(reading/,
        );
        assert.ok(!accepts(type, options), `refused: ${error.message}`);
        return;
      }
      assert.ok(accepts(type, options), "accepted");
      accepted++;
      const { filter: compiled, ...rest } = subscription;
      const { filter: wanted, ...others } = expected(type, options as Members) as { filter: Members | undefined };
      assert.deepEqual(rest, others);
      assert.deepEqual(asPlain(compiled), wanted);
    }),
    { numRuns: RUNS },
  );
  assert.ok(accepted > RUNS / 20 && accepted < RUNS / 1.2, `${accepted} of ${RUNS} inputs were accepted`);
});
