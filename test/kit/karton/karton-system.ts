import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort } from "../cluster/free-port";
import { ACCESS_KEY, findObjectServer, ObjectServer, SECRET_KEY } from "../cluster/object-server";
import { getPython, needReference } from "../lab/reference-python";
import { PROJECT } from "../project";

const REDIS = "/usr/bin/redis-server";
const BUCKET = "karton";

/** Says why a test of Karton is skipped; false where it is not. */
export const NO_KARTON: false | string = !existsSync(REDIS)
  ? "there is no Redis; install redis-server"
  : findObjectServer() === undefined
    ? "there is no versitygw; set-up builds it where there is Go"
    : needReference("karton");

/** A task that has come back. */
export interface KartonTask {
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** A sample that is handed in. */
export interface KartonSample {
  readonly name: string;
  readonly content: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload?: Readonly<Record<string, unknown>>;
  /** For all tasks that follow. */
  readonly persistent?: Readonly<Record<string, unknown>>;
}

/** A service of the system, and what it has written. */
export interface KartonService {
  /** What it has written to both outputs. */
  output(): string;
  end(): Promise<void>;
}

/** A Karton system of a test's own on loopback: Redis, a store, karton-system, and a service that prints what comes back. */
export class KartonSystem {
  readonly #folder = mkdtempSync(join(tmpdir(), "rebox-karton-"));
  readonly #services: KartonService[] = [];
  #store: ObjectServer | undefined;
  #env: NodeJS.ProcessEnv = {};
  #lines = "";

  static async start(): Promise<KartonSystem> {
    const system = new KartonSystem();
    try {
      const redis = await findFreePort();
      system.#store = await ObjectServer.start(BUCKET);
      system.#env = {
        ...{ PATH: process.env.PATH, HOME: system.#folder },
        ...{ KARTON_REDIS_HOST: "127.0.0.1", KARTON_REDIS_PORT: String(redis) },
        ...{ KARTON_S3_ADDRESS: system.#store.url("").replace(/\/$/, ""), KARTON_S3_BUCKET: BUCKET },
        ...{ KARTON_S3_ACCESS_KEY: ACCESS_KEY, KARTON_S3_SECRET_KEY: SECRET_KEY },
      };
      const settings = ["--port", String(redis), "--bind", "127.0.0.1", "--save", "", "--dir", system.#folder];
      await system.#run(REDIS, settings, {}, "Ready to accept connections");
      await system.#run(getPython("karton"), ["-m", "karton.system"], {}, "started");
      await system.#run(getPython("karton"), [PIPELINE], {}, "Binding on", (text) => (system.#lines += text));
      return system;
    } catch (error) {
      await system.stop();
      throw error;
    }
  }

  /** Starts rebox's service. @param env its own settings */
  async startBridge(env: Readonly<Record<string, string>>): Promise<KartonService> {
    return this.#run(getPython("karton"), [join(PROJECT, "conf/karton/rebox_karton.py")], env, "Binding on");
  }

  /** Hands a sample in. */
  send(sample: KartonSample): void {
    const { status, stderr } = spawnSync(getPython("karton"), [PIPELINE, "send"], { env: this.#env, cwd: this.#folder, input: JSON.stringify(sample), encoding: "utf8" }); // prettier-ignore
    if (status !== 0) throw new Error(stderr);
  }

  /** The tasks that have come back so far. */
  get tasks(): KartonTask[] {
    const lines = this.#lines.split("\n").slice(0, -1);
    return lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as KartonTask);
  }

  /** Removes it with all its processes. */
  async stop(): Promise<void> {
    for (const service of this.#services.toReversed()) await service.end();
    await this.#store?.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Starts a program, and waits until it has written a text. */
  async #run(
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
    text: string,
    onOutput: (text: string) => void = () => undefined,
  ): Promise<KartonService> {
    const child = spawn(program, args, { env: { ...this.#env, ...env }, cwd: this.#folder, stdio: ["ignore", "pipe", "pipe"] }); // prettier-ignore
    let output = "";
    child.stdout.on("data", (bytes: Buffer) => {
      output += String(bytes);
      onOutput(String(bytes));
    });
    child.stderr.on("data", (bytes: Buffer) => (output += String(bytes)));
    const service = { output: () => output, end: () => endProcess(child) };
    this.#services.push(service);
    while (!output.includes(text)) {
      if (child.exitCode !== null) throw new Error(`${program} has ended with ${child.exitCode}: ${output}`);
      await sleep(50);
    }
    return service;
  }
}

const PIPELINE = join(PROJECT, "test/kit/karton/pipeline.py");

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}
