import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { GuestAgentError, GuestGoneError, MachineryConnectionError, WayInError } from "../errors";
import { checkUnpacked, type GuestDisc, readDisc, writeUnpacking } from "./guest-disc";
import { checkScript, getReadLimit, type GuestPreparation, GuestWay, type ScriptResult, writeDate } from "./guest-way";

/** The commands that the way needs: qga/qapi-schema.json of QEMU. */
const NEEDED = [
  ...["guest-exec", "guest-exec-status", "guest-file-open", "guest-file-close", "guest-file-read", "guest-file-write"],
];
/** An agent that runs answers at once; a busy guest is slow. In milliseconds. */
const ANSWER_MS = 15_000;
/** The same while it may not run yet. */
const FIRST_ANSWER_MS = 2_000;
const RETRY_MS = 250;
/** The agent is asked again and again whether a program has ended: each time later, in milliseconds. */
const FIRST_POLL_MS = 20;
const POLL_GROWTH = 1.5;
const LONGEST_POLL_MS = 1_000;
/** In bytes: with base64 it fits into an argument of virsh, by which libvirt is asked. */
const CHUNK = 64 << 10;
/** The number of times without an answer after which a way is taken for broken. */
const MOST_FAILURES = 4;

/** Asks QEMU's guest agent in a machine; see Machinery.callGuestAgent(). */
export type CallGuestAgent = (command: string, args: object, limitMs: number, signal: AbortSignal) => Promise<unknown>;

interface GuestInfo {
  readonly version?: string;
  readonly supported_commands?: readonly { readonly name: string; readonly enabled: boolean }[];
}

interface ExecStatus {
  readonly exited: boolean;
  readonly exitcode?: number;
  readonly signal?: number;
  readonly "out-data"?: string;
}

/** The way in by QEMU's guest agent, which Debian has as the package qemu-guest-agent. */
export class GuestAgentWay extends GuestWay {
  override readonly name = "guest-agent";

  private constructor(private readonly callAgent: CallGuestAgent) {
    super();
  }

  /**
   * Waits until the agent answers.
   *
   * @param limitMs how long that may take
   * @throws NotSupportedError for a machine without a port for it; WayInError when it does not answer, or its configuration forbids
   *   what is needed
   */
  static async open(callAgent: CallGuestAgent, limitMs: number, signal: AbortSignal): Promise<GuestAgentWay> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      signal.throwIfAborted();
      try {
        const info = (await callAgent("guest-info", {}, FIRST_ANSWER_MS, signal)) as GuestInfo;
        checkCommands(info);
        return new GuestAgentWay(callAgent);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof MachineryConnectionError)) throw error;
        if (performance.now() > endMs) {
          throw new WayInError(`QEMU's guest agent did not answer within ${limitMs / 1000} s: ${error.message}`);
        }
        await sleep(RETRY_MS, undefined, { signal });
      }
    }
  }

  async runScript(script: string, signal: AbortSignal, input?: Buffer): Promise<ScriptResult> {
    checkScript(script);
    const line = `exec 2>&1\n${script}`;
    const begun = {
      ...{ path: "/bin/sh", arg: ["-c", line], "capture-output": true },
      ...(input !== undefined && { "input-data": input.toString("base64") }),
    };
    const { pid } = (await this.#call("guest-exec", begun, signal)) as { readonly pid: number };
    let pollMs = FIRST_POLL_MS;
    for (;;) {
      // No program has ended at once, and to be asked costs the guest time.
      await sleep(pollMs, undefined, { signal });
      pollMs = Math.min(pollMs * POLL_GROWTH, LONGEST_POLL_MS);
      const state = (await this.#callAgain("guest-exec-status", { pid }, signal)) as ExecStatus;
      if (!state.exited) continue;
      const output = Buffer.from(state["out-data"] ?? "", "base64").toString("utf8");
      return { status: state.exitcode ?? 128 + (state.signal ?? 0), output };
    }
  }

  async receive(disc: GuestDisc, signal: AbortSignal): Promise<void> {
    const { input, packed } = await this.#send(disc, signal);
    checkUnpacked(disc, await this.runScript(writeUnpacking(packed), signal, input));
  }

  /** As one script: what a guest that was frozen executes first takes longest. */
  override async prepare(
    { getTimeMs, look, disc }: GuestPreparation,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { input, packed } = disc === undefined ? {} : await this.#send(disc, signal);
    const steps = { clock: writeDate(getTimeMs()), look: look ?? ":" };
    const lines = Object.entries(steps).map(([name, line]) => `(${line}) </dev/null >/dev/null 2>&1; echo ${name} $?`);
    if (disc !== undefined) lines.push(writeUnpacking(packed));
    const { status, output } = await this.runScript(lines.join("\n"), signal, input);
    const [, clock, looked, rest = ""] = /^clock (\d+)\nlook (\d+)\n([^]*)$/.exec(output) ?? [];
    if (clock === undefined) throw new WayInError(`the guest's shell does not answer as one: ${output.slice(0, 300)}`);
    if (disc !== undefined) checkUnpacked(disc, { status, output: rest });
    if (clock !== "0") await this.#setClockByAgent(getTimeMs(), signal);
    return look === undefined ? undefined : Number(looked);
  }

  /** Sends a disc as a file, and one that is small later, as a script's input. */
  async #send(disc: GuestDisc, signal: AbortSignal): Promise<{ input?: Buffer; packed?: string }> {
    if (statSync(disc.path).size <= CHUNK) return { input: await readFile(disc.path) };
    const packed = `/tmp/${disc.folder}.tar`;
    const handle = await this.#call("guest-file-open", { path: packed, mode: "w" }, signal);
    for await (const bytes of readDisc(disc, CHUNK)) {
      const sent = (await this.#call("guest-file-write", { handle, "buf-b64": bytes.toString("base64") }, signal)) as {
        readonly count: number;
      };
      if (sent.count !== bytes.length) throw new WayInError(`the guest's disk has no room for ${disc.name}`);
    }
    await this.#call("guest-file-close", { handle }, signal);
    return { packed };
  }

  async readFile(path: string, signal: AbortSignal, limit?: number): Promise<Buffer> {
    const most = getReadLimit(limit);
    const handle = await this.#call("guest-file-open", { path, mode: "r" }, signal);
    const chunks: Buffer[] = [];
    try {
      for (let size = 0; ;) {
        const part = (await this.#call("guest-file-read", { handle, count: CHUNK }, signal)) as {
          readonly "buf-b64": string;
          readonly eof: boolean;
        };
        const bytes = Buffer.from(part["buf-b64"], "base64");
        chunks.push(bytes);
        size += bytes.length;
        if (size > most) throw new WayInError(`${path} has more than ${most} bytes`);
        if (part.eof || bytes.length === 0) return Buffer.concat(chunks);
      }
    } finally {
      await this.#call("guest-file-close", { handle }, signal).catch(() => undefined);
    }
  }

  override async setClock(timeMs: number, signal: AbortSignal): Promise<void> {
    // The agent's own command waits for hwclock, and that for the next second of the machine's clock.
    if (!(await this.setClockByDate(timeMs, signal))) await this.#setClockByAgent(timeMs, signal);
  }

  async #setClockByAgent(timeMs: number, signal: AbortSignal): Promise<void> {
    try {
      // In nanoseconds. JSON.stringify() writes a number of this size with all its digits.
      await this.callAgent("guest-set-time", { time: timeMs * 1e6 }, ANSWER_MS, signal);
    } catch (error) {
      // Without hwclock the agent has set the clock, and calls it an error.
      if (!(error instanceof GuestAgentError)) throw error;
    }
  }

  /** Calls the agent; one that is silent is not asked twice, because it may have done what it was asked for. */
  async #call(command: string, args: object, signal: AbortSignal): Promise<unknown> {
    try {
      return await this.callAgent(command, args, ANSWER_MS, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof GuestAgentError) throw new WayInError(error.message);
      if (error instanceof MachineryConnectionError) throw new GuestGoneError(error.message);
      throw error;
    }
  }

  /** Calls the agent for something that may be asked for again. */
  async #callAgain(command: string, args: object, signal: AbortSignal): Promise<unknown> {
    for (let failures = 1; ; failures++) {
      try {
        return await this.#call(command, args, signal);
      } catch (error) {
        if (!(error instanceof GuestGoneError) || failures === MOST_FAILURES) throw error;
        await sleep(RETRY_MS, undefined, { signal });
      }
    }
  }
}

function checkCommands({ supported_commands: known = [], version = "of an unknown version" }: GuestInfo): void {
  const missing = NEEDED.filter((name) => !known.some((each) => each.name === name && each.enabled));
  if (missing.length === 0) return;
  throw new WayInError(
    `QEMU's guest agent ${version} in the guest does not allow ${missing.join(", ")}: its configuration ` +
      "(/etc/qemu/qemu-ga.conf, allow-rpcs and block-rpcs) must",
  );
}
