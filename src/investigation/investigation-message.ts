import { gunzipSync, gzipSync } from "node:zlib";

/** What parameters may become when they are expanded, in bytes. */
const LARGEST_PARAMETERS = 64 * 1024 * 1024;

/** The classes of messages (seed 003; research: 1D.2); "result" answers a query to a persistent module. */
export const MESSAGE_CLASSES = ["parameters", "stop", "ping", "log", "register", "config", "alert", "result"] as const;

export type MessageClass = (typeof MESSAGE_CLASSES)[number];

/** One line of what is said to and by modules. */
export interface InvestigationMessage {
  readonly class: MessageClass;
  readonly parameters?: unknown;
  readonly id?: number;
}

/**
 * Reads a message.
 *
 * @throws Error saying why it is none
 */
export function parseMessage(line: string): InvestigationMessage {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new Error(`it is no JSON (${(error as Error).message.slice(0, 200)})`, { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("it is no JSON object");
  const kind = (value as { class?: unknown }).class;
  if (kind === undefined) throw new Error('it has no "class"');
  if (!MESSAGE_CLASSES.includes(kind as MessageClass)) {
    throw new Error(`its class is ${String(JSON.stringify(kind)).slice(0, 100)}`);
  }
  return value as InvestigationMessage;
}

/**
 * Reads the parameters of a run out of its first line. They are an object, or a text that compressParameters() has made.
 *
 * @param line undefined when the input has ended before
 * @throws Error with MIG's sentence and the reason
 */
export function readInputParameters(line: string | undefined): unknown {
  try {
    if (line === undefined || line.trim() === "") throw new Error("there is none");
    const message = parseMessage(line);
    if (message.class !== "parameters") throw new Error(`its class is "${message.class}"`);
    const { parameters } = message;
    return typeof parameters === "string" ? expandParameters(parameters) : (parameters ?? {});
  } catch (error) {
    throw new Error(`unexpected input is not module parameters: ${(error as Error).message}`, { cause: error });
  }
}

/** Makes parameters shorter for the way: gzip in base64. */
export function compressParameters(parameters: unknown): string {
  return gzipSync(JSON.stringify(parameters)).toString("base64");
}

/** Reads what compressParameters() has made. @throws Error saying what is wrong */
export function expandParameters(text: string): unknown {
  if (text === "" || !/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) {
    throw new Error("its parameters are a text, and no base64");
  }
  let bytes: Buffer;
  try {
    bytes = gunzipSync(Buffer.from(text, "base64"), { maxOutputLength: LARGEST_PARAMETERS });
  } catch (error) {
    throw new Error(`its parameters cannot be expanded: ${(error as Error).message}`, { cause: error });
  }
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new Error("its parameters, expanded, are no JSON");
  }
}
