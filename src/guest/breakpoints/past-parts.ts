import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
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
export async function* askInParts(question: PartsQuestion, signal: AbortSignal): AsyncGenerator<FoundHit> {
  const begins = divideRecording(question.instructions, question.jobs);
  const parts = begins.map((from, index) => startPart(question, from, begins[index + 1]));
  try {
    for (const { child, ended, problems } of parts) {
      for await (const line of createInterface({ input: child.stdout!, signal })) {
        const hit = findHit(line);
        if (hit !== undefined) yield hit;
      }
      const status = await ended;
      signal.throwIfAborted();
      if (status !== 0) throw new RecordingError(`a part of the recording cannot be replayed: ${await problems}`);
    }
  } finally {
    for (const { child } of parts) child.kill("SIGTERM");
    await Promise.all(parts.map(({ ended }) => ended));
  }
}

interface Part {
  readonly child: ChildProcess;
  /** Its status; null when a signal has ended it, or it could not be started. */
  readonly ended: Promise<number | null>;
  readonly problems: Promise<string>;
}

function startPart({ folder, options }: PartsQuestion, from: number, to: number | undefined): Part {
  const end = to === undefined ? [] : ["--to", String(to)];
  const words = ["replay", folder, ...options, "--from", String(from), ...end, "--json", "-"];
  // It ends when this process does: by the channel.
  const child = spawn(process.execPath, [...process.execArgv, PROGRAM, ...words], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const ended = Promise.race([
    once(child, "close").then(([status]) => status as number | null),
    once(child, "error").then(() => null),
  ]);
  return { child, ended, problems: readText(child.stderr!).then((text) => text.trim()) };
}

/** Reads a hit out of a line of the JSON log. */
function findHit(line: string): FoundHit | undefined {
  const entry = JSON.parse(line) as Readonly<Record<string, unknown>>;
  if (entry["type"] !== "hit") return undefined;
  const { what, count, cpuIndex, pc, pgd, process, pid, address, size, value } = entry as unknown as Logged<FoundHit>;
  return {
    ...{ what, count, cpuIndex, process, pid, size, breakpoint: undefined },
    ...{ pc: BigInt(pc), pgd: BigInt(pgd), address: BigInt(address) },
    value: value === undefined ? undefined : BigInt(value),
  };
}

/** As the JSON log has it. */
type Logged<Type> = { readonly [Name in keyof Type]: Type[Name] extends bigint ? string : Type[Name] extends bigint | undefined ? string | undefined : Type[Name] }; // prettier-ignore
