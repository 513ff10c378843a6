import { readFileSync } from "node:fs";
import { type IncomingMessage, request as requestPlain, type RequestOptions } from "node:http";
import { request as requestEncrypted } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { UsageError } from "../errors";

/** The longest answer that is read as a whole, in bytes: reports of long analyses. */
const LONGEST_ANSWER = 512 << 20;

/** How a server is reached. */
export interface RemoteOptions {
  readonly server?: string;
  readonly tokenFile?: string;
  readonly certificate?: string;
  readonly plainHttp?: boolean;
}

/** The content of a request. */
export interface RemoteBody {
  readonly type: string;
  /** In bytes. */
  readonly length: number;
  readonly content: Readable;
}

/** Makes a body of JSON. */
export function createJsonBody(value: object): RemoteBody {
  const bytes = Buffer.from(JSON.stringify(value));
  return { type: "application/json", length: bytes.length, content: Readable.from([bytes]) };
}

/** A server of a lab, as a program reaches it. */
export class RemoteServer {
  readonly #base: URL;
  readonly #connection: RequestOptions & { readonly ca?: Buffer };

  /** @throws UsageError when address or token are missing, or would be sent so that others could read the token */
  constructor({ server = process.env.REBOX_SERVER, tokenFile, certificate, plainHttp }: RemoteOptions) {
    if (server === undefined || server === "")
      throw new UsageError("which server? Name it by --server URL, or by REBOX_SERVER");
    const [, socketPath] = /^unix:(.+)$/.exec(server) ?? [];
    const text = socketPath === undefined ? server : "http://localhost";
    if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
      throw new UsageError(`${server} is no server: it must be http://..., https://... or unix:PATH`);
    this.#base = new URL(text);
    const isOpen = this.#base.protocol === "http:" && !/^(localhost|127\..*|\[::1\])$/.test(this.#base.hostname);
    if (isOpen && plainHttp !== true)
      throw new UsageError(`others could read the token on its way to ${this.#base.host}: use https, or --plain-http all the same`); // prettier-ignore
    this.#connection = {
      ...(socketPath === undefined ? {} : { socketPath }),
      ...(certificate === undefined ? {} : { ca: readFile(certificate, "--certificate") }),
      headers: { authorization: `Bearer ${readToken(tokenFile)}` },
    };
  }

  /**
   * Asks, and returns an answer that is one of success; the caller reads it to its end.
   *
   * @throws UsageError that says what the server answers, or why there is no answer
   */
  async open(
    method: string,
    path: string,
    { body, headers, signal }: { readonly body?: RemoteBody; readonly headers?: Readonly<Record<string, string>>; readonly signal?: AbortSignal } = {}, // prettier-ignore
  ): Promise<IncomingMessage> {
    const send = this.#base.protocol === "https:" ? requestEncrypted : requestPlain;
    const own = body === undefined ? {} : { "content-type": body.type, "content-length": body.length };
    const request = send(new URL(path, this.#base), {
      ...this.#connection,
      ...{ method, headers: { ...(this.#connection.headers as object), ...own, ...headers } },
      ...(signal === undefined ? {} : { signal }),
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.once("response", resolve);
      request.once(
        "error",
        (error: NodeJS.ErrnoException) =>
        reject(signal?.aborted === true ? error : new UsageError(`${this.#base.host} cannot be reached: ${error.message || error.code}`)), // prettier-ignore
      );
    });
    // A server that refuses a file answers before it has come as a whole, and closes.
    if (body === undefined) request.end();
    else void pipeline(body.content, request).catch(() => undefined);
    const answer = await answered;
    if (answer.statusCode! >= 200 && answer.statusCode! < 300) return answer;
    throw new UsageError(readFailure(answer.statusCode!, await readAll(answer)));
  }

  /** Asks, and reads the JSON of the answer. @throws UsageError */
  async read<Value>(method: string, path: string, body?: RemoteBody): Promise<Value> {
    const text = await readAll(await this.open(method, path, body === undefined ? {} : { body }));
    try {
      return JSON.parse(text) as Value;
    } catch {
      throw new UsageError(`${this.#base.host} is no server of rebox: its answer is no JSON`);
    }
  }
}

async function readAll(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LONGEST_ANSWER) throw new UsageError(`the answer is longer than ${LONGEST_ANSWER} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function readFailure(status: number, text: string): string {
  try {
    const { error } = JSON.parse(text) as { error: { message: string } };
    return `the server says: ${error.message}`;
  } catch {
    return `the server answers with status ${status}`;
  }
}

function readToken(file: string | undefined): string {
  const token = (
    file === undefined ? process.env.REBOX_TOKEN : readFile(file, "--token-file").toString("utf8")
  )?.trim();
  if (token === undefined || token === "")
    throw new UsageError("there is no token: name its file by --token-file, or set REBOX_TOKEN; rebox serve add-token makes one"); // prettier-ignore
  if (!/^[\x21-\x7e]+$/.test(token)) throw new UsageError("the token is none: it is one word");
  return token;
}

function readFile(file: string, option: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`);
  }
}
