import * as buffer from "buffer/";
import * as events from "events/";
import * as path from "path-browserify";
import { filePromises, files } from "./files";
import { format, inspect } from "./inspect";
import { ask } from "./messages";
import { programs } from "./programs";
import { net } from "./sockets";
import { timerPromises, timers } from "./timers";

const util = {
  inspect,
  format: (...values: unknown[]) => format(values),
  promisify:
    (call: (...args: unknown[]) => void) =>
    (...args: unknown[]) =>
      new Promise((resolve, reject) =>
        call(...args, (error: unknown, value: unknown) => (error ? reject(error as Error) : resolve(value))),
      ),
};

/** Node's modules that a script may have, by name; the second word is the permission that it needs. */
const MODULES: Record<string, readonly [module: unknown, permission?: string]> = {
  buffer: [{ Buffer: buffer.Buffer }],
  events: [events],
  path: [path],
  "path/posix": [path],
  util: [util],
  timers: [timers],
  "timers/promises": [timerPromises],
  fs: [{ ...files, promises: filePromises }, "fs:FOLDER"],
  "fs/promises": [filePromises, "fs:FOLDER"],
  net: [net, "net"],
  child_process: [programs, "child_process"],
};

/**
 * Gives a script one of Node's modules.
 *
 * @param id with or without "node:"
 * @param script the script's name
 * @throws Error that says which permission is needed, or that there is none
 */
export function getModule(id: string, script: string): unknown {
  const name = String(id).replace(/^node:/, "");
  const entry = Object.hasOwn(MODULES, name) ? MODULES[name] : undefined;
  if (entry === undefined) {
    const known = Object.keys(MODULES).join(", ");
    throw new Error(
      `"${name}" is not there in the sandbox, only ${known}; to run ${script} outside of it: ` +
        `[PERMISSIONS] ${script}: * in pyrebox.conf, or --trust`,
    );
  }
  const [module, permission] = entry;
  if (permission !== undefined && !(ask("mayUse", name) as boolean)) {
    throw new Error(
      `${script} may not use "${name}"; to permit it: [PERMISSIONS] ${script}: ${permission} in pyrebox.conf`,
    );
  }
  return module;
}
