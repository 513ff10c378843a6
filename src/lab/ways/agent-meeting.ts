import { setTimeout as sleep } from "node:timers/promises";
import { GuestGoneError, WayInError } from "../errors";
import type { AgentAddress } from "./agent-address";
import { AgentClient, AgentSilentError } from "./agent-client";
import { parseAgentEnd } from "./agent-program";
import type { ScriptResult } from "./guest-way";

const RETRY_MS = 500;
/** The agent is asked again and again whether a program has ended: each time later, in milliseconds. */
const FIRST_POLL_MS = 20;
const LONGEST_POLL_MS = 1_000;
/** Each so many polls the agent is asked whether the program that runs the script is still there. */
const POLLS_PER_STATUS = 5;
/** The failures in a row after which CAPE's hosts give an agent up. */
const MOST_FAILURES = 10;

/** An agent that has answered. */
export interface MetAgent {
  readonly client: AgentClient;
  /** The system that it runs on, by Python's name: "Linux", "Windows". */
  readonly system: string;
}

/**
 * Waits until an agent answers.
 *
 * @param limitMs how long that may take
 * @throws WayInError when nothing answers in time, or something else than an agent that can execute Python programs
 */
export async function meetAgent(address: AgentAddress, limitMs: number, signal: AbortSignal): Promise<MetAgent> {
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
  return { client, system: await client.getSystem(signal) };
}

/**
 * Waits until the program that an agent runs has written down how what it executes has ended.
 *
 * @param end the path of that file in the guest
 * @param isWatched whether the agent knows when the program has ended
 * @throws WayInError when the program has ended and left nothing, or the agent answers no more
 */
export async function untilAgentEnd(
  client: AgentClient,
  end: string,
  isWatched: boolean,
  signal: AbortSignal,
): Promise<ScriptResult> {
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
      if (isOver) throw new WayInError("the program that ran the script in the guest was ended, and has left nothing");
      if (isWatched && polls % POLLS_PER_STATUS === 0) isOver = (await client.getExitCode(signal)) !== undefined;
      failures = 0;
    } catch (error) {
      if (!(error instanceof AgentSilentError) || ++failures > MOST_FAILURES) throw error;
      await sleep(RETRY_MS, undefined, { signal });
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
export async function explainBreak<Result>(act: () => Promise<Result>): Promise<Result> {
  try {
    return await act();
  } catch (error) {
    throw error instanceof AgentSilentError ? new GuestGoneError(error.message) : error;
  }
}
