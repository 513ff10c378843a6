import { findKeys } from "rebox/lab";

/** One thing that a person does. */
export type HumanAct =
  | { readonly what: "move"; readonly x: number; readonly y: number }
  | { readonly what: "click"; readonly button: "left" | "right" | "middle"; readonly times: 1 | 2 }
  | { readonly what: "wait"; readonly ms: number }
  /** QEMU's names of keys that are pressed together. */
  | { readonly what: "keys"; readonly keys: readonly string[] }
  | { readonly what: "stop" };

const CLICKS: Readonly<Record<string, HumanAct>> = {
  click: { what: "click", button: "left", times: 1 },
  doubleclick: { what: "click", button: "left", times: 2 },
  rightclick: { what: "click", button: "right", times: 1 },
  middleclick: { what: "click", button: "middle", times: 1 },
};

const LONGEST_WAIT_MS = 3_600_000;
/** A word; blanks are kept within quotes. */
const WORD = /(?:"[^"]*"|[^\s"])+/g;

/**
 * Reads what a person shall do: words with blanks between them, which are carried out one after the other and then from the first
 * one on again, unless the word "stop" is reached.
 *
 *   (x:y)                     moves the mouse to a pixel, counted from the upper left
 *   click, doubleclick, rightclick, middleclick
 *   500ms                     waits
 *   key:ctrl-alt-delete       presses keys together, by QEMU's names
 *   type:word, type:"words"   types on a keyboard of the United States
 *   stop
 *
 * @throws Error that names the word which is none of these
 */
export function readInstructions(text: string): HumanAct[] {
  const words = text.match(WORD) ?? [];
  return words.flatMap((word): HumanAct | HumanAct[] => {
    const [, x, y] = /^\((\d{1,5}):(\d{1,5})\)$/.exec(word) ?? [];
    if (x !== undefined && y !== undefined) return { what: "move", x: Number(x), y: Number(y) };
    const [, ms] = /^(\d+)ms$/.exec(word) ?? [];
    if (ms !== undefined && Number(ms) <= LONGEST_WAIT_MS) return { what: "wait", ms: Number(ms) };
    const [, keys] = /^key:([\w-]+)$/.exec(word) ?? [];
    if (keys !== undefined) return { what: "keys", keys: keys.split("-") };
    const [, typed] = /^type:"?([^"]+)"?$/.exec(word) ?? [];
    if (typed !== undefined) return [...typed].map((character) => ({ what: "keys", keys: getKeys(character, word) }));
    if (word === "stop") return { what: "stop" };
    const click = CLICKS[word];
    if (click !== undefined) return click;
    throw new Error(
      `human: "${word}" is no instruction; they are (x:y), ${Object.keys(CLICKS).join(", ")}, 500ms, key:ret, type:word and stop`,
    );
  });
}

function getKeys(character: string, word: string): readonly string[] {
  const keys = findKeys(character === "\n" ? "\r" : character);
  if (keys === undefined) throw new Error(`human: there is no key for "${character}" in "${word}"`);
  return keys;
}
