import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { GuestGoneError, WayInError } from "../errors";
import { AgentClient, AgentSilentError } from "./agent-client";
import { AGENT_PROGRAM, parseAgentEnd } from "./agent-program";
import { checkUnpacked, type GuestDisc, writeUnpacking } from "./guest-disc";
import { checkScript, getReadLimit, GuestWay, type ScriptResult } from "./guest-way";

const RETRY_MS = 500;
/** The agent is asked again and again whether a program has ended: each time later, in milliseconds. */
const FIRST_POLL_MS = 20;
const LONGEST_POLL_MS = 1_000;
/** Each so many polls the agent is asked whether the program that runs the script is still there. */
const POLLS_PER_STATUS = 5;
/** The failures in a row after which CAPE's hosts give an agent up. */
const MOST_FAILURES = 10;

/** The address of an agent. */
export interface AgentAddress {
  readonly host: string;
  readonly port: number;
  /** Leads there, where the host's own network does not. */
  readonly socket?: string | undefined;
  /** It is told to listen to this host alone. */
  readonly isPinned: boolean;
}

/**
 * The way in by CAPE's or Cuckoo's agent. It reports no exit status of what it executes: a small Python program, which it starts
 * with the Python that it runs in itself, runs each script and writes down how that ended.
 */
export class AgentWay extends GuestWay {
  override readonly name = "agent";
  #count = 0;

  private constructor(
    private readonly client: AgentClient,
    /** In the guest, with the program and the scripts. */
    private readonly folder: string,
  ) {
    super();
  }

  /**
   * Waits until the agent answers.
   *
   * @param limitMs how long that may take
   * @throws WayInError when nothing answers in time, or something else than an agent does
   */
  static async open(address: AgentAddress, limitMs: number, signal: AbortSignal): Promise<AgentWay> {
    const { host, port, isPinned, socket } = address;
    const client = new AgentClient(host, port, socket);
    const { message, version, features } = await waitForFacts(client, limitMs, signal);
    if (!features.includes("execpy")) {
      throw new WayInError(
        `the agent at ${host}:${port} (${message} ${version}) has not the feature execpy; it has ` +
          `${features.join(", ") || "none"}; use the agent.py of CAPE, or of Cuckoo 2`,
      );
    }
    if (isPinned && features.includes("pinning")) await client.pin(signal);
    const system = await client.getSystem(signal);
    if (system !== "Linux") {
      throw new WayInError(`the agent at ${host}:${port} runs on ${system}: targets can be given to Linux guests only`);
    }
    const folder = await client.makeFolder("rebox-", signal);
    await client.store(`${folder}/run.py`, Buffer.from(AGENT_PROGRAM), signal);
    return new AgentWay(client, folder);
  }

  async runScript(script: string, signal: AbortSignal): Promise<ScriptResult> {
    checkScript(script);
    const { client, folder } = this;
    const end = `${folder}/end-${++this.#count}`;
    const request = JSON.stringify({ args: ["/bin/sh", "-c", script], end });
    return explainBreak(async () => {
      await client.store(`${folder}/request`, Buffer.from(request), signal);
      const isWatched = await client.startPython(`${folder}/run.py`, { folder }, signal);
      const result = await this.#waitForEnd(end, isWatched, signal);
      await client.remove(end, signal);
      if (isWatched) await client.forgetProgram(signal);
      return result;
    });
  }

  async receive(disc: GuestDisc, signal: AbortSignal): Promise<void> {
    const packed = `/tmp/${disc.folder}.tar`;
    const content = await readFile(disc.path);
    await explainBreak(() => this.client.store(packed, content, signal));
    checkUnpacked(disc, await this.runScript(writeUnpacking(packed), signal));
  }

  async readFile(path: string, signal: AbortSignal, limit?: number): Promise<Buffer> {
    const most = getReadLimit(limit);
    const bytes = await explainBreak(() => this.client.retrieve(path, signal));
    if (bytes === undefined) throw new WayInError(`${path} cannot be read: the agent finds no such file`);
    if (bytes.length > most) throw new WayInError(`${path} has more than ${most} bytes`);
    return bytes;
  }

  async #waitForEnd(end: string, isWatched: boolean, signal: AbortSignal): Promise<ScriptResult> {
    const { client } = this;
    let failures = 0;
    let isOver = false;
    let pollMs = FIRST_POLL_MS;
    for (let polls = 1; ; polls++) {
      await sleep(pollMs, undefined, { signal });
      pollMs = Math.min(pollMs * 1.5, LONGEST_POLL_MS);
      try {
        const written = await client.retrieve(end, signal);
        if (written !== undefined) return parseAgentEnd(written);
        // It writes before it ends: only a look after its end tells that it has not.
        if (isOver)
          throw new WayInError("the program that ran the script in the guest was ended, and has left nothing");
        if (isWatched && polls % POLLS_PER_STATUS === 0) isOver = (await client.getExitCode(signal)) !== undefined;
        failures = 0;
      } catch (error) {
        if (!(error instanceof AgentSilentError) || ++failures > MOST_FAILURES) throw error;
        await sleep(RETRY_MS, undefined, { signal });
      }
    }
  }
}

async function waitForFacts(client: AgentClient, limitMs: number, signal: AbortSignal) {
  const endMs = performance.now() + limitMs;
  for (;;) {
    try {
      return await client.getFacts(signal);
    } catch (error) {
      if (!(error instanceof AgentSilentError)) throw error;
      if (performance.now() > endMs) throw new WayInError(`${error.message} (${limitMs / 1000} s were waited for it)`);
      await sleep(RETRY_MS, undefined, { signal });
    }
  }
}

/** An agent that was there and is silent now is gone, or its machine is. */
async function explainBreak<Result>(act: () => Promise<Result>): Promise<Result> {
  try {
    return await act();
  } catch (error) {
    throw error instanceof AgentSilentError ? new GuestGoneError(error.message) : error;
  }
}
