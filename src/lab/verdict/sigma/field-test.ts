import { BlockList, isIP } from "node:net";
import { RE2JS } from "re2js";
import { SigmaSyntaxError } from "../../errors";
import type { EventTest, FieldValue, SigmaEvent } from "./event";
import { createTextTest, getPlainText, parseTextPattern, type TextPattern, Wildcard, withDashes } from "./text-pattern";

/** A value as YAML has it. */
export type SigmaValue = string | number | boolean | null;

/** A value on its way through a chain of modifiers to a test. */
type Draft = TextPattern | Buffer;

type ValueTest = (value: FieldValue | undefined, event: SigmaEvent) => boolean;

const REGEX_FLAGS: Readonly<Record<string, number>> = {
  i: RE2JS.CASE_INSENSITIVE,
  m: RE2JS.MULTILINE,
  s: RE2JS.DOTALL,
};

const COMPARISONS: Readonly<Record<string, (found: number, wanted: number) => boolean>> = {
  lt: (found, wanted) => found < wanted,
  lte: (found, wanted) => found <= wanted,
  gt: (found, wanted) => found > wanted,
  gte: (found, wanted) => found >= wanted,
};

const ENCODINGS: Readonly<Record<string, (text: string) => Buffer>> = {
  wide: (text) => Buffer.from(text, "utf16le"),
  utf16le: (text) => Buffer.from(text, "utf16le"),
  utf16be: (text) => Buffer.from(text, "utf16le").swap16(),
  utf16: (text) => Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")]),
};

/** Modifiers that say how a value is compared: one of them at most. */
const WAYS = new Set(["re", "cidr", "exists", "fieldref", ...Object.keys(COMPARISONS)]);
/** Modifiers that change the text to look for, one after the other. */
const CHANGES = new Set(["contains", "startswith", "endswith", "windash", "base64", "base64offset", ...Object.keys(ENCODINGS)]); // prettier-ignore
const OTHERS = new Set(["all", "cased", "neq", ...Object.keys(REGEX_FLAGS)]);

/**
 * Makes the test of one line of a search, `field|modifiers: values`. Several values mean any of them, with `all` each.
 *
 * @param field its name; "" looks into all fields
 * @throws SigmaSyntaxError naming the modifier or value that is not understood
 */
export function createFieldTest(field: string, modifiers: readonly string[], values: readonly SigmaValue[]): EventTest {
  for (const modifier of modifiers) {
    if (WAYS.has(modifier) || CHANGES.has(modifier) || OTHERS.has(modifier)) continue;
    throw new SigmaSyntaxError(`the modifier "${modifier}" of ${field || "a keyword"} is not supported`);
  }
  const ways = modifiers.filter((modifier) => WAYS.has(modifier));
  if (ways.length > 1) throw new SigmaSyntaxError(`${field}: ${ways.join(" and ")} exclude each other`);
  const tests = values.map((value) => createValueTest(value, field, modifiers, ways[0]));
  const isMet = (value: FieldValue | undefined, event: SigmaEvent) =>
    modifiers.includes("all") ? tests.every((test) => test(value, event)) : tests.some((test) => test(value, event));
  const isNegated = modifiers.includes("neq");
  if (field === "") {
    return (event) => {
      const found = [...event.list()];
      const isFound = (test: ValueTest) => found.some((value) => test(value, event));
      return (modifiers.includes("all") ? tests.every(isFound) : tests.some(isFound)) !== isNegated;
    };
  }
  return (event) => isMet(event.find(field), event) !== isNegated;
}

function createValueTest(
  value: SigmaValue,
  field: string,
  modifiers: readonly string[],
  way: string | undefined,
): ValueTest {
  if (way === "exists") return createExistenceTest(value, field);
  if (value === null) return (found) => found === undefined;
  if (way === "re") return createRegexTest(String(value), field, modifiers);
  if (way === "cidr") return createNetworkTest(String(value), field);
  if (way === "fieldref") return createReferenceTest(String(value), modifiers);
  if (way !== undefined) return createComparison(value, field, COMPARISONS[way]!);
  return createPatternTest(value, field, modifiers);
}

function createExistenceTest(value: SigmaValue, field: string): ValueTest {
  if (typeof value !== "boolean") throw new SigmaSyntaxError(`${field}|exists takes true or false, not ${value}`);
  return (found) => (found !== undefined) === value;
}

function createRegexTest(source: string, field: string, modifiers: readonly string[]): ValueTest {
  const flags = modifiers.reduce((all, modifier) => all | (REGEX_FLAGS[modifier] ?? 0), 0);
  try {
    // Linear in the text: a sample chooses the text, and a rule may be anybody's.
    const regex = RE2JS.compile(source, flags);
    return (found) => found !== undefined && regex.matcher(found.text).find();
  } catch (error) {
    throw new SigmaSyntaxError(`${field}|re: ${(error as Error).message}`);
  }
}

function createNetworkTest(text: string, field: string): ValueTest {
  const [, address = "", length = ""] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0) throw new SigmaSyntaxError(`${field}|cidr: ${text} is no network; one is 10.0.0.0/8`);
  const kind = version === 4 ? "ipv4" : "ipv6";
  if (Number(length) > (version === 4 ? 32 : 128)) {
    throw new SigmaSyntaxError(`${field}|cidr: ${text} has more bits than an address`);
  }
  const network = new BlockList();
  network.addSubnet(address, Number(length), kind);
  return (found) => found !== undefined && isIP(found.text) === version && network.check(found.text, kind);
}

function createReferenceTest(other: string, modifiers: readonly string[]): ValueTest {
  const form = modifiers.includes("cased") ? "text" : "lower";
  const how = modifiers.find((modifier) => ["contains", "startswith", "endswith"].includes(modifier));
  return (found, event) => {
    const wanted = event.find(other);
    if (found === undefined || wanted === undefined) return false;
    if (how === "contains") return found[form].includes(wanted[form]);
    if (how === "startswith") return found[form].startsWith(wanted[form]);
    return how === "endswith" ? found[form].endsWith(wanted[form]) : found[form] === wanted[form];
  };
}

function createComparison(
  value: string | number | boolean,
  field: string,
  compare: (found: number, wanted: number) => boolean,
): ValueTest {
  const wanted = Number(value);
  if (typeof value === "boolean" || String(value).trim() === "" || Number.isNaN(wanted)) {
    throw new SigmaSyntaxError(`${field}: ${value} is no number to compare with`);
  }
  return (found) => found !== undefined && found.text.trim() !== "" && compare(Number(found.text), wanted);
}

function createPatternTest(value: string | number | boolean, field: string, modifiers: readonly string[]): ValueTest {
  const isCased = modifiers.includes("cased");
  // A keyword is found anywhere in a value.
  const changes = modifiers.filter((modifier) => CHANGES.has(modifier));
  const isPart = field === "" && !changes.some((change) => ["contains", "startswith", "endswith"].includes(change));
  let drafts: readonly Draft[] = [typeof value === "string" ? parseTextPattern(value) : [String(value)]];
  for (const change of isPart ? [...changes, "contains"] : changes) {
    drafts = drafts.flatMap((draft) => applyChange(draft, change, field));
  }
  const tests = drafts.map((draft) => {
    if (Buffer.isBuffer(draft))
      throw new SigmaSyntaxError(`${field}: an encoding is followed by base64 or base64offset`);
    return createTextTest(draft, isCased);
  });
  return (found) => {
    if (found === undefined) return false;
    const text = isCased ? found.text : found.lower;
    return tests.some((test) => test(text));
  };
}

function applyChange(draft: Draft, change: string, field: string): readonly Draft[] {
  if (change === "base64") return [[toBytes(draft, field).toString("base64")]];
  if (change === "base64offset") return listBase64Offsets(toBytes(draft, field));
  const encode = ENCODINGS[change];
  if (encode !== undefined) return [encode(toBytes(draft, field).toString("utf8"))];
  if (Buffer.isBuffer(draft)) throw new SigmaSyntaxError(`${field}: an encoding is followed by base64 or base64offset`);
  if (change === "windash") return [withDashes(draft)];
  const before = change !== "startswith" && draft[0] !== Wildcard.any ? [Wildcard.any] : [];
  const after = change !== "endswith" && draft.at(-1) !== Wildcard.any ? [Wildcard.any] : [];
  return [[...before, ...draft, ...after]];
}

function toBytes(draft: Draft, field: string): Buffer {
  if (Buffer.isBuffer(draft)) return draft;
  try {
    return Buffer.from(getPlainText(draft), "utf8");
  } catch {
    throw new SigmaSyntaxError(`${field}: a value with wildcards cannot be encoded`);
  }
}

/** Lists what of a text's base64 is the same wherever it stands in a longer text: by its three offsets. */
function listBase64Offsets(bytes: Buffer): TextPattern[] {
  const starts = [0, 2, 3];
  const ends = [0, 3, 2];
  return [0, 1, 2].map((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset, " "), bytes]).toString("base64");
    const cut = ends[(bytes.length + offset) % 3]!;
    return [encoded.slice(starts[offset], cut === 0 ? undefined : -cut)];
  });
}
