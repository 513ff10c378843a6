/** Colour sequences: ESC [ ... m. */
// eslint-disable-next-line no-control-regex -- finding control characters is the purpose
const COLOUR = /\u001b\[[0-9;:]*m/;
/**
 * Characters by which text from the guest could move a cursor, ring, reprogram a terminal, or break a line: all control
 * characters except line feed and tab, and the line and paragraph separators. And those that turn the direction of writing,
 * by which a name can be shown as another: UAX #9 lists them.
 */
const UNSAFE =
  // eslint-disable-next-line no-control-regex -- finding control characters is the purpose
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const UNSAFE_EXCEPT_COLOUR = new RegExp(`${COLOUR.source}|${UNSAFE.source}`, "g");

/**
 * Returns text in which nothing can move a cursor, colour, reprogram a terminal or turn the direction of writing: such
 * characters become \xNN or \uNNNN. Line feeds and tabs stay.
 *
 * @param text any text, also the guest's own
 */
export function toPlainText(text: string): string {
  return text.replace(UNSAFE, escapeCharacter);
}

/** Returns text as toPlainText() does, in one line: a line feed becomes \n and a tab \t. */
export function toPlainLine(text: string): string {
  return toPlainText(text).replace(/\n/g, "\\n").replace(/\t/g, "\\t");
}

/** Returns text as toPlainText() does, except that colour sequences stay: scripts colour what they print. */
export function toColouredText(text: string): string {
  return text.replace(UNSAFE_EXCEPT_COLOUR, (found) => (found.length > 1 ? found : escapeCharacter(found)));
}

function escapeCharacter(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}
