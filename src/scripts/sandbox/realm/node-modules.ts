import { Buffer } from "buffer/";
import * as events from "events/";
import * as path from "path-browserify";
import type { OperationDescription } from "../raw-host";
import { format, inspect } from "./inspect";
import { ask } from "./messages";
import { createFunctions } from "./remote";
import { net } from "./sockets";
import { timerPromises, timers } from "./timers";

type Encoding = string | { readonly encoding?: string | null; readonly flag?: string } | null | undefined;

function encodingOf(options: Encoding): string | undefined {
  return (typeof options === "string" ? options : options?.encoding) ?? undefined;
}

/** UTF-8 is made by rebox, many times as fast as in here. */
function toContent(data: unknown, options: Encoding): Uint8Array | string {
  const encoding = encodingOf(options);
  if (typeof data === "string") {
    return /^utf-?8$/i.test(encoding ?? "utf8") ? data : Buffer.from(data, encoding as "latin1");
  }
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  throw new TypeError("a file is written from a string or bytes");
}

function toResult(bytes: unknown, options: Encoding): Buffer | string {
  const buffer = bytes as Buffer;
  const encoding = encodingOf(options);
  return encoding === undefined ? buffer : buffer.toString(encoding as "utf8");
}

interface StatFacts {
  readonly size: number;
  readonly kind: "file" | "directory" | "other";
  readonly mtimeMs: number;
}

function toStats({ size, kind, mtimeMs }: StatFacts) {
  return { size, mtimeMs, isFile: () => kind === "file", isDirectory: () => kind === "directory" };
}

/** The part of node:fs that a script with the permission fs: has, where it does more than to ask rebox. */
const files = {
  readFileSync: (path: string, options?: Encoding) => toResult(ask("file.read", String(path)), options),
  writeFileSync: (path: string, data: unknown, options?: Encoding) => {
    ask("file.write", String(path), toContent(data, options), (typeof options === "object" && options?.flag) || "w");
  },
  appendFileSync: (path: string, data: unknown, options?: Encoding) => {
    ask("file.write", String(path), toContent(data, options), "a");
  },
  statSync: (path: string) => toStats(ask("file.stat", String(path)) as StatFacts),
};

/** The same functions as promises. */
function createPromises(functions: Readonly<Record<string, unknown>>) {
  const synchronous = Object.entries(functions).filter(([name]) => name.endsWith("Sync"));
  return Object.fromEntries(
    synchronous.map(([name, call]) => [
      name.slice(0, -"Sync".length),
      async (...args: unknown[]) => (call as (...args: unknown[]) => unknown)(...args),
    ]),
  );
}

interface ProgramResult {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The part of node:child_process that takes a function. */
const programs = {
  execFile: (
    file: string,
    args: readonly string[],
    callback?: (error: Error | null, stdout: string, stderr: string) => void,
  ) => {
    const done = (async () => {
      const result = (await ask("program.run", String(file), args)) as ProgramResult;
      const error = result.status === 0 ? null : new Error(`${file} ended with ${result.status ?? result.signal}`);
      return { ...result, error };
    })();
    done.then(
      ({ error, stdout, stderr }) => callback?.(error, stdout, stderr),
      (error: Error) => callback?.(error, "", ""),
    );
  },
};

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

/**
 * Creates what gives a script Node's modules, by their name with or without "node:".
 *
 * @param operations the operations that rebox carries out
 * @param script the script's name
 * @returns a function that throws an Error, which names the permission that is needed, or the modules that there are
 */
export function createModules(operations: readonly OperationDescription[], script: string): (id: string) => unknown {
  const fs = { ...createFunctions(operations, "fs."), ...files };
  const promises = createPromises(fs);
  /** The second word is the permission that it needs. */
  const modules: Readonly<Record<string, readonly [module: unknown, permission?: string]>> = {
    buffer: [{ Buffer }],
    events: [events],
    path: [path],
    "path/posix": [path],
    util: [util],
    timers: [timers],
    "timers/promises": [timerPromises],
    fs: [{ ...fs, promises }, "fs:FOLDER"],
    "fs/promises": [promises, "fs:FOLDER"],
    net: [net, "net"],
    child_process: [{ ...createFunctions(operations, "child_process."), ...programs }, "child_process"],
  };
  return (id) => {
    const name = String(id).replace(/^node:/, "");
    const entry = Object.hasOwn(modules, name) ? modules[name] : undefined;
    if (entry === undefined) {
      const known = Object.keys(modules).join(", ");
      throw new Error(
        `"${name}" is not there in the sandbox, only ${known}; to run ${script} outside of it: ` +
          `[PERMISSIONS] ${script}: * in pyrebox.conf, or --trust`,
      );
    }
    const [module, permission] = entry;
    if (permission !== undefined && ask("script.mayUse", name) !== true) {
      throw new Error(
        `${script} may not use "${name}"; to permit it: [PERMISSIONS] ${script}: ${permission} in pyrebox.conf, and load it anew`,
      );
    }
    return module;
  };
}
