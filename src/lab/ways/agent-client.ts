import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { WayInError } from "../errors";
import { withSocketPath } from "../machinery/drivers/qemu/socket-path";

/** No answer is longer, in bytes: what answers may be hostile. */
const LONGEST_ANSWER = 64 << 20;
/** In milliseconds, as CAPE's hosts wait. */
const ANSWER_MS = 5_000;
/** Of files, in milliseconds. */
const FILE_MS = 300_000;

/** Reports that nothing answers at an agent's address, or that the connection broke: it may be asked again. */
export class AgentSilentError extends WayInError {}

/** An agent, by its own words. */
export interface AgentFacts {
  /** "CAPE Agent!", "Cuckoo Agent!" */
  readonly message: string;
  /** "0.22" */
  readonly version: string;
  readonly features: readonly string[];
}

/** The answer to one request. */
interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** The fields of an agent's answers that are read here; any may be missing, or of another type. */
type Fields = Readonly<Record<string, unknown>>;

/** How an agent is to execute something. */
export interface AgentExecution {
  /** Its working folder. */
  readonly folder?: string;
}

/**
 * CAPE's and Cuckoo's agent, a small HTTP server in the guest. Source: agent/agent.py of CAPE (0.10 to 0.22) and of Cuckoo 2.
 * One request a connection; answers are JSON, without saying so, and end with the connection.
 */
export class AgentClient {
  readonly #place: string;

  constructor(
    private readonly host: string,
    private readonly port: number,
    /** Leads there, where the host's own network does not. */
    private readonly socket?: string,
  ) {
    this.#place = `${host}:${port}`;
  }

  /** @throws AgentSilentError when nothing answers; WayInError when it is no agent */
  async getFacts(signal: AbortSignal): Promise<AgentFacts> {
    const answer = await this.#send("GET", "/", undefined, ANSWER_MS, signal);
    const { message, version, features } = parseFields(answer.body);
    if (answer.status === 200 && typeof message === "string" && typeof version === "string") {
      return { message, version, features: Array.isArray(features) ? features.map(String) : [] };
    }
    // The agent of Cuckoo 1 speaks XML-RPC, and knows no GET.
    const advice = answer.status === 501 ? "the agent of Cuckoo 1 would answer so; use Cuckoo 2's or CAPE's; " : "";
    throw new WayInError(
      `${this.#place} answers, but not as an agent of CAPE or Cuckoo: ${advice}status ${answer.status}, ` +
        `${JSON.stringify(answer.body.toString("utf8").slice(0, 80))}; is agent_port right?`,
    );
  }

  /** Returns the name of the system that the agent runs on: "Linux", "Windows". */
  async getSystem(signal: AbortSignal): Promise<string> {
    return String((await this.#ask("GET", "/system", undefined, signal)).system);
  }

  /**
   * Has the agent listen to this host alone from now on, until it ends.
   *
   * @returns false when it listens to this host alone already
   */
  async pin(signal: AbortSignal): Promise<boolean> {
    const answer = await this.#send("GET", "/pinning", undefined, ANSWER_MS, signal);
    // A second call is refused. Another host would get no answer at all.
    if (answer.status === 500) return false;
    this.#check("/pinning", answer);
    return true;
  }

  /** Makes a new folder below the system's folder for temporary files. Returns its path. */
  async makeFolder(prefix: string, signal: AbortSignal): Promise<string> {
    const { dirpath } = await this.#ask("POST", "/mkdtemp", encodeForm({ prefix }), signal);
    if (typeof dirpath !== "string") throw new WayInError(`${this.#place} has made no folder`);
    return dirpath;
  }

  /** Writes a file, whose folder must be there. */
  async store(path: string, content: Buffer, signal: AbortSignal): Promise<void> {
    await this.#ask("POST", "/store", encodeFile({ filepath: path }, content), signal, FILE_MS);
  }

  /** Reads a file; undefined when there is none. */
  async retrieve(path: string, signal: AbortSignal): Promise<Buffer | undefined> {
    const answer = await this.#send("POST", "/retrieve", encodeForm({ filepath: path }), FILE_MS, signal);
    if (answer.status === 404) return undefined;
    this.#check("/retrieve", answer);
    return answer.body;
  }

  /** Removes a file or folder; one that is not there is no error. */
  async remove(path: string, signal: AbortSignal): Promise<void> {
    const answer = await this.#send("POST", "/remove", encodeForm({ path }), ANSWER_MS, signal);
    if (answer.status !== 404) this.#check("/remove", answer);
  }

  /**
   * Starts a Python program, and does not wait for its end.
   *
   * @returns whether the agent watches it, so that getExitCode() knows its end: CAPE's does from 0.15 on
   */
  async startPython(path: string, { folder }: AgentExecution, signal: AbortSignal): Promise<boolean> {
    const fields = { filepath: path, async: "yes", ...(folder === undefined ? {} : { cwd: folder }) };
    const answer = await this.#ask("POST", "/execpy", encodeForm(fields), signal);
    return answer.process_id !== undefined;
  }

  /** Returns the exit code of a program that the agent watches; undefined while it runs. */
  async getExitCode(signal: AbortSignal): Promise<number | undefined> {
    const { exitcode } = await this.#ask("GET", "/status", undefined, signal);
    return typeof exitcode === "number" ? exitcode : undefined;
  }

  /** Has the agent forget the program that it watches: it starts no other before. */
  async forgetProgram(signal: AbortSignal): Promise<void> {
    await this.#ask("POST", "/status", encodeForm({ status: "complete" }), signal);
  }

  async #ask(
    method: "GET" | "POST",
    path: string,
    body: Body | undefined,
    signal: AbortSignal,
    limitMs = ANSWER_MS,
  ): Promise<Fields> {
    const answer = await this.#send(method, path, body, limitMs, signal);
    this.#check(path, answer);
    return parseFields(answer.body);
  }

  /** @throws WayInError with the agent's words for an answer that reports a failure */
  #check(path: string, { status, body }: Answer): void {
    if (status >= 200 && status < 300) return;
    const { message, traceback } = parseFields(body);
    const cause = typeof traceback === "string" ? `: ${traceback.trim().split("\n").at(-1)}` : "";
    throw new WayInError(`the agent at ${this.#place} refuses ${path}: ${String(message)} (${status})${cause}`);
  }

  async #connect(socket: string, signal: AbortSignal): Promise<Socket> {
    return withSocketPath(socket, async (path) => {
      const connection = connect(path);
      try {
        await once(connection, "connect", { signal });
      } catch (error) {
        connection.destroy();
        signal.throwIfAborted();
        const reason = error instanceof Error ? error.message : String(error);
        throw new AgentSilentError(`the agent at ${this.#place} does not answer: ${reason}`);
      }
      return connection;
    });
  }

  async #send(
    method: "GET" | "POST",
    path: string,
    body: Body | undefined,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<Answer> {
    const headers = body === undefined ? {} : { "Content-Type": body.type, "Content-Length": body.bytes.length };
    signal.throwIfAborted();
    const { host, port } = this;
    const connection = this.socket === undefined ? undefined : await this.#connect(this.socket, signal);
    const through = connection === undefined ? { agent: false as const } : { createConnection: () => connection };
    return new Promise((resolve, reject) => {
      const sent = request({ host, port, method, path, headers, ...through }, (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          size += chunk.length;
          if (size > LONGEST_ANSWER) sent.destroy(new Error(`an answer of more than ${LONGEST_ANSWER} bytes`));
        });
        response.on("error", fail);
        response.on("end", () => {
          settle();
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) });
        });
      });
      const settle = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
      };
      const fail = (error: Error) => {
        settle();
        if (signal.aborted) return reject(signal.reason as Error);
        reject(new AgentSilentError(`the agent at ${this.#place} does not answer ${method} ${path}: ${error.message}`));
      };
      const timer = setTimeout(() => sent.destroy(new Error(`no answer within ${limitMs / 1000} s`)), limitMs);
      const onAbort = () => sent.destroy(new Error("cancelled"));
      signal.addEventListener("abort", onAbort, { once: true });
      sent.on("error", fail);
      sent.end(body?.bytes);
    });
  }
}

/** The body of a request. */
interface Body {
  readonly type: string;
  readonly bytes: Buffer;
}

function encodeForm(fields: Readonly<Record<string, string>>): Body {
  // An agent forgets fields without a value.
  const bytes = Buffer.from(new URLSearchParams(fields).toString());
  return { type: "application/x-www-form-urlencoded", bytes };
}

/** Writes a form with a file in it, which must have a name there. */
function encodeFile(fields: Readonly<Record<string, string>>, content: Buffer): Body {
  const boundary = `rebox${randomBytes(16).toString("hex")}`;
  const head = (rest: string) => `--${boundary}\r\nContent-Disposition: form-data; ${rest}\r\n\r\n`;
  const parts = Object.entries(fields).map(([name, value]) => `${head(`name="${name}"`)}${value}\r\n`);
  // Without a type of its own, CAPE's agent reads a part as text: lone line ends would become pairs.
  const type = `name="file"; filename="file"\r\nContent-Type: application/octet-stream`;
  const bytes = [Buffer.from(parts.join("") + head(type)), content, Buffer.from(`\r\n--${boundary}--\r\n`)];
  return { type: `multipart/form-data; boundary=${boundary}`, bytes: Buffer.concat(bytes) };
}

function parseFields(body: Buffer): Fields {
  try {
    const fields: unknown = JSON.parse(body.toString("utf8"));
    return typeof fields === "object" && fields !== null ? (fields as Fields) : {};
  } catch {
    return {};
  }
}
