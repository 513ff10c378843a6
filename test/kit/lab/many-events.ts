import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { EVENTS_FILE } from "../../../src/lab/analysis/event-log";

/** When the events begin, in milliseconds since 1970. */
export const MANY_EVENTS_START = Date.UTC(2026, 0, 1);

/** Writes the events of a target into the folder of an analysis: a chain of processes, and what the last of them does. */
export function writeManyEvents(
  folder: string,
  { processes, acts }: { readonly processes: number; readonly acts: number },
): void {
  const file = openSync(join(folder, EVENTS_FILE), "w");
  let sequence = 0;
  let text = "";
  const add = (type: string, facts: object): void => {
    const time = new Date(MANY_EVENTS_START + Math.floor(++sequence / 50)).toISOString();
    text += `${JSON.stringify({ time, sequence, ...facts, type })}\n`;
    if (text.length < 1 << 20) return;
    writeSync(file, text);
    text = "";
  };
  for (let pid = 1; pid <= processes; pid++) {
    add("process.created", { pid, ppid: pid - 1, name: "chain", origin: "target" });
    if (pid === 1) add("process.executed", { pid, name: "chain", commandLine: "./chain", executable: "/chain", origin: "target" }); // prettier-ignore
  }
  for (let act = 0; act < acts; act++) add("file.written", { pid: processes, process: "chain", path: `/tmp/files/of/the/target/${act}` }); // prettier-ignore
  writeSync(file, text);
  closeSync(file);
}
