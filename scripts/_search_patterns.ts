/** Reads what memory_search is to look for: words such as text="my password", regex=[0-9]{16}, bytes=de??beef and keys. */
import { encodeText, ENCODINGS } from "./_character_sets";
import { buildAutomaton, type SearchedExpression } from "./_search_automaton";
import { createBytes, type Expression, foldCase, readExpression } from "./_search_expression";
import { isProcessWord } from "./_wanted_processes";

/** The encodings that a text is looked for in when none is named. */
const USUAL = ["utf-8", "utf-16le"];
const FLAGS = ["keys", "ignorecase", "reads", "writes", "stack"];

/** What is looked for, and how. */
export interface Search {
  /** In the form of triggers/search_automaton.h; undefined when no pattern is named. */
  readonly automaton: Uint8Array | undefined;
  /** By the number of the pattern: as it was named, with the encoding. */
  readonly labels: readonly string[];
  readonly hasKeys: boolean;
  readonly hasReads: boolean;
  readonly hasWrites: boolean;
  readonly hasStacks: boolean;
  /** Words that name processes, for readWantedProcesses(). */
  readonly processWords: readonly string[];
}

interface Pattern extends SearchedExpression {
  readonly label: string;
}

/** Cuts a line into words; blanks within quotes belong to a word, and the quotes do not. `\"` is a quote. */
export function splitQuoted(line: string): string[] {
  return [...line.matchAll(/(?:[^\s"]|"(?:\\.|[^"\\])*(?:"|$))+/g)].map(([word]) =>
    word.replace(/"((?:\\.|[^"\\])*)("|$)/g, (_, inner: string, end: string) => {
      if (end === "") throw new Error(`a quote is not closed: ${word}`);
      return inner.replace(/\\(["\\])/g, "$1");
    }),
  );
}

/**
 * Reads a search.
 *
 * @param line its words; see memory_search.ts
 * @throws Error that says which word is not known, or that nothing is named
 */
export function readSearch(line: string): Search {
  const words = splitQuoted(line);
  const isCaseIgnored = words.includes("ignorecase");
  const encodings = words.flatMap((word) => /^encodings=(.*)$/.exec(word)?.[1]!.split(",") ?? []);
  const patterns = words.flatMap((word) => readPattern(word, encodings, isCaseIgnored));
  const has = (flag: string): boolean => words.includes(flag);
  if (patterns.length === 0 && !has("keys")) {
    throw new Error('nothing is named: text="my password", regex=[0-9]{16}, bytes=de??beef, or keys');
  }
  return {
    automaton: patterns.length === 0 ? undefined : buildAutomaton(patterns),
    labels: patterns.map(({ label }) => label),
    hasKeys: has("keys"),
    hasReads: has("reads") || !has("writes"),
    hasWrites: has("writes") || !has("reads") || has("keys"),
    hasStacks: has("stack"),
    processWords: words.filter(isProcessWord),
  };
}

function readPattern(word: string, encodings: readonly string[], isCaseIgnored: boolean): Pattern[] {
  const [, kind, value = ""] = /^(\w+)=(.*)$/s.exec(word) ?? [];
  if (FLAGS.includes(word) || isProcessWord(word) || kind === "encodings") return [];
  const fold = (expression: Expression): Expression => (isCaseIgnored ? foldCase(expression) : expression);
  switch (kind) {
    case "text":
      return readText(value, encodings.length === 0 ? USUAL : encodings, fold);
    case "regex": {
      const expression = readExpression(value, isCaseIgnored);
      const label = `regex=${value}`;
      return [
        { label, expression, form: "plain" },
        { label: `${label} (utf-16le)`, expression, form: "zero-behind" },
      ];
    }
    case "bytes":
      return [{ label: word, expression: readBytes(value), form: "plain" }];
    default:
      throw new Error(
        `${word} is not known: text=, regex=, bytes=, keys, encodings=, process=, ${FLAGS.slice(1).join(", ")}`,
      );
  }
}

/** Encodings that give the same bytes are one pattern. */
function readText(text: string, encodings: readonly string[], fold: (expression: Expression) => Expression): Pattern[] {
  if (text === "") throw new Error('the text is missing: text="my password"');
  const names = new Map<string, string[]>();
  for (const encoding of encodings) {
    const bytes = encodeText(text, encoding);
    if (bytes === undefined) continue;
    const key = cutZeros([...bytes]).join();
    names.set(key, [...(names.get(key) ?? []), encoding]);
  }
  if (names.size === 0) throw new Error(`${JSON.stringify(text)} cannot be written in ${encodings.join(", ")}; there is ${ENCODINGS.join(", ")}`); // prettier-ignore
  return [...names].map(([key, same]) => ({
    label: `text=${JSON.stringify(text)} (${same.join(", ")})`,
    expression: fold({ kind: "sequence", parts: key.split(",").map((byte) => createBytes([Number(byte)])) }),
    form: "plain",
  }));
}

/** Zeros are everywhere: a text does not begin or end with those of its first and last character. */
function cutZeros(bytes: readonly number[]): readonly number[] {
  const from = bytes.findIndex((byte) => byte !== 0);
  return from < 0 ? bytes : bytes.slice(from, bytes.findLastIndex((byte) => byte !== 0) + 1);
}

function readBytes(text: string): Expression {
  const digits = text.replace(/\s/g, "");
  if (digits === "" || !/^([\da-f?]{2})+$/i.test(digits)) {
    throw new Error(`bytes=${text} is not of pairs of hexadecimal digits, with ?? for any: bytes="de ad ?? ef"`);
  }
  const parts = digits.match(/../g)!.map((pair) => {
    const pattern = new RegExp(`^${pair.replaceAll("?", ".")}$`, "i");
    const all = Array.from({ length: 256 }, (_, byte) => byte);
    return createBytes(all.filter((byte) => pattern.test(byte.toString(16).padStart(2, "0"))));
  });
  return { kind: "sequence", parts };
}
