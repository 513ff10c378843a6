import { QuotingError } from "./errors";

/**
 * Splits one line into words the way a POSIX shell does, without expanding anything: blanks separate words, '...' keeps
 * everything, "..." keeps everything but \" and \\, and a backslash outside quotes keeps the next character.
 *
 * @param line one line of text
 * @returns the words, without their quotes; "" for an empty pair of quotes
 * @throws QuotingError when a quote is not closed or the line ends in a backslash
 */
export function splitQuotedWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let at = 0;
  while (at < line.length) {
    const char = line[at] as string;
    if (char === "'" || char === '"') {
      const quoted = readQuoted(line, at);
      word = (word ?? "") + quoted.text;
      at = quoted.next;
    } else if (char === "\\") {
      if (at + 1 >= line.length) {
        throw new QuotingError("the backslash at the end of the line has nothing to protect; remove it");
      }
      word = (word ?? "") + line[at + 1];
      at += 2;
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      at++;
    } else {
      word = (word ?? "") + char;
      at++;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** Reads the quoted text that opens at `start`; `next` is the index behind its closing quote. */
function readQuoted(line: string, start: number): { text: string; next: number } {
  const quote = line[start] as string;
  let text = "";
  for (let at = start + 1; at < line.length; at++) {
    const char = line[at] as string;
    if (char === quote) return { text, next: at + 1 };
    const next = line[at + 1];
    if (quote === '"' && char === "\\" && (next === '"' || next === "\\")) {
      text += next;
      at++;
    } else {
      text += char;
    }
  }
  const shown = line.slice(start, start + 30);
  throw new QuotingError(`the ${quote} before ${JSON.stringify(shown.slice(1))} is not closed on this line`);
}
