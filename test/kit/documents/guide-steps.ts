/** One thing that the guide has its reader do, or says that is seen. */
export type GuideStep =
  | { readonly kind: "write"; readonly file: string; readonly text: string }
  | { readonly kind: "change"; readonly file: string; readonly lines: readonly string[] }
  | { readonly kind: "run"; readonly command: string; readonly output: Output }
  | { readonly kind: "shell"; readonly line: string; readonly output: Output }
  /** What the terminal of the running guest says by itself. */
  | { readonly kind: "seen"; readonly output: Output };

export interface Output {
  readonly lines: readonly string[];
  /** What besides addresses may differ from the guide: `<!-- guide: any="\d+" -->` in front of the block. */
  readonly mayDiffer: RegExp | undefined;
}

const BLOCK = /^(?:<!-- guide: any="(.*?)" -->\n)?```(\w+)\n(.*?)^```$/gms;
const PROMPT = /^(?:\$|rebox[^>]*>) (.*)$/;

/**
 * Reads a guide: `console` blocks are commands and what they print, `text` blocks what the running guest's terminal says, `diff`
 * blocks changes of a file; any other block is a file's contents. Which file is the last `name` in the text before it.
 */
export function readGuide(text: string): GuideStep[] {
  return [...text.matchAll(BLOCK)].flatMap(({ 1: any, 2: language, 3: body, index }) => {
    const lines = body!.replace(/\n$/, "").split("\n");
    const mayDiffer = any === undefined ? undefined : new RegExp(any, "g");
    const getFile = () => {
      const names = [...text.slice(0, index).matchAll(/`([\w-]+\.(?:ts|conf))`/g)];
      return names.at(-1)![1]!;
    };
    if (language === "text") return [{ kind: "seen", output: { lines, mayDiffer } }];
    if (language === "diff") return [{ kind: "change", file: getFile(), lines }];
    if (language !== "console") return [{ kind: "write", file: getFile(), text: body! }];
    return readConsole(lines, mayDiffer);
  });
}

function readConsole(lines: readonly string[], mayDiffer: RegExp | undefined): GuideStep[] {
  const steps: GuideStep[] = [];
  let output: string[] = [];
  for (const line of lines) {
    const [, typed] = PROMPT.exec(line) ?? [];
    if (typed === undefined) {
      output.push(line);
      continue;
    }
    output = [];
    const shown = { lines: output, mayDiffer };
    steps.push(
      line.startsWith("$")
        ? { kind: "run", command: typed, output: shown }
        : { kind: "shell", line: typed, output: shown },
    );
  }
  return steps;
}

/** Applies a change as a reader does: what is marked - or not at all must be there, and becomes what is marked + or not at all. */
export function applyChange(source: string, lines: readonly string[]): string {
  const pick = (marks: string) =>
    lines.filter((line) => marks.includes(line[0] ?? " ")).map((line) => `${line.slice(1)}\n`);
  const before = pick(" -").join("");
  if (source.split(before).length !== 2) throw new Error(`the file does not hold this once:\n${before}`);
  return source.replace(before, () => pick(" +").join(""));
}

/** Tells whether a terminal showed what the guide shows; "..." stands for any lines, with isLoose between all lines. */
export function isShown(printed: string, { lines, mayDiffer }: Output, isLoose = false): boolean {
  const shape = (line: string) => {
    const text = line
      .replace(/0x[0-9a-f]+/g, "0x#")
      .replace(/\s+/g, " ")
      .trimEnd();
    return mayDiffer ? text.replace(mayDiffer, "#") : text;
  };
  const actual = printed.split("\n").map(shape);
  let at = 0;
  let mayJump = isLoose;
  for (const line of lines) {
    if (line === "...") {
      mayJump = true;
      continue;
    }
    const found = mayJump ? actual.indexOf(shape(line), at) : at;
    if (found < 0 || actual[found] !== shape(line)) return false;
    at = found + 1;
    mayJump = isLoose;
  }
  return mayJump || actual.slice(at).join("") === "";
}
