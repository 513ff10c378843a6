import type { SigmaLevel } from "./sigma/rule";

/** The score of a rule that fires, by its level. */
export const LEVEL_SCORES: Readonly<Record<SigmaLevel, number>> = {
  ...{ informational: 0, low: 2, medium: 4, high: 7, critical: 9 },
};

/** The addition of each further finding, as a part of its own score: many weak signs are a strong one. */
const FURTHER = 0.1;

/** How a sample looks, in a word. */
export type Judgement = "inconspicuous" | "suspicious" | "malicious";

/**
 * Sums up what has fired: the highest score, and a tenth of each other one.
 *
 * @param scores 0 to 10 each
 * @returns 0 to 10, with one decimal
 */
export function sumScores(scores: readonly number[]): number {
  const [highest = 0, ...others] = scores.toSorted((one, other) => other - one);
  const sum = others.reduce((total, score) => total + score * FURTHER, highest);
  return Math.round(Math.min(10, sum) * 10) / 10;
}

/** Says a score in a word: up to 2 nothing stands out, above 6 little else explains it. */
export function judgeScore(score: number): Judgement {
  if (score <= 2) return "inconspicuous";
  return score <= 6 ? "suspicious" : "malicious";
}
