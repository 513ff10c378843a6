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
 * Finds the keys that type a character on a keyboard of the United States.
 *
 * @returns undefined for a character that is not on it
 */
export function findKeys(char: string): KeyPress | undefined {
  const shifted = SHIFTED.indexOf(char);
  if (shifted !== -1) return ["shift", ...findKeys(UNSHIFTED[shifted]!)!];
  if (/^[A-Z]$/.test(char)) return ["shift", char.toLowerCase()];
  if (/^[a-z0-9]$/.test(char)) return [char];
  const key = PLAIN[char];
  return key === undefined ? undefined : [key];
}

/**
 * Gets the keys that type a text on such a keyboard, the layout of a Linux console that nobody has configured.
 *
 * @throws WayInError for a character that is not on it
 */
export function getKeys(text: string): KeyPress[] {
  return Array.from(text, (char) => {
    const keys = findKeys(char);
    if (keys !== undefined) return keys;
    // Control and a letter are typed as one character: of "c" as ETX.
    if (char >= "\x01" && char <= "\x1a") return ["ctrl", String.fromCharCode(char.charCodeAt(0) + 0x60)];
    throw new WayInError(`${JSON.stringify(char)} cannot be typed on the guest's keyboard`);
  });
}
