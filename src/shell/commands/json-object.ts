import { CommandError } from "./command-error";

/**
 * Reads what a command takes as JSON.
 *
 * @param what it is, for the message
 * @param text "" is an object without members
 * @throws CommandError when it is no object in JSON
 */
export function readJsonObject(what: string, text: string): Readonly<Record<string, unknown>> {
  if (text === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CommandError(`${what} are JSON, {"name": value}: ${(error as Error).message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CommandError(`${what} are an object in JSON, {"name": value}; this is ${text}`);
  }
  return value as Readonly<Record<string, unknown>>;
}
