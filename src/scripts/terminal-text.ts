/** Everything that moves a cursor, rings or reprograms a terminal, except line feed, tab and colour sequences (ESC [ ... m). */
// eslint-disable-next-line no-control-regex -- finding control characters is the purpose
const UNSAFE = /\u001b\[[0-9;:]*m|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/**
 * Returns text that a terminal shows as it is: control characters, which text from the guest may hold, become \xNN.
 *
 * @param text any text
 */
export function toTerminalText(text: string): string {
  return text.replace(UNSAFE, (found) => {
    if (found.length > 1) return found;
    return `\\x${found.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}
