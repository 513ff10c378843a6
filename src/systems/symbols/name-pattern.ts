/**
 * Makes a test for names.
 *
 * @param pattern in which * stands for any characters, also none, and ? for one
 */
export function namePattern(pattern: string): (name: string) => boolean {
  const inner = pattern.slice(0, -1);
  // The usual search, for a beginning, needs no expression.
  if (pattern.endsWith("*") && !/[*?]/.test(inner)) return (name) => name.startsWith(inner);
  if (!/[*?]/.test(pattern)) return (name) => name === pattern;
  return (name) => isMatch(pattern, name);
}

/** Compares name and pattern, going back to the last star only, so that no pattern takes more than the product of the lengths. */
function isMatch(pattern: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let index = 0; index < name.length;) {
    if (pattern[at] === "*") {
      star = at++;
      resume = index;
    } else if (at < pattern.length && (pattern[at] === "?" || pattern[at] === name[index])) {
      at++;
      index++;
    } else if (star >= 0) {
      at = star + 1;
      index = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}

/** The texts that every name contains that matches a pattern, one behind the other; none when it has only * and ?. */
export function piecesOf(pattern: string): string[] {
  return pattern.split(/[*?]+/).filter((piece) => piece !== "");
}
