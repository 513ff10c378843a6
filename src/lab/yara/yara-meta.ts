import { LEVEL_SCORES } from "../verdict/score";
import type { YaraMatch } from "./yara-program";

/** The score of a rule that says nothing about it. */
const DEFAULT_SCORE = 5;
const HIGHEST = 10;

/**
 * Gets the score of a rule, 0 to 10, out of its meta: `severity` or `score`, a number up to 10, or up to 100 as many collections have
 * it, or a word of Sigma's levels.
 */
export function getScore(meta: YaraMatch["meta"]): number {
  for (const [name, value] of Object.entries(meta)) {
    if (!/^(severity|score)$/i.test(name)) continue;
    const word = String(value).trim().toLowerCase();
    if (Object.hasOwn(LEVEL_SCORES, word)) return LEVEL_SCORES[word as keyof typeof LEVEL_SCORES];
    const number = Number(word);
    if (word !== "" && number >= 0 && number <= HIGHEST) return number;
    if (number > HIGHEST && number <= HIGHEST ** 2) return Math.round(number) / HIGHEST;
  }
  return DEFAULT_SCORE;
}

/** Lists the techniques of ATT&CK that a rule names anywhere in its meta. */
export function listTechniques(meta: YaraMatch["meta"]): string[] {
  const text = Object.values(meta).join(" ");
  return [...new Set([...text.matchAll(/\bT\d{4}(?:\.\d{3})?\b/g)].map(([technique]) => technique))];
}
