/** Control characters but line feed and tab, and what turns the direction of writing: text from the guest may hold them. */
// eslint-disable-next-line no-control-regex -- finding control characters is the purpose
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Returns text in which nothing can move a cursor, colour or reprogram a terminal: such characters become \xNN or \uNNNN.
 *
 * @param text any text, also the guest's own
 */
export function toPlainText(text: string): string {
  return text.replace(UNSAFE, (found) => {
    const code = found.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}

/** Returns text as toPlainText() does, in one line: a line feed becomes \n and a tab \t. */
export function toPlainLine(text: string): string {
  return toPlainText(text).replace(/\n/g, "\\n").replace(/\t/g, "\\t");
}
