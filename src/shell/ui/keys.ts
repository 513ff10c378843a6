/** The effect of a key everywhere, or in a pane. */
export type Action =
  | "help"
  | "continue"
  | "pause"
  | "step"
  | "next"
  | "finish"
  | "breakpoint"
  | "nextPane"
  | "previousPane"
  | "zoom"
  | "goTo"
  | "redraw"
  | "commandLine"
  | "quit";

/** A row of the help: see docs/reference/terminal-ui.md. */
export interface KeyHelp {
  readonly action: Action;
  /** As KeyReader names them. Those with "M-" are for terminals, and people, without the function keys. */
  readonly keys: readonly string[];
  /** In panes, but not in the console, where letters are typed. */
  readonly letter?: string;
  readonly shown: string;
  readonly what: string;
}

export const KEYS: readonly KeyHelp[] = [
  { action: "help", keys: ["f1", "M-h"], letter: "?", shown: "F1, Alt-H", what: "these keys" },
  { action: "continue", keys: ["f5", "M-c"], letter: "c", shown: "F5, Alt-C", what: "let the guest go on: cont" },
  { action: "pause", keys: ["f8", "M-p"], letter: "p", shown: "F8, Alt-P, Ctrl-C", what: "pause the guest" },
  { action: "step", keys: ["f11", "M-s"], letter: "s", shown: "F11, Alt-S", what: "one instruction: step" },
  { action: "next", keys: ["f10", "M-n"], letter: "n", shown: "F10, Alt-N", what: "one instruction or call: next" },
  { action: "finish", keys: ["f12", "M-f"], letter: "f", shown: "F12, Alt-F", what: "to the caller: finish" },
  { action: "breakpoint", keys: ["f9", "M-b"], letter: "b", shown: "F9, Alt-B", what: "breakpoint at the code's row" },
  { action: "nextPane", keys: ["f6", "C-o"], letter: "\t", shown: "F6, Ctrl-O, Tab", what: "next pane" },
  { action: "previousPane", keys: ["S-tab", "M-o"], shown: "Shift-Tab, Alt-O", what: "pane before" },
  { action: "zoom", keys: ["f7", "M-z"], letter: "z", shown: "F7, Alt-Z", what: "all the room for a pane, and back" },
  {
    action: "goTo",
    keys: ["f3", "M-g"],
    letter: "g",
    shown: "F3, Alt-G",
    what: "choose the address of memory or code",
  },
  { action: "redraw", keys: ["C-l"], shown: "Ctrl-L", what: "draw the screen anew" },
  { action: "commandLine", keys: ["M-x"], letter: "q", shown: "Alt-X", what: "to the command line" },
  { action: "quit", keys: ["M-q"], shown: "Alt-Q, Ctrl-D", what: "leave: quit" },
];

const byKey = new Map(KEYS.flatMap(({ action, keys }) => keys.map((key) => [key, action])));
const byLetter = new Map(KEYS.flatMap(({ action, letter }) => (letter === undefined ? [] : [[letter, action]])));

/** Finds the action of a key with any focus. */
export function findAction(name: string): Action | undefined {
  return byKey.get(name);
}

/** Finds the action of a key in a pane that takes no text. */
export function findPaneAction(name: string): Action | undefined {
  return byLetter.get(name === "tab" ? "\t" : name);
}

/** Lists the lines of the help. */
export function describeKeys(): string[] {
  const rows = KEYS.map(({ shown, letter = "", what }) => {
    const inPane = letter === "\t" ? "" : letter;
    return `${shown.padEnd(19)} ${inPane.padEnd(3)} ${what}`;
  });
  return [
    "key                 in a pane",
    ...rows,
    "Alt-1 to Alt-7          a pane by its number, Alt-0 the command line",
    "PgUp, PgDn, Home, End   scroll; Up and Down by a row, in a pane",
    "Tab                     on the command line: complete; without text: next pane",
    "Up, Down                on the command line: history",
    "Ctrl-V                  in the console: the next key is typed, whatever it is",
    "Alt is Esc in front of a key where a terminal has no Alt.",
  ];
}
