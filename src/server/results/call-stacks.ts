import { join } from "node:path";
import type { CallFrame } from "../../guest/unwinding/call-stack";
import { findJson, listOf } from "../../lab/analysis/report/module-results";

const MOST_FRAMES = 64;
/** The act of a process that ends, whose stack is in the index of artefacts with its memory. */
const END = "process.ended";
/** In characters: of the symbols of hostile programs. */
const LONGEST_SYMBOL = 500;

/** The functions of a program that have led to an act. */
export interface CallStack {
  /** ISO 8601: that of the act's event. */
  readonly time: string;
  /** The act: "file.written"; "process.ended" for the end of a process. */
  readonly type: string;
  readonly pid: number;
  /** The other facts of the act. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** The innermost first. */
  readonly frames: readonly CallFrame[];
}

/**
 * Reads the call stacks that the modules syscalls and artefacts have recorded, in the order of their times; damaged ones are left out.
 *
 * @param folder the folder of the analysis
 */
export function readCallStacks(folder: string): CallStack[] {
  const acts = listOf(findJson(join(folder, "stacks.json")), "stacks").flatMap(({ time, type, facts, frames }) => {
    const { pid, process: _process, ...others } = (facts ?? {}) as Record<string, unknown>;
    return readStack(time, type, pid, others, frames);
  });
  const ends = listOf(findJson(join(folder, "artefacts.json")), "cores").flatMap(({ time, pid, stack }) =>
    readStack(time, END, pid, {}, stack),
  );
  return [...acts, ...ends].sort((one, other) => (one.time < other.time ? -1 : one.time > other.time ? 1 : 0));
}

function readStack(time: unknown, type: unknown, pid: unknown, facts: CallStack["facts"], list: unknown): CallStack[] {
  if (typeof time !== "string" || typeof type !== "string" || typeof pid !== "number") return [];
  const frames = listOf({ list }, "list").slice(0, MOST_FRAMES).flatMap(readFrame);
  return frames.length === 0 ? [] : [{ time, type, pid, facts, frames }];
}

function readFrame({ address, module, offset, symbol, within }: Readonly<Record<string, unknown>>): CallFrame[] {
  if (typeof address !== "string" || !/^0x[0-9a-f]{1,16}$/.test(address)) return [];
  const isNamed = typeof symbol === "string" && typeof within === "number";
  return [
    {
      ...{ address },
      ...(typeof module === "string" && typeof offset === "number" ? { module, offset } : {}),
      ...(isNamed ? { symbol: symbol.slice(0, LONGEST_SYMBOL), within } : {}),
    },
  ];
}

/** Writes where a frame is: "libc.so.6+0x10e1f4 write+0x14". */
export function formatFrame({ address, module, offset = 0, symbol, within = 0 }: CallFrame): string {
  if (module === undefined) return address;
  const place = `${module}+0x${offset.toString(16)}`;
  return symbol === undefined ? place : `${place} ${symbol}+0x${within.toString(16)}`;
}
