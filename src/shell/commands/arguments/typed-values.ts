import { CommandError } from "../../errors";

const MOST_BYTES = 0x10000;
const QUOTED = /^(u?)"((?:[^"\\]|\\[^])*)"$/s;

/**
 * Reads bytes as users type them in commands: pairs of hexadecimal digits ("4889e5", "48 89 e5", "0x4889e5"), text in
 * double quotes, or u"text" for UTF-16, little endian, as Windows keeps it.
 *
 * @throws CommandError with the problem
 */
export function parseBytes(text: string): Buffer {
  const quoted = QUOTED.exec(text.trim());
  const bytes = quoted
    ? Buffer.from(unescape(quoted[2] as string), quoted[1] === "" ? "utf8" : "utf16le")
    : parseHex(text);
  if (bytes.length === 0) throw new CommandError("there are no bytes given");
  if (bytes.length > MOST_BYTES) throw new CommandError(`${bytes.length} bytes are too many: at most ${MOST_BYTES}`);
  return bytes;
}

function parseHex(text: string): Buffer {
  const digits = text.replace(/^\s*0x/i, "").replace(/\s+/g, "");
  if (!/^([0-9a-f]{2})+$/i.test(digits)) {
    throw new CommandError(`"${text.trim()}" are no bytes: pairs of hexadecimal digits, "text" or u"text"`);
  }
  return Buffer.from(digits, "hex");
}

/** \n, \t, \0, \\, \" and \xNN. */
function unescape(text: string): string {
  return text.replace(/\\(x[0-9a-fA-F]{2}|[^])/g, (_, code: string) => {
    if (code.length > 1) return String.fromCharCode(parseInt(code.slice(1), 16));
    return { n: "\n", t: "\t", r: "\r", "0": "\0" }[code] ?? code;
  });
}

/**
 * Reads an argument of a command that is an object in JSON.
 *
 * @param what the name of the argument, for the message
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
