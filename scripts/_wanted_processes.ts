/** Reads which processes are meant by words such as process=92, process=0x1f3c000 and process=nginx*. */
import { findProcess, type HookedProcess } from "rebox";

const WORD = /^process=(.*)$/s;

/** Returns whether a word names processes. */
export function isProcessWord(word: string): boolean {
  return WORD.test(word);
}

/**
 * Reads which processes words name; others are passed over.
 *
 * @returns a function that tells whether a process is one of them; every process is one where no word names any
 * @throws Error when a word names none
 */
export function readWantedProcesses(words: readonly string[]): (process: HookedProcess) => boolean {
  const wanted = words.flatMap((word) => WORD.exec(word)?.slice(1) ?? []).map(readProcess);
  return (process) => wanted.length === 0 || wanted.some((isOne) => isOne(process));
}

function readProcess(word: string): (process: HookedProcess) => boolean {
  if (word === "") throw new Error("the process is missing: process=92, process=0x1f3c000 or process=nginx*");
  if (/^\d+$/.test(word)) return ({ pid }) => pid === Number(word);
  if (/^0x[\da-f]+$/i.test(word)) return ({ pgd }) => pgd === BigInt(word);
  const pieces = word
    .split(/([*?])/)
    .map((piece) => (piece === "*" ? ".*" : piece === "?" ? "." : escapePattern(piece)));
  const pattern = new RegExp(`^${pieces.join("")}$`, "s");
  return ({ pid }) => pattern.test(findProcess(pid)?.name ?? "");
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
