import { type ChildProcess, spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text as readText } from "node:stream/consumers";
import { getProjectFolder } from "../../config/folders";
import { RecordingError } from "../../machine/errors";
import type { PastHit } from "./past-hits";

const PROGRAM = join(getProjectFolder(), "build/js/src/cli/main.js");
/** Each process has the guest's whole memory. */
const MOST_JOBS = 4;
/** A shorter recording is replayed before the processes have begun, in instructions. */
const SHORT = 4_000_000_000;
/**
 * Looking at every access to memory takes so many times as long as replaying alone. A process replays alone to where its part begins, so the
 * parts become shorter towards the end.
 */
const SLOWNESS = 5;
/** A process that has not ended so long after it was asked to is killed, in milliseconds. */
const END_MS = 5_000;

/** A hit of one of the question's options. */
export interface FoundHit extends PastHit {
  readonly what: "written" | "read" | "executed";
}

/** A question about a recording. */
export interface PartsQuestion {
  /** The recording. */
  readonly folder: string;
  readonly instructions: number;
  /** The question as options of `rebox replay`: "--when-written", "p1a2b000:8". */
  readonly options: readonly string[];
  readonly jobs: number;
}

/** Tells how many processes look through a recording when nobody says how many. @param instructions of the recording */
export function chooseJobs(instructions: number): number {
  return instructions < SHORT ? 1 : Math.min(availableParallelism(), MOST_JOBS);
}

/** Divides a recording into parts that take equally long. @returns the counts at which they begin, the first of them 0 */
export function divideRecording(instructions: number, jobs: number): number[] {
  const ratio = (SLOWNESS - 1) / SLOWNESS;
  const sizes = Array.from({ length: jobs }, (_, part) => ratio ** part);
  const whole = sizes.reduce((sum, size) => sum + size, 0);
  let at = 0;
  return sizes.map((size) => {
    const begin = at;
    at += Math.floor((size / whole) * instructions);
    return begin;
  });
}

/**
 * Has processes replay parts of a recording at the same time, and tells what they find, in its order.
 *
 * @param signal ends them
 * @throws RecordingError when one of them cannot replay its part, with what it says
 */
export function askInParts(question: PartsQuestion, signal: AbortSignal): AsyncGenerator<FoundHit> {
  const begins = divideRecording(question.instructions, question.jobs);
  return readParts(
    begins.map((from, index) => () => startPart(question, from, begins[index + 1])),
    signal,
  );
}

/**
 * Reads the hits of processes that run at the same time, those of the first process first.
 *
 * @param starts start the processes, each with pipes for what it says and for its problems
 * @param signal ends them
 * @throws RecordingError when one of them fails, or ends within a line
 */
export async function* readParts(
  starts: readonly (() => ChildProcess)[],
  signal: AbortSignal,
): AsyncGenerator<FoundHit> {
  const parts: Part[] = [];
  const stop = () => parts.forEach(stopPart);
  signal.addEventListener("abort", stop);
  try {
    for (const start of starts) parts.push(readPart(start(), signal));
    for (const { lines, ended, problems } of parts) {
      let unreadable: string | undefined;
      for await (const line of lines) {
        const entry = findEntry(line);
        if (entry === undefined) unreadable = line;
        else if (entry["type"] === "hit") yield getHit(entry);
      }
      const status = await ended;
      signal.throwIfAborted();
      if (status !== 0 || unreadable !== undefined) {
        const why = (await problems) || `its process ended with ${status ?? "a signal"}, within a line`;
        throw new RecordingError(`a part of the recording cannot be replayed: ${why}`);
      }
    }
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
    await Promise.all(parts.map(({ ended }) => ended));
  }
}

interface Part {
  readonly child: ChildProcess;
  readonly lines: AsyncIterable<string>;
  /** Its status; null when a signal has ended it, or it could not be started. */
  readonly ended: Promise<number | null>;
  readonly problems: Promise<string>;
}

function startPart({ folder, options }: PartsQuestion, from: number, to: number | undefined): ChildProcess {
  const end = to === undefined ? [] : ["--to", String(to)];
  const words = ["replay", folder, ...options, "--from", String(from), ...end, "--json", "-"];
  // It ends when this process does: by the channel.
  return spawn(process.execPath, [...process.execArgv, PROGRAM, ...words], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
}

function readPart(child: ChildProcess, signal: AbortSignal): Part {
  let reason: string | undefined;
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", resolve);
    child.once("error", (error) => {
      reason = error.message;
      resolve(null);
    });
  });
  const { stdout, stderr } = child;
  // Without descriptors left there are no pipes.
  if (!stdout || !stderr) throw new RecordingError("no process can be started for a part of the recording");
  // From the beginning: what a process has written is thrown away at its end when nobody reads it.
  const lines = createInterface({ input: stdout, signal })[Symbol.asyncIterator]();
  const text = readText(stderr).catch(() => "");
  return { child, lines, ended, problems: text.then((said) => said.trim() || (reason ?? "")) };
}

/** Ends a process, also one that waits for somebody to read what it says. */
function stopPart({ child, ended }: Part): void {
  child.stdout?.destroy();
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), END_MS);
  void ended.then(() => clearTimeout(timer));
}

/** Reads a line of the JSON log. @returns undefined when it is none: its process was ended within it */
function findEntry(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}

function getHit(entry: Readonly<Record<string, unknown>>): FoundHit {
  const { what, count, cpuIndex, pc, pgd, process, pid, address, size, value } = entry as unknown as Logged<FoundHit>;
  return {
    ...{ what, count, cpuIndex, process, pid, size, breakpoint: undefined },
    ...{ pc: BigInt(pc), pgd: BigInt(pgd), address: BigInt(address) },
    value: value === undefined ? undefined : BigInt(value),
  };
}

/** As the JSON log has it. */
type Logged<Type> = { readonly [Name in keyof Type]: Type[Name] extends bigint ? string : Type[Name] extends bigint | undefined ? string | undefined : Type[Name] }; // prettier-ignore
