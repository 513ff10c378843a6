/**
 * Logs what is typed on the guest's keyboard, a line at a time, as an American keyboard has it. Keys without a character
 * stand in angle brackets.
 *
 *   rebox run --script scripts/keylog.ts -- QEMU-ARGS...
 *
 * The guest has to use scan code set 2, as PCs do.
 */
import { CallbackManager } from "rebox";

const RELEASED = 0xf0;
const EXTENDED = 0xe0;
const PAUSE = 0xe1;
/** Codes that follow the first one of Pause. */
const PAUSE_LENGTH = 7;

/** Characters by scan code: without and with Shift. */
const CHARACTERS = new Map<number, string>();
for (const [codes, plain, shifted] of [
  [[0x0e, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55], "`1234567890-=", "~!@#$%^&*()_+"],
  [[0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5d], "qwertyuiop[]\\", "QWERTYUIOP{}|"],
  [[0x1c, 0x1b, 0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52], "asdfghjkl;'", 'ASDFGHJKL:"'],
  [[0x1a, 0x22, 0x21, 0x2a, 0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x29], "zxcvbnm,./ ", "ZXCVBNM<>? "],
] as const) {
  codes.forEach((code, at) => CHARACTERS.set(code, plain[at]! + shifted[at]!));
}

const NAMES: Readonly<Record<number, string>> = {
  ...{ 0x66: "Backspace", 0x0d: "Tab", 0x76: "Esc", 0x14: "Ctrl", 0x11: "Alt", 0x58: "CapsLock" },
  ...{ 0x05: "F1", 0x06: "F2", 0x04: "F3", 0x0c: "F4", 0x03: "F5", 0x0b: "F6", 0x83: "F7", 0x0a: "F8" },
  ...{ 0x01: "F9", 0x09: "F10", 0x78: "F11", 0x07: "F12" },
};
const EXTENDED_NAMES: Readonly<Record<number, string>> = {
  ...{ 0x75: "Up", 0x72: "Down", 0x6b: "Left", 0x74: "Right", 0x71: "Delete", 0x70: "Insert" },
  ...{ 0x6c: "Home", 0x69: "End", 0x7d: "PageUp", 0x7a: "PageDown", 0x14: "Ctrl", 0x11: "AltGr" },
};
const SHIFTS = [0x12, 0x59];
const ENTER = 0x5a;

let callbacks: CallbackManager;
let print: (text: string) => void;
let line = "";
let isExtended = false;
let isReleased = false;
let skipped = 0;
const shiftsDown = new Set<number>();

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
  callbacks.addCallback(CallbackManager.KEYSTROKE_CB, onCode, { name: "keylog" });
}

/** Logs the line that was not ended. */
export function clean(): void {
  if (line !== "") print(line);
  callbacks.clean();
}

function onCode(code: number): void {
  if (skipped > 0) {
    skipped--;
  } else if (code === PAUSE) {
    skipped = PAUSE_LENGTH;
    line += "<Pause>";
  } else if (code === EXTENDED) {
    isExtended = true;
  } else if (code === RELEASED) {
    isReleased = true;
  } else {
    onKey(code);
    isExtended = false;
    isReleased = false;
  }
}

function onKey(code: number): void {
  if (!isExtended && SHIFTS.includes(code)) {
    if (isReleased) shiftsDown.delete(code);
    else shiftsDown.add(code);
    return;
  }
  if (isReleased) return;
  if (code === ENTER) {
    print(line);
    line = "";
    return;
  }
  const name = isExtended ? EXTENDED_NAMES[code] : NAMES[code];
  const character = isExtended ? undefined : CHARACTERS.get(code)?.[shiftsDown.size > 0 ? 1 : 0];
  line += character ?? `<${name ?? `0x${code.toString(16)}`}>`;
}
