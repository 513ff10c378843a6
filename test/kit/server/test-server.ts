import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { AnalysisWorker } from "../../../src/cli/analyze/analysis-worker";
import { doors } from "../../../src/doors/doors";
import { openDatabase } from "../../../src/lab/analysis/analysis-places";
import { Lab } from "../../../src/lab/lab";
import { openAccountDatabase } from "../../../src/server/accounts/account-database";
import type { Role } from "../../../src/server/accounts/roles";
import { Tokens } from "../../../src/server/accounts/tokens";
import { Users } from "../../../src/server/accounts/users";
import { type RunningServer, startServer } from "../../../src/server/start-server";
import type { ServerSettings } from "../../../src/server/settings";
import { type FolderLab, withFolder } from "../lab/lab-folder";
import { quickLab } from "../lab/quick-machinery";
import { addAnalysis, type MadeAnalysis } from "./made-analysis";

export const PASSWORD = "correct horse battery";

/** The users of a test's server, each named like the role. */
export const USERS: readonly Role[] = ["reader", "analyst", "administrator"];

/** A server in this process, on a lab with machines that are shells of this host. */
export interface TestServer {
  readonly lab: FolderLab;
  readonly server: RunningServer;
  /** "http://127.0.0.1:PORT" */
  readonly url: string;
  /** What the server has told its log. */
  readonly log: readonly string[];
  /** A token of each user. */
  readonly tokens: Readonly<Record<Role, string>>;
  /** Asks with the token of a user, or without one. */
  ask(user: Role | undefined, path: string, init?: RequestInit): Promise<Response>;
  /** Asks, and reads the JSON of the answer; its status must be one of success. */
  read<Value>(user: Role, path: string, init?: RequestInit): Promise<Value>;
  /** Adds an analysis that has ended. @returns its number */
  add(made?: MadeAnalysis): number;
  /** Waits until an analysis has ended, and returns it. */
  untilEnded(id: number): Promise<{ readonly state: string; readonly reason: string | null }>;
  /** Opens a session as a browser does. */
  signIn(user: Role): Promise<BrowserSession>;
}

/** A session of a browser. */
export interface BrowserSession {
  readonly cookie: string;
  /** The word that forms must bring. */
  readonly csrf: string;
}

export interface TestServerOptions {
  readonly settings?: Partial<ServerSettings>;
  /** Further files of the lab. */
  readonly files?: Readonly<Record<string, string>>;
  readonly mostRunning?: number;
}

/** Between two looks at a machine that stops, in milliseconds. */
const POLL_MS = 100;

/** Starts a server for a test, and ends it and removes its lab after it. */
export async function withServer(
  { settings = {}, files = {}, mostRunning = 2 }: TestServerOptions,
  use: (server: TestServer) => Promise<void>,
): Promise<void> {
  await withFolder({ ...quickLab("office", "spare"), ...files }, async (lab) => {
    const tokens = await addUsers(lab.folder);
    const log: string[] = [];
    const processes: Promise<string>[] = [];
    const server = await startServer({
      ...{ labFolder: lab.folder, getApi: () => doors, mostRunning, log: (text) => void log.push(text) },
      settings: { ...SETTINGS, ...settings },
      startAnalysis: (folder, id) => {
        const worker = new AnalysisWorker(folder, id, () => undefined, true);
        processes.push(worker.ended);
        return worker;
      },
    });
    try {
      await use(makeServer(lab, server, tokens, log));
    } finally {
      await server.close();
      // They write into the lab, which is removed.
      await Promise.all(processes);
      // Machines that were started through the server outlive it.
      const left = await Lab.open(lab.folder, { api: doors, pollMs: POLL_MS, log: (text) => void log.push(text) });
      await left.manager.shutdown().finally(() => left.close());
    }
  });
}

/** The settings of a test's server: any port that is free. */
export const SETTINGS: ServerSettings = {
  ...{ listen: { host: "127.0.0.1", port: 0 }, tls: undefined, isBehindProxy: false, allowsPlainHttp: false },
  ...{ largestUpload: 64 << 20, requestsPerMinute: 100_000, webhookNetworks: [] },
};

/** Adds a user for each role, with a token that has all rights of it. */
export async function addUsers(labFolder: string): Promise<Record<Role, string>> {
  const database = openAccountDatabase(labFolder);
  try {
    const [users, tokens] = [new Users(database), new Tokens(database)];
    const entries: [Role, string][] = [];
    for (const role of USERS) {
      await users.add(role, role, PASSWORD);
      entries.push([role, tokens.add(role, "test", ["read", "submit", "administer"], undefined).token]);
    }
    return Object.fromEntries(entries) as Record<Role, string>;
  } finally {
    database.close();
  }
}

function makeServer(
  lab: FolderLab,
  server: RunningServer,
  tokens: Record<Role, string>,
  log: readonly string[],
): TestServer {
  // prettier-ignore
  const url = server.address;
  const ask = (user: Role | undefined, path: string, init: RequestInit = {}) => {
    const own = user === undefined ? {} : { authorization: `Bearer ${tokens[user]}` };
    return fetch(`${url}${path}`, { redirect: "manual", ...init, headers: { ...own, ...(init.headers as object) } });
  };
  const read = async <Value>(user: Role, path: string, init?: RequestInit) => {
    const answer = await ask(user, path, init);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Value;
  };
  return {
    ...{ lab, server, url, tokens, log, ask, read },
    add: (made = {}) => {
      const database = openDatabase(lab.folder);
      try {
        return addAnalysis(lab.folder, database, made);
      } finally {
        database.close();
      }
    },
    untilEnded: async (id) => {
      for (;;) {
        const { state, reason } = await read<{ state: string; reason: string | null }>("reader", `/api/v1/analyses/${id}`); // prettier-ignore
        if (state !== "waiting" && state !== "running") return { state, reason };
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    signIn: async (user) => {
      const body = new URLSearchParams({ name: user, password: PASSWORD });
      const answer = await fetch(`${url}/sign-in`, { method: "POST", body, redirect: "manual" });
      const cookie = (answer.headers.get("set-cookie") ?? "").split(";")[0]!;
      const page = await (await fetch(`${url}/`, { headers: { cookie } })).text();
      return { cookie, csrf: /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "" };
    },
  };
}

/** Makes a form with a file. */
export function fileForm(
  name: string,
  content: string | Uint8Array<ArrayBuffer>,
  fields: Readonly<Record<string, string>> = {},
): FormData {
  // prettier-ignore
  const form = new FormData();
  for (const [key, value] of Object.entries(fields)) form.append(key, value);
  form.append("file", new Blob([content]), name);
  return form;
}

/** Makes a request of JSON. */
export function jsonOf(value: unknown, method = "POST"): RequestInit {
  return { method, body: JSON.stringify(value), headers: { "content-type": "application/json" } };
}

/** Writes files below a folder. */
export function writeFiles(folder: string, files: Readonly<Record<string, string | Buffer>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}
