import { readFile } from "node:fs/promises";
import { AnalysisError, TargetRefusedError, WayInError } from "../../errors";
import type { ScriptResult } from "../../ways/guest-way";
import type { WindowsAgent, WindowsLaunch } from "../../ways/windows-agent";
import type { FollowedTarget, TargetBeginning } from "./followed-target";
import type { StartRequest } from "./start-request";
import { readWindowsFormat, type WindowsFormat } from "./windows-format";

/** Between the end of what launches the target and the word that it has begun, in milliseconds. */
const WORD_LIMIT_MS = 10_000;

/** Everything that giving a Windows guest its target needs. */
export interface WindowsDelivery {
  /** Absolute path. */
  readonly target: string | undefined;
  /** For cmd.exe; undefined executes the target. */
  readonly command: string | undefined;
  readonly start?: StartRequest | undefined;
  /** Waits until the guest's agent answers. */
  openAgent(signal: AbortSignal): Promise<WindowsAgent>;
  /**
   * Begins to follow the target from outside; undefined when that cannot be done, and the guest has to be asked for its end.
   *
   * @param file the end of the path of the target's file, where that becomes a process
   * @param launcher the end of the path of what starts it
   */
  follow(file: string | undefined, launcher: string, signal: AbortSignal): Promise<FollowedTarget | undefined>;
}

/** A target that a Windows guest has, and that only has to be executed. */
export class WindowsTarget {
  readonly wayIn = "agent";
  #run: Promise<ScriptResult> | undefined;
  /** Ends the wait for the launcher. */
  #stop = (): void => {};

  private constructor(
    private readonly agent: WindowsAgent,
    private readonly launch: WindowsLaunch,
    private readonly noun: string,
    private readonly followed: FollowedTarget | undefined,
  ) {}

  /**
   * Gives a guest a target.
   *
   * @throws GuestGoneError when the machine went off before; AnalysisError that says where the guest did not answer as expected
   */
  static async deliver(delivery: WindowsDelivery, signal: AbortSignal): Promise<WindowsTarget> {
    const { target, command, start = {} } = delivery;
    if (start.user !== undefined)
      throw new AnalysisError("a target runs as the agent's user on Windows: no other can be chosen (user)");
    const format = target === undefined ? undefined : readWindowsFormat(target);
    const agent = await delivery.openAgent(signal);
    const file = format?.isProgram === true ? agent.shorten(format.name) : undefined;
    const followed = await delivery.follow(file, agent.launcher, signal);
    const path = format && (await agent.store(format.name, await readFile(target!), signal));
    const env = path === undefined ? start.env : { ...start.env, TARGET: path };
    const launch = { args: writeArguments(format, path, command, start), env, cwd: start.workingFolder };
    return new WindowsTarget(agent, launch, command === undefined ? "target" : "command", followed);
  }

  /**
   * Executes it. Resolves when its process has been made; in a guest that cannot be looked into as soon as it was asked for.
   *
   * @returns its number in the guest with the moment, where those are known
   * @throws TargetRefusedError when the guest cannot execute it; GuestGoneError when the machine, or the agent, went off before
   */
  async begin(signal: AbortSignal): Promise<TargetBeginning | undefined> {
    const untilEnd = new AbortController();
    this.#stop = () => untilEnd.abort();
    this.#run = this.agent.run(this.launch, untilEnd.signal);
    this.#run.catch(() => undefined);
    if (this.followed === undefined) return undefined;
    signal.addEventListener("abort", this.#stop, { once: true });
    try {
      return await Promise.race([this.followed.began, this.#missBeginning(this.followed)]);
    } finally {
      signal.removeEventListener("abort", this.#stop);
    }
  }

  /**
   * Waits until all that it has started has ended; in a guest that cannot be looked into, until its first process has.
   *
   * @returns why it has ended
   * @throws GuestGoneError when the machine, or the agent, went off before; TargetRefusedError when Windows cannot execute it
   */
  async untilEnd(signal: AbortSignal): Promise<string> {
    const run = this.#run;
    if (run === undefined) throw new AnalysisError("the target has not been executed");
    signal.addEventListener("abort", this.#stop, { once: true });
    try {
      // The target may have ended the launcher, or the agent: what is seen from outside counts.
      if (this.followed !== undefined) return await this.followed.ended;
      const { status } = await run.catch(explainRefusal);
      return `the ${this.noun} ended with status ${status}`;
    } finally {
      signal.removeEventListener("abort", this.#stop);
    }
  }

  /** @throws AnalysisError always */
  reboot(): Promise<void> {
    return Promise.reject(new AnalysisError("a Windows guest cannot be started again in an analysis"));
  }

  /** Ends the wait for the launcher. The guest continues. */
  close(): void {
    this.#stop();
  }

  /** Fails when what launches the target has ended without doing so. */
  async #missBeginning(followed: FollowedTarget): Promise<never> {
    let failure: Error;
    try {
      const { status } = await this.#run!.catch(explainRefusal);
      failure = new AnalysisError(`the ${this.noun} ended with status ${status} before it was seen to run`);
    } catch (error) {
      failure = error as Error;
    }
    // The word that it has begun comes by another way, and may be later than that of its end.
    const late = new Promise((resolve) => setTimeout(resolve, WORD_LIMIT_MS).unref());
    await Promise.race([followed.began, late]);
    throw failure;
  }
}

/** Makes a refusal of the words in which Python says why it cannot start something. */
function explainRefusal(error: unknown): never {
  const [, reason] = /cannot be run in the guest: (.*)/s.exec(error instanceof WayInError ? error.message : "") ?? [];
  if (reason === undefined) throw error;
  throw new TargetRefusedError(undefined, `the guest cannot execute the target: ${reason}`);
}

function writeArguments(
  format: WindowsFormat | undefined,
  path: string | undefined,
  command: string | undefined,
  { args = [] }: StartRequest,
): readonly string[] | string {
  // A text is the command line as it is: cmd.exe has its own rules for quotes, by which all between the outer ones is the command.
  if (command !== undefined) return `cmd.exe /d /s /c "${command}"`;
  if (format === undefined || path === undefined) throw new AnalysisError("there is neither a target nor a command");
  return format.words(path, args);
}
