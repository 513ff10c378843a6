const FLAGS = /^\(\?([imsU]+)\)/;
const CLASSES: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  digit: "0-9",
  lower: "a-z",
  upper: "A-Z",
  punct: "!-\\/:-@\\[-`{-~",
  space: "\\s",
  word: "\\w",
  xdigit: "0-9A-Fa-f",
};

/**
 * Compiles a regular expression in the words of Go, which these searches are written in, as far as JavaScript has the same:
 * flags at its beginning, `\A`, `\z`, named groups and `[[:alpha:]]` are translated.
 *
 * @throws SyntaxError when it is none
 */
export function compilePattern(text: string): RegExp {
  const given = FLAGS.exec(text)?.[1] ?? "";
  if (given.includes("U")) throw new SyntaxError(`Invalid regular expression: ${text}: the flag U is not known`);
  const source = text
    .replace(FLAGS, "")
    .replace(/\[:(\w+):\]/g, (whole, name: string) => CLASSES[name] ?? whole)
    .replace(/\(\?P</g, "(?<")
    .replace(/\\([\s\S])/g, (whole, letter: string) => (letter === "A" ? "^" : letter === "z" ? "$" : whole));
  return new RegExp(source, [...new Set(given)].join(""));
}
