import { readFile } from "node:fs/promises";
import { WayInError } from "../errors";
import type { AgentAddress } from "./agent-address";
import type { AgentClient } from "./agent-client";
import { explainBreak, meetAgent, untilAgentEnd } from "./agent-meeting";
import { AGENT_PROGRAM } from "./agent-program";
import { checkUnpacked, type GuestDisc, writeUnpacking } from "./guest-disc";
import { checkScript, getReadLimit, GuestWay, type ScriptResult } from "./guest-way";

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
    const { host, port } = address;
    const { client, system } = await meetAgent(address, limitMs, signal);
    if (system !== "Linux") {
      throw new WayInError(
        `the agent at ${host}:${port} runs on ${system}, and this needs a Linux; targets for Windows need a machine with the platform windows`,
      );
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
      const result = await untilAgentEnd(client, end, isWatched, signal);
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
}
