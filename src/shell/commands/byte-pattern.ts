import { CommandError } from "./command-error";

const LONGEST = 0x10000;
const QUOTED = /^(u?)"((?:[^"\\]|\\[^])*)"$/s;

/**
 * Reads bytes as they are written in commands: pairs of hexadecimal digits ("4889e5", "48 89 e5", "0x4889e5"), text in
 * double quotes, or u"text" for UTF-16, little endian, as Windows keeps it.
 *
 * @throws CommandError that says what is wrong
 */
export function parseBytes(text: string): Buffer {
  const quoted = QUOTED.exec(text.trim());
  const bytes = quoted
    ? Buffer.from(unescape(quoted[2] as string), quoted[1] === "" ? "utf8" : "utf16le")
    : parseHex(text);
  if (bytes.length === 0) throw new CommandError("there are no bytes given");
  if (bytes.length > LONGEST) throw new CommandError(`${bytes.length} bytes are too many: at most ${LONGEST}`);
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
