import { relative } from "node:path";

/** One thing that is wrong with a script. */
export interface Problem {
  /** Absolute path. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** 1-based. */
  readonly column: number;
  readonly text: string;
  /** The text of that line. */
  readonly sourceLine?: string | undefined;
}

/** Returns a problem as text: file:line:column, what it is, and the source line with a mark under the column. */
export function describeProblem(problem: Problem): string {
  const path = relative("", problem.file);
  const shown = path.startsWith("..") ? problem.file : path;
  const message = `${shown}:${problem.line}:${problem.column}: ${problem.text}`;
  if (problem.sourceLine === undefined) return message;
  const mark = `${" ".repeat(problem.column - 1)}^`;
  return `${message}\n    ${problem.sourceLine.replaceAll("\t", " ")}\n    ${mark}`;
}
