import type { LineAnswer } from "../line/line-runner";

/** Returns what a line of the shell told as data; undefined when it failed. */
export function findData<Data>(answer: LineAnswer | undefined): Data | undefined {
  return answer?.error === undefined ? (answer?.data as Data | undefined) : undefined;
}
