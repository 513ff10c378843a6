/** Finds where the engine's QEMU writes what the guest writes to its first serial port; for the module of the same name. */
import { readFileSync, readlinkSync } from "node:fs";
import { resolve } from "node:path";

export function observe(): () => object {
  const words = readFileSync("/proc/self/cmdline", "utf8").split("\0");
  const file = findConsoleFile(words);
  const cwd = readlinkSync("/proc/self/cwd");
  return () => ({ file: file === undefined ? null : resolve(cwd, file) });
}

/**
 * Finds the file in QEMU's arguments.
 *
 * @throws Error when the first serial port goes where it cannot be recorded
 */
function findConsoleFile(words: readonly string[]): string | undefined {
  const at = words.findIndex((word) => /^--?serial$/.test(word));
  const serial = at < 0 ? undefined : words[at + 1];
  if (serial === undefined) return undefined;
  const [, id] = /^chardev:(.*)$/s.exec(serial) ?? [];
  const options = id === undefined ? readOptions(serial.replace(/^file:/, "file,path=")) : findDevice(words, id);
  const file = options.get("logfile") ?? (options.has("file") ? options.get("path") : undefined);
  if (file === undefined) {
    throw new Error(`the first serial port goes to ${serial}, which cannot be recorded; give it a logfile=`);
  }
  return file;
}

function findDevice(words: readonly string[], id: string): ReadonlyMap<string, string> {
  const devices = words.flatMap((word, at) => (/^--?chardev$/.test(word) ? [readOptions(words[at + 1] ?? "")] : []));
  return devices.find((options) => options.get("id") === id) ?? new Map<string, string>();
}

/** Reads options with commas between them; a comma in a value is written twice. */
function readOptions(text: string): ReadonlyMap<string, string> {
  const parts = text.match(/(?:[^,]|,,)+/g) ?? [];
  return new Map(
    parts.map((part) => {
      const [, name = "", value = ""] = /^([^=]*)=?(.*)$/s.exec(part) ?? [];
      return [name, value.replaceAll(",,", ",")];
    }),
  );
}
