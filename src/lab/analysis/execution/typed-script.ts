/** In characters: line editors keep no more than about a thousand, and terminals are narrow. */
const CHUNK = 160;
/** In characters; what is longer belongs into a file. */
const LONGEST = 64 << 10;

/** A line for a shell, and what it prints when it has arrived as it was typed. */
export interface TypedLine {
  readonly line: string;
  readonly answer: string;
}

/** A script that is typed in lines, whose text is printable and without a quote. */
export interface TypedScript {
  /** They keep the script in variables of the shell; each may be typed again. */
  readonly lines: readonly TypedLine[];
  /** Runs it. */
  readonly run: string;
}

/**
 * Makes lines that can be typed at any POSIX shell out of a script: whatever is in it, no line is long, none has a character that
 * a line editor treats in a way of its own, and each answers with the length that has arrived, so that a lost character is noticed.
 *
 * @param script for sh
 * @param marks two words; what the lines print begins with both together, and the lines themselves never have them so
 * @throws Error when the script is too long to be typed
 */
export function typeScript(script: string, [first, second]: readonly [string, string]): TypedScript {
  const encoded = encode(script);
  if (encoded.length > LONGEST) {
    throw new Error(
      `a command of ${Buffer.byteLength(script)} bytes is too long to be typed; put it into a file: --target`,
    );
  }
  const name = (index: number) => `rebox_${index}`;
  const lines: TypedLine[] = [];
  for (let at = 0, index = 0; at < encoded.length; index++) {
    // An escape may be cut in two: only the parts together are decoded.
    const end = Math.min(at + CHUNK, encoded.length);
    const before = index === 0 ? "" : `"$${name(index - 1)}"`;
    const after = `${index}.\${#${name(index)}}`;
    lines.push({
      line: `${name(index)}=${before}'${encoded.slice(at, end)}';echo ${first}''${second}${after}`,
      answer: `${first}${second}${index}.${end}`,
    });
    at = end;
  }
  return { lines, run: `eval "$(printf %b "$${name(lines.length - 1)}")"` };
}

/** Writes text with printf's %b escapes (POSIX, printf): what is left is letters, digits and harmless signs. */
function encode(text: string): string {
  let encoded = "";
  for (const byte of Buffer.from(text)) {
    const char = String.fromCharCode(byte);
    encoded += /[\w ./:;=,@%+-]/.test(char) ? char : `\\0${byte.toString(8).padStart(3, "0")}`;
  }
  return encoded;
}
