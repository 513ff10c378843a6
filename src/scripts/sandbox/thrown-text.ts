import { decodeMessage } from "./message-codec";
import { BundlePositions } from "./bundle-positions";
import { THROWN_MARK } from "./thrown-mark";

/**
 * Makes an error of the description of what a script in the sandbox threw.
 *
 * @param description text of message-codec.ts: name, message, stack
 * @param translate gives a stack the positions in the script's own files
 */
export function readDescription(description: string, translate: (stack: string) => string): Error {
  // A script can have exchanged what makes the text.
  const parts = decodeMessage(description, (bytes) => bytes) as unknown[];
  const [name = "", message = "", stack = ""] = parts.map((part) => (typeof part === "string" ? part : ""));
  const error = new Error(message);
  // What is no Error was described by its text.
  error.name = name === "" ? "thrown" : name;
  error.stack = translate(stack === "" ? `${error.name}: ${message}` : stack);
  return error;
}

/**
 * Reads what a callback in the sandbox has thrown through the engine.
 *
 * @param thrown what reached rebox
 * @returns undefined when it does not come from a sandbox
 */
export function readThrown(thrown: unknown): Error | undefined {
  if (typeof thrown !== "string" || !thrown.startsWith(THROWN_MARK)) return undefined;
  return readDescription(thrown.slice(THROWN_MARK.length), (stack) => BundlePositions.translateAny(stack));
}
