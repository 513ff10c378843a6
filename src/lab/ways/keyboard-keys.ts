import { WayInError } from "../errors";

/** Keys that are pressed together, by QEMU's names (QKeyCode of qapi/ui.json). */
export type KeyPress = readonly string[];

const PLAIN: Readonly<Record<string, string>> = {
  " ": "spc",
  "\r": "ret",
  "\t": "tab",
  "-": "minus",
  "=": "equal",
  "[": "bracket_left",
  "]": "bracket_right",
  ";": "semicolon",
  "'": "apostrophe",
  "`": "grave_accent",
  "\\": "backslash",
  ",": "comma",
  ".": "dot",
  "/": "slash",
};
/** The characters of the same keys with shift, and of the digits. */
const UNSHIFTED = "-=[];'`\\,./1234567890";
const SHIFTED = '_+{}:"~|<>?!@#$%^&*()';

/**
 * Finds the keys that type a text on a keyboard of the United States, the layout of a Linux console that nobody has configured.
 *
 * @throws WayInError for a character that is not on it
 */
export function getKeys(text: string): KeyPress[] {
  return Array.from(text, (char) => {
    const shifted = SHIFTED.indexOf(char);
    if (shifted !== -1) return ["shift", getKey(UNSHIFTED[shifted]!)];
    if (/[A-Z]/.test(char)) return ["shift", char.toLowerCase()];
    // Control and a letter are typed as one character: of "c" as ETX.
    if (char >= "\x01" && char <= "\x1a" && PLAIN[char] === undefined) {
      return ["ctrl", String.fromCharCode(char.charCodeAt(0) + 0x60)];
    }
    return [getKey(char)];
  });
}

function getKey(char: string): string {
  if (/[a-z0-9]/.test(char)) return char;
  const key = PLAIN[char];
  if (key === undefined) throw new WayInError(`${JSON.stringify(char)} cannot be typed on the guest's keyboard`);
  return key;
}
