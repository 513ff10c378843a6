/**
 * Splits a command line into words as programs do (CommandLineToArgvW,
 * https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments): quotes keep spaces, and an odd number of
 * backslashes before a quote makes it a letter. In the first word, the program's name, backslashes are letters.
 */
export function splitCommandLine(text: string): string[] {
  const line = text.replace(/\0.*$/s, "");
  const first = /^\s*(?:"([^"]*)"?|(\S*))/.exec(line);
  if (!first || line.trim() === "") return [];
  const words = [first[1] ?? first[2] ?? ""];
  let at = first[0].length;
  while (at < line.length) {
    while (line[at] === " " || line[at] === "\t") at++;
    if (at >= line.length) break;
    let word = "";
    let isQuoted = false;
    for (; at < line.length && (isQuoted || (line[at] !== " " && line[at] !== "\t")); at++) {
      let backslashes = 0;
      while (line[at + backslashes] === "\\") backslashes++;
      if (line[at + backslashes] === '"') {
        word += "\\".repeat(Math.floor(backslashes / 2));
        at += backslashes;
        if (backslashes % 2 === 1) word += '"';
        else if (isQuoted && line[at + 1] === '"') word += line[++at] as string;
        else isQuoted = !isQuoted;
      } else if (backslashes > 0) {
        word += "\\".repeat(backslashes);
        at += backslashes - 1;
      } else {
        word += line[at] as string;
      }
    }
    words.push(word);
  }
  return words;
}
