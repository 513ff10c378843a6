import { WayInError } from "../errors";
import type { AgentAddress } from "./agent-address";
import type { AgentClient } from "./agent-client";
import { explainBreak, meetAgent, untilAgentEnd } from "./agent-meeting";
import { AGENT_PROGRAM } from "./agent-program";
import type { ScriptResult } from "./guest-way";

/** A program for a Windows guest. */
export interface WindowsLaunch {
  /** Its words; a text is the whole command line as it is. */
  readonly args: readonly string[] | string;
  /** Variables that it gets beside those of the agent. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Its working folder. */
  readonly cwd?: string | undefined;
}

/**
 * The way into a Windows guest: CAPE's or Cuckoo's agent. As in Linux it starts a small Python program, which executes what is asked for
 * and writes down how that ended.
 */
export class WindowsAgent {
  readonly name = "agent";
  #count = 0;

  private constructor(
    private readonly client: AgentClient,
    /** In the guest, made for this analysis. */
    readonly folder: string,
  ) {}

  /**
   * Waits until the agent answers.
   *
   * @param limitMs how long that may take
   * @throws WayInError when nothing answers in time, or something else than an agent on Windows does
   */
  static async open(address: AgentAddress, limitMs: number, signal: AbortSignal): Promise<WindowsAgent> {
    const { host, port } = address;
    const { client, system } = await meetAgent(address, limitMs, signal);
    if (system !== "Windows") {
      throw new WayInError(
        `the agent at ${host}:${port} runs on ${system}, and its machine has the platform windows: set the right one`,
      );
    }
    const agent = new WindowsAgent(client, await client.makeFolder("rebox-", signal));
    await agent.store("run.py", Buffer.from(AGENT_PROGRAM), signal);
    return agent;
  }

  /** The end of the path of the program that executes what is asked for; its own folder makes it unlike any other. */
  get launcher(): string {
    return this.shorten("run.py");
  }

  /** Writes a file into the folder, and returns its path. @param name without a folder */
  async store(name: string, content: Buffer, signal: AbortSignal): Promise<string> {
    const path = `${this.folder}\\${name}`;
    await explainBreak(() => this.client.store(path, content, signal));
    return path;
  }

  /**
   * Returns the last two parts of the path of a file in the folder. The agent may have named what lies before by short names
   * ("ADMINI~1"), and the kernel has the long ones.
   */
  shorten(name: string): string {
    return `${this.folder.replace(/^.*\\/, "")}\\${name}`;
  }

  /**
   * Executes a program, and waits for its end, however long that takes. Its input is empty.
   *
   * @throws GuestGoneError when the agent answers no more; WayInError when the program cannot be started
   */
  async run({ args, env, cwd }: WindowsLaunch, signal: AbortSignal): Promise<ScriptResult> {
    const { client, folder } = this;
    const end = `${folder}\\end-${++this.#count}`;
    const request = JSON.stringify({ args, end, env, cwd: cwd ?? folder });
    await this.store("request", Buffer.from(request), signal);
    return explainBreak(async () => {
      const isWatched = await client.startPython(`${folder}\\run.py`, { folder }, signal);
      const result = await untilAgentEnd(client, end, isWatched, signal);
      if (isWatched) await client.forgetProgram(signal);
      return result;
    });
  }
}
