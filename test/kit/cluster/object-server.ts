import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PROJECT } from "../project";
import { findFreePort } from "./free-port";

/** Built from its Go module: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0. */
const NAME = "versitygw";
const FOLDERS = [join(PROJECT, "build/versitygw"), join(homedir(), "go/bin"), ...(process.env.PATH ?? "").split(":")];

export const ACCESS_KEY = "rebox";
export const SECRET_KEY = "the store's word";

/** Returns the server of the S3 API that tests use; undefined where there is none. */
export function findObjectServer(): string | undefined {
  return FOLDERS.map((folder) => join(folder, NAME)).find((file) => existsSync(file));
}

/** A server of the S3 API of a test's own: its objects are plain files of a temporary folder. */
export class ObjectServer {
  #server: ChildProcess | undefined;

  private constructor(
    readonly folder: string,
    private readonly port: number,
    private readonly listens: string,
  ) {}

  /** Starts one on all addresses, in a network that is the test's own. @param buckets that are there */
  static async startEverywhere(...buckets: readonly string[]): Promise<ObjectServer> {
    return ObjectServer.#start(new ObjectServer(mkdtempSync(join(tmpdir(), "rebox-s3-")), await findFreePort(), ""), buckets); // prettier-ignore
  }

  /** @param buckets that are there */
  static async start(...buckets: readonly string[]): Promise<ObjectServer> {
    return ObjectServer.#start(new ObjectServer(mkdtempSync(join(tmpdir(), "rebox-s3-")), await findFreePort(), "127.0.0.1"), buckets); // prettier-ignore
  }

  static async #start(server: ObjectServer, buckets: readonly string[]): Promise<ObjectServer> {
    for (const bucket of buckets) mkdirSync(join(server.folder, "objects", bucket), { recursive: true });
    mkdirSync(join(server.folder, "facts"), { recursive: true });
    await server.up();
    return server;
  }

  url(bucket: string): string {
    return `http://127.0.0.1:${this.port}/${bucket}`;
  }

  /** The file that an object is. */
  file(bucket: string, key: string): string {
    return join(this.folder, "objects", bucket, key);
  }

  async up(): Promise<void> {
    const args = [
      "--port",
      `${this.listens}:${this.port}`,
      "--quiet",
      "posix",
      "--sidecar",
      join(this.folder, "facts"),
      join(this.folder, "objects"),
    ];
    const env = { ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: SECRET_KEY, PATH: process.env.PATH, HOME: this.folder };
    this.#server = spawn(findObjectServer()!, args, { env, stdio: "ignore" });
    while (
      !(await fetch(this.url(""), { signal: AbortSignal.timeout(1_000) }).then(
        () => true,
        () => false,
      ))
    ) {
      if (this.#server.exitCode !== null) throw new Error(`versitygw has ended with ${this.#server.exitCode}`);
      await sleep(30);
    }
  }

  /** Has the server stand still, or go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#server!.kill(signal);
  }

  async kill(): Promise<void> {
    const server = this.#server;
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, "exit");
    server.kill("SIGKILL");
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
