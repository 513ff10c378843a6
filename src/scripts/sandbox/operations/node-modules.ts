import { spawn, spawnSync, type SpawnSyncReturns } from "node:child_process";
import * as fs from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { operation, type Operations } from "../operation";
import type { ScriptSession } from "../script-session";

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = fs.constants;
const WRITE_FLAGS: Readonly<Record<string, number>> = {
  w: O_WRONLY | O_CREAT | O_TRUNC,
  a: O_WRONLY | O_CREAT | O_APPEND,
  wx: O_WRONLY | O_CREAT | O_EXCL,
};

/** The part of node:fs that a script with the permission fs: has, within its folders. */
export const FILE_OPERATIONS: Operations = {
  "file.read": operation(["text"], (session, path) =>
    withFile(session, path, O_RDONLY, (descriptor) => fs.readFileSync(descriptor)),
  ),
  "file.write": operation(["text", "any", "text"], (session, path, content, flag) => {
    const flags = Object.hasOwn(WRITE_FLAGS, flag) ? WRITE_FLAGS[flag] : undefined;
    if (flags === undefined) throw new TypeError(`flag ${flag}: one of ${Object.keys(WRITE_FLAGS).join(", ")}`);
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    if (!(bytes instanceof Uint8Array)) throw new TypeError("a file is written from bytes");
    withFile(session, path, flags, (descriptor) => {
      for (let written = 0; written < bytes.length;) written += fs.writeSync(descriptor, bytes, written);
    });
  }),
  "fs.existsSync": operation(["text"], (session, path) => {
    try {
      return fs.existsSync(session.files.getPath(path));
    } catch {
      return false;
    }
  }),
  "fs.mkdirSync": operation(["text", "any"], (session, path, options) => {
    fs.mkdirSync(session.files.getPath(path), { recursive: isChosen(options, "recursive") });
  }),
  "fs.readdirSync": operation(["text"], (session, path) => fs.readdirSync(session.files.getPath(path))),
  "file.stat": operation(["text"], (session, path) => {
    const stats = fs.lstatSync(session.files.getPath(path));
    const kind = stats.isFile() ? "file" : stats.isDirectory() ? "directory" : "other";
    return { size: stats.size, mtimeMs: stats.mtimeMs, kind };
  }),
  "fs.rmSync": operation(["text", "any"], (session, path, options) => {
    const [recursive, force] = [isChosen(options, "recursive"), isChosen(options, "force")];
    fs.rmSync(session.files.getPath(path), { recursive, force });
  }),
  "fs.unlinkSync": operation(["text"], (session, path) => fs.rmSync(session.files.getPath(path))),
  "fs.renameSync": operation(["text", "text"], (session, from, to) =>
    fs.renameSync(session.files.getPath(from), session.files.getPath(to)),
  ),
};

function isChosen(options: unknown, name: string): boolean {
  return (options as Record<string, unknown> | null | undefined)?.[name] === true;
}

function withFile<Result>(
  session: ScriptSession,
  path: string,
  flags: number,
  call: (descriptor: number) => Result,
): Result {
  // Not through a link that has come since the path was checked; not waiting for a pipe's other end.
  const descriptor = fs.openSync(session.files.getPath(path), flags | O_NOFOLLOW | O_NONBLOCK, 0o666);
  try {
    return call(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

const NET = { permission: "net", refusedAs: "the network" } as const;

/** The part of node:net that a script with the permission net has. What is open when the script goes is closed. */
export const NETWORK_OPERATIONS: Operations = {
  "net.connect": operation(
    ["any", "text"],
    (session, port, host) => keepSocket(session, connect(toPort(port), host)),
    NET,
  ),
  "net.listen": operation(
    ["any", "text"],
    (session, port, host) => {
      const server = createServer((socket) => session.emit(id, ["connection", keepSocket(session, socket)]));
      const id = keep(session, server);
      server.on("listening", () => session.emit(id, ["listening", server.address()]));
      server.listen(toPort(port), host);
      return id;
    },
    NET,
  ),
  "net.write": operation(["number", "any"], (session, id, bytes) => {
    if (!(bytes instanceof Uint8Array)) throw new TypeError("what is sent are bytes");
    const socket = session.sockets.find(id);
    if (socket && "write" in socket) socket.write(bytes);
  }),
  "net.end": operation(["number"], (session, id) => {
    const socket = session.sockets.find(id);
    if (socket && "end" in socket) socket.end();
  }),
  "net.destroy": operation(["number"], (session, id) => {
    const socket = session.sockets.find(id);
    if (socket) close(socket);
  }),
};

function keep(session: ScriptSession, item: Socket | Server): number {
  const owned = session.owner.own(() => close(item));
  const id = session.sockets.add(item);
  item.on("error", (error: Error) => session.emit(id, ["error", error.message]));
  item.on("close", () => {
    session.sockets.remove(id);
    owned.release();
    session.emit(id, ["close", undefined]);
  });
  return id;
}

function keepSocket(session: ScriptSession, socket: Socket): number {
  const id = keep(session, socket);
  socket.on("connect", () => session.emit(id, ["connect", undefined]));
  socket.on("data", (bytes) => session.emit(id, ["data", bytes]));
  socket.on("end", () => session.emit(id, ["end", undefined]));
  return id;
}

function close(item: Socket | Server): void {
  if ("destroy" in item) item.destroy();
  else item.close();
}

function toPort(value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 65535) {
    throw new RangeError(`port ${String(value)}: a whole number from 0 to 65535`);
  }
  return value;
}

const PROGRAMS = { permission: "childProcess", refusedAs: "other programs" } as const;

interface ProgramOptions {
  readonly input?: string | Uint8Array;
  readonly encoding?: string;
}

/** The part of node:child_process that a script with its permission has. What runs when the script goes is killed. */
export const PROGRAM_OPERATIONS: Operations = {
  "child_process.spawnSync": operation(
    ["text", "any", "any"],
    (_session, file, args, options) => runToEnd(file, args, options),
    PROGRAMS,
  ),
  "child_process.execFileSync": operation(
    ["text", "any", "any"],
    (_session, file, args, options) => {
      const { status, signal, stdout } = runToEnd(file, args, options);
      if (status !== 0) throw new Error(`${file} ended with ${status ?? signal}`);
      return stdout;
    },
    PROGRAMS,
  ),
  /** Behind execFile(), whose callback stays in the sandbox. */
  "program.run": operation(["text", "any"], runBeside, { ...PROGRAMS, isAsync: true }),
};

function runToEnd(
  file: string,
  args: unknown,
  options: unknown,
): Omit<SpawnSyncReturns<string | Buffer>, "pid" | "output"> {
  const { input, encoding } = (options ?? {}) as ProgramOptions;
  const chosen = { ...(input === undefined ? {} : { input }), ...(encoding === undefined ? {} : { encoding }) };
  const { status, signal, stdout, stderr, error } = spawnSync(file, toTexts(args), chosen as { encoding: "utf8" });
  if (error) throw error;
  return { status, signal, stdout, stderr };
}

function runBeside(session: ScriptSession, file: string, args: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, toTexts(args), { stdio: ["ignore", "pipe", "pipe"] });
    const owned = session.owner.own(() => void child.kill("SIGKILL"));
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on("data", (bytes: Buffer) => stdout.push(bytes));
    child.stderr.on("data", (bytes: Buffer) => stderr.push(bytes));
    child.on("error", (error) => {
      owned.release();
      reject(error);
    });
    child.on("close", (status, signal) => {
      owned.release();
      resolve({ status, signal, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
    });
  });
}

function toTexts(args: unknown): string[] {
  return ((args ?? []) as unknown[]).map(String);
}

/** The question whether a script may have a module at all. */
export const MODULE_OPERATIONS: Operations = {
  "script.mayUse": operation(["text"], ({ permissions }, module) => {
    const permitted: Readonly<Record<string, boolean>> = {
      fs: permissions.folders.length > 0,
      "fs/promises": permissions.folders.length > 0,
      net: permissions.net,
      child_process: permissions.childProcess,
    };
    return Object.hasOwn(permitted, module) && permitted[module];
  }),
};
