import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, delimiter, join } from "node:path";

/** Why tests with a stand-in for the agent are left out: it runs programs by Python, as agents do. */
export const NEEDS_PYTHON = hasPython() ? false : "there is no python3";

/** How the stand-in differs from CAPE's agent 0.22 on Linux. */
export interface AgentTraits {
  readonly message?: string;
  readonly version?: string;
  readonly features?: readonly string[];
  readonly system?: string;
  /** The agent watches a program that it starts, one at a time: CAPE's from 0.15 on. */
  readonly isWatching?: boolean;
  /** Makes missing folders for what it stores: CAPE's from 0.22 on. */
  readonly makesFolders?: boolean;
  /**
   * Is asked before each request; an answer of its own takes the place of the agent's, "silence" is none at all. A file that is sent
   * is the field "file", as text.
   */
  readonly intercept?: (
    method: string,
    path: string,
    fields: ReadonlyMap<string, string>,
  ) => "silence" | "close" | { status: number; text: string } | undefined;
}

/** An agent that runs on this host in the place of a guest. */
export interface StandInAgent {
  readonly port: number;
  /** "POST /store", in order. */
  readonly requests: readonly string[];
  /** The arguments of every call of `date` in what it ran: this host's clock stays as it is. */
  readonly dates: () => string;
  /** Kills the program that runs a script. */
  killProgram(): void;
  /** Ends the server. */
  stop(): void;
}

function hasPython(): boolean {
  try {
    execFileSync("python3", ["--version"]);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs a server that speaks the protocol of CAPE's and Cuckoo's agents: HTTP/1.0 answers in JSON without a type and a length,
 * routes that match the whole path, forms whose empty fields are forgotten, pinning that a second call refuses.
 */
export async function withAgent(traits: AgentTraits, use: (agent: StandInAgent) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-agent-"));
  const made = [folder];
  const requests: string[] = [];
  const {
    message = "CAPE Agent!",
    version = "0.22",
    system = "Linux",
    isWatching = true,
    makesFolders = true,
  } = traits;
  const features = traits.features ?? ["execpy", "execute", "pinning", "logs", "largefile", "unicodepath"];
  const calls = join(folder, "dates");
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin/date"), `#!/bin/sh\necho "$*" >> ${calls}\n`, { mode: 0o755 });
  let program: ReturnType<typeof spawn> | undefined;
  let exitCode: number | undefined;
  let isPinned = false;

  const routes: Record<string, (form: Form) => Reply> = {
    "GET /": () => [200, { message, version, features, is_user_admin: true }],
    "GET /system": () => [200, { message: "System", system }],
    "GET /pinning": () => {
      if (isPinned) return fail(500, "Agent has already been pinned to an IP!");
      isPinned = true;
      return [200, { message: "Successfully pinned Agent", client_ip: "127.0.0.1" }];
    },
    "POST /mkdtemp": ({ fields }) => {
      const dirpath = mkdtempSync(join(fields.get("dirpath") ?? tmpdir(), fields.get("prefix") ?? ""));
      made.push(dirpath);
      return [200, { message: "Successfully created temporary directory", dirpath }];
    },
    "POST /store": ({ fields, file }) => {
      const path = fields.get("filepath");
      if (path === undefined) return fail(400, "No filepath has been provided");
      if (file === undefined) return fail(400, "No file has been provided");
      made.push(path, path.replace(/\.tar$/, ""));
      if (makesFolders) mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, file);
      return [200, { message: "Successfully stored file" }];
    },
    "POST /retrieve": ({ fields }) => {
      const path = fields.get("filepath") ?? "";
      return existsSync(path) && statSync(path).isFile() ? [200, readFileSync(path)] : [404, undefined];
    },
    "POST /remove": ({ fields }) => {
      const path = fields.get("path") ?? "";
      if (!existsSync(path)) return fail(404, "Path provided does not exist");
      rmSync(path, { recursive: true });
      return [200, { message: `Successfully deleted ${basename(path)}` }];
    },
    "POST /execpy": ({ fields }) => {
      if (isWatching && program !== undefined) return fail(400, "Async process already running.");
      const env = { ...process.env, PATH: `${join(folder, "bin")}${delimiter}${process.env.PATH ?? ""}` };
      const options = { stdio: "ignore", cwd: fields.get("cwd"), env } as const;
      const child = spawn("python3", [fields.get("filepath") ?? ""], options);
      child.once("exit", (code) => {
        if (program === child) exitCode = code ?? -9;
      });
      [program, exitCode] = [child, undefined];
      const watched = isWatching ? { process_id: child.pid } : { stdout: null, stderr: null };
      return [200, { message: "Successfully spawned command", ...watched }];
    },
    "GET /status": () => {
      const state = { message: "Analysis status", description: "" };
      if (!isWatching || program === undefined) return [200, { ...state, status: isWatching ? "complete" : null }];
      if (exitCode === undefined) return [200, { ...state, status: "running", process_id: program.pid }];
      program = undefined;
      return [200, { ...state, status: exitCode === 0 ? "complete" : "failed", exitcode: exitCode }];
    },
    "POST /status": () => {
      program = undefined;
      return [200, { message: "Analysis status updated" }];
    },
  };

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const key = `${request.method} ${request.url}`;
    requests.push(key);
    const form = await readForm(request);
    const sent = new Map([
      ...form.fields,
      ...(form.file === undefined ? [] : [["file", form.file.toString()] as const]),
    ]);
    const own = traits.intercept?.(request.method ?? "", request.url ?? "", sent);
    if (own === "silence") return;
    if (own === "close") return void request.socket.destroy();
    const [status, content] = own !== undefined ? [own.status, own.text] : take(routes[key], form);
    const body = Buffer.isBuffer(content) || typeof content === "string" ? content : content && JSON.stringify(content);
    // As Python's http.server: no length, and the end of the connection is the end of the answer.
    request.socket.write(`HTTP/1.0 ${status} Answer\r\nServer: CAPE Agent Python/3.10\r\n\r\n`);
    request.socket.end(body ?? "");
    response.detachSocket(request.socket);
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  try {
    await use({
      ...{ port: (server.address() as AddressInfo).port, requests, stop },
      dates: () => (existsSync(calls) ? readFileSync(calls, "utf8") : ""),
      killProgram: () => void program?.kill("SIGKILL"),
    });
  } finally {
    stop();
    for (const path of made) rmSync(path, { recursive: true, force: true });
  }
}

type Reply = readonly [number, object | Buffer | undefined];

interface Form {
  readonly fields: ReadonlyMap<string, string>;
  readonly file: Buffer | undefined;
}

function fail(status: number, message: string): Reply {
  return [status, { message, error_code: status }];
}

function take(route: ((form: Form) => Reply) | undefined, form: Form): Reply {
  if (route === undefined) return fail(404, "Route not found");
  try {
    return route(form);
  } catch (error) {
    return [500, { message: "Error", error_code: 500, traceback: `Traceback:\n${String(error)}\n` }];
  }
}

async function readForm(request: IncomingMessage): Promise<Form> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const type = request.headers["content-type"] ?? "";
  const boundary = /boundary=(.*)$/.exec(type)?.[1];
  if (boundary === undefined) {
    const fields = [...new URLSearchParams(body.toString())].filter(([, value]) => value !== "");
    return { fields: new Map(fields), file: undefined };
  }
  const fields = new Map<string, string>();
  let file: Buffer | undefined;
  // latin1: each byte is a character, so that a file stays what it is.
  for (const part of body.toString("latin1").split(`--${boundary}`).slice(1, -1)) {
    const [head = "", ...rest] = part.split("\r\n\r\n");
    const value = Buffer.from(rest.join("\r\n\r\n").slice(0, -2), "latin1");
    if (head.includes("filename=")) file = value;
    else fields.set(/name="([^"]*)"/.exec(head)?.[1] ?? "", value.toString());
  }
  return { fields, file };
}
