import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { z } from "zod";
import { getServerFolder } from "../accounts/account-database";
import { BusyError, ConflictError } from "../errors";
import { askProgram } from "../machines/ask-program";
import type { LabRecording } from "./list-recordings";

/** Replays at once: each is a machine. */
const MOST_AT_ONCE = 2;
const LONGEST_S = 1_800;

/** The questions about a moment of a recording, and the commands of the shell that answer: docs/reference/shell.md. */
export const MOMENT_QUESTIONS = {
  place: ["bt"],
  code: ["u"],
  registers: ["r"],
  processes: ["ps"],
  modules: ["lm"],
  threads: ["threads"],
  files: ["files"],
  sockets: ["ss"],
  memory: ["vmmap"],
} as const;
const NAMES = Object.keys(MOMENT_QUESTIONS) as [keyof typeof MOMENT_QUESTIONS];

/** A question about a moment of a recording. Nothing in it is a line of the shell: numbers and known words alone. */
export const MOMENT = z.object({
  at: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).describe("How many instructions the guest has executed then."), // prettier-ignore
  questions: z.array(z.enum(NAMES)).min(1).max(NAMES.length).default(["place", "processes"]).describe("What is asked there."), // prettier-ignore
  pid: z.number().int().min(0).max(4_194_304).optional().describe("The process that is meant; without it, the one that the vCPU executes."), // prettier-ignore
  timeout: z.number().int().min(1).max(LONGEST_S).default(300).describe("How long the replay may take, in seconds."),
});

/** Goes to moments of recordings, by `rebox replay` in processes of their own. */
export class Replays {
  readonly #children = new Set<ChildProcess>();

  constructor(private readonly labFolder: string) {}

  /**
   * Replays a recording up to a moment, and asks there.
   *
   * @returns the shell's answers, for people
   * @throws ConflictError when it cannot be replayed, or takes too long; BusyError when others are replayed
   */
  async ask(recording: LabRecording, { at, questions, pid, timeout }: z.infer<typeof MOMENT>): Promise<string> {
    if (this.#children.size >= MOST_AT_ONCE) throw new BusyError("recordings are replayed already; try again in 10 seconds"); // prettier-ignore
    const lines = [
      ...[`goto ${at}`, ...(pid === undefined ? [] : [`proc ${pid}`])],
      ...[...questions.flatMap((name) => MOMENT_QUESTIONS[name]), "quit machine", ""],
    ];
    const words = ["replay", join(this.labFolder, recording.folder), "--shell"];
    const cwd = join(getServerFolder(this.labFolder), "tasks");
    const limitMs = timeout * 1000;
    const beganMs = performance.now();
    const { status, output, messages } = await askProgram({ words, cwd, input: lines.join("\n"), limitMs }, this.#children); // prettier-ignore
    const text = output.trim();
    if (status === null || performance.now() - beganMs >= limitMs)
      throw new ConflictError(`the replay of ${recording.name} up to ${at} took longer than ${timeout} s; ask for a longer time`); // prettier-ignore
    if (text === "") throw new ConflictError(messages.trim().slice(-2_000) || `the replay has ended with status ${status}`); // prettier-ignore
    return text;
  }

  /** Ends all replays. */
  close(): void {
    for (const child of this.#children) child.kill("SIGTERM");
  }
}
