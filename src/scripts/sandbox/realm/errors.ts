import { CROSSING_ERRORS } from "../crossing-errors";
import { encodeMessage } from "../message-codec";

const CLASSES = { RangeError, TypeError, SyntaxError, ...CROSSING_ERRORS } as unknown as Record<string, typeof Error>;

/** Makes an error of this realm of one that rebox has described: of the same class, with its text, code and details. */
export function createError(name: string, message: string, detail: Record<string, unknown>): Error {
  const Class = Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
  // The text is known already: constructors of rebox's would make it of its parts. And Reflect.construct() of another class
  // leaves the stack empty: the engine looks for that class's constructor among the frames, to begin behind it.
  const error = new Error(message);
  if (Class !== undefined) Object.setPrototypeOf(error, Class.prototype as object);
  if (error.name !== name) {
    Object.defineProperty(error, "name", { value: name, writable: true, configurable: true, enumerable: false });
  }
  return Object.assign(error, detail);
}

const NOT_SHOWN = "a value that cannot be shown as text";

/**
 * Describes a thrown value for rebox, of any kind, and also when its own code throws.
 *
 * @returns text of message-codec.ts: name, message, stack
 */
export function describeThrown(thrown: unknown): string {
  try {
    if (thrown instanceof Error) {
      const { name, message, stack } = thrown;
      return encodeMessage([String(name), String(message), typeof stack === "string" ? stack : ""]);
    }
    const isObject = (typeof thrown === "object" && thrown !== null) || typeof thrown === "function";
    return encodeMessage(["", isObject ? NOT_SHOWN : String(thrown), ""]);
  } catch {
    return encodeMessage(["", NOT_SHOWN, ""]);
  }
}

interface CallSite {
  getFunctionName(): string | null;
  getTypeName(): string | null;
  getFileName(): string | null;
  getLineNumber(): number | null;
  getColumnNumber(): number | null;
}

/** Formats a stack as Node does; frames outside of the sandbox are left out. */
export function formatStack(error: unknown, sites: readonly CallSite[]): string {
  const frames: string[] = [];
  for (const site of sites) {
    const file = site.getFileName();
    if (file === null || file === undefined || file.startsWith("rebox-realm")) continue;
    const place = `${file}:${site.getLineNumber()}:${site.getColumnNumber()}`;
    const name = site.getFunctionName();
    frames.push(name ? `    at ${name} (${place})` : `    at ${place}`);
  }
  let head = NOT_SHOWN;
  try {
    const { name, message } = error as Error;
    head = message === "" ? String(name) : `${String(name)}: ${String(message)}`;
  } catch {
    // Its own name or message throws.
  }
  return [head, ...frames].join("\n");
}
