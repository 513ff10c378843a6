import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openDatabase } from "../../../src/lab/analysis/analysis-places";
import { ServedQueue } from "../../../src/lab/analysis/queue/served-queue";
import { findClusterSettings } from "../../../src/lab/cluster/cluster-settings";
import { type FolderCluster, openFolderCluster } from "../../../src/lab/cluster/folder/folder-cluster";
import { openPostgresCluster, type PostgresCluster } from "../../../src/lab/cluster/postgres/postgres-cluster";
import { ClusterMaker } from "../../../src/server/hosts/cluster-maker";
import { doWork } from "../../../src/server/results/work";
import { quickLab } from "../lab/quick-machinery";
import { REBOX } from "../project";
import { ACCESS_KEY, findObjectServer, ObjectServer, SECRET_KEY } from "./object-server";
import { findPostgres, PrivatePostgres } from "./postgres";

export const BUCKET = "rebox";

/** Says why a test of clusters is skipped; false where it is not. */
export const NO_CLUSTER =
  findPostgres() === undefined
    ? "there is no PostgreSQL; install postgresql"
    : findObjectServer() === undefined
      ? "there is no versitygw; go install github.com/versity/versitygw/cmd/versitygw@v1.8.0"
      : false;

/** A `rebox host` in a process of its own. */
export interface HostProcess {
  readonly child: ChildProcess;
  readonly folder: string;
  /** What it has written to standard error. */
  errors(): string;
  /** Ends it by a signal, and waits. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

/** A cluster of a test's own: a database, a store, and labs that belong to it. */
export class TestCluster {
  readonly folder = mkdtempSync(join(tmpdir(), "rebox-cluster-"));
  readonly #hosts: HostProcess[] = [];
  readonly #collectors: ClusterMaker[] = [];
  readonly #opened: { close(): Promise<void> }[] = [];
  readonly env = {
    ...process.env,
    REBOX_LAB: undefined,
    NODE_OPTIONS: process.env.NODE_OPTIONS,
    AWS_ACCESS_KEY_ID: ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY: SECRET_KEY,
  };

  private constructor(private readonly servers: { readonly postgres: PrivatePostgres; readonly store: ObjectServer } | undefined) {} // prettier-ignore

  /**
   * Makes a cluster whose leases are as short as pg-boss permits.
   *
   * @param isEverywhere whether database and store listen on all addresses, in a network that is the test's own
   */
  static async start(isEverywhere = false): Promise<TestCluster> {
    const postgres = await PrivatePostgres.start(isEverywhere ? "*" : "");
    const store = await ObjectServer[isEverywhere ? "startEverywhere" : "start"](BUCKET, "foreign");
    const cluster = new TestCluster({ postgres, store });
    const { database } = await cluster.open(cluster.makeLab("first"));
    await database.query("UPDATE rebox.cluster SET lease_s = 10");
    return cluster;
  }

  /** Makes a cluster that is a folder, with leases of ten seconds. */
  static startInFolder(): TestCluster {
    const cluster = new TestCluster(undefined);
    const { database } = cluster.openFolder(cluster.makeLab("first"));
    database.change("UPDATE facts SET lease_s = 10");
    return cluster;
  }

  get postgres(): PrivatePostgres {
    return this.servers!.postgres;
  }

  get store(): ObjectServer {
    return this.servers!.store;
  }

  /** Kills the hosts that run. */
  async endHosts(): Promise<void> {
    for (const host of this.#hosts) await host.end("SIGKILL");
  }

  /** Removes it with all its processes. */
  async stop(): Promise<void> {
    await this.endHosts();
    for (const collector of this.#collectors) await collector.stop();
    for (const opened of this.#opened) await opened.close();
    killBelow(this.folder);
    await this.servers?.postgres.stop();
    await this.servers?.store.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Runs rebox to its end. */
  run(...args: readonly string[]): {
    readonly status: number | null;
    readonly stdout: string;
    readonly stderr: string;
  } {
    return spawnSync(process.execPath, [REBOX, ...args], { env: this.env, encoding: "utf8", cwd: this.folder });
  }

  /** Makes a lab of the cluster with quick machines: the first by the command, the others by its files. */
  makeLab(name: string, ...machines: readonly string[]): string {
    const folder = join(this.folder, name);
    const settings = join(this.folder, "first/conf/cluster.yaml");
    if (!existsSync(settings)) {
      const places = this.servers === undefined ? [join(this.folder, "cluster")] : [this.postgres.url(), "--bucket", this.store.url(BUCKET)]; // prettier-ignore
      const made = this.run("lab", "init", folder, "--cluster", ...places);
      if (made.status !== 0) throw new Error(made.stderr);
      return folder;
    }
    const files = quickLab(...machines);
    files["conf/cluster.yaml"] = readFileSync(settings, "utf8").replace(/^lab: .*/m, `lab: ${name}`);
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), text, { mode: 0o600 });
    }
    return folder;
  }

  /** Starts a host on a lab. */
  async startHost(folder: string, name: string, ...args: readonly string[]): Promise<HostProcess> {
    const child = spawn(process.execPath, [REBOX, "host", "--lab", folder, "--name", name, ...args], {
      env: this.env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let errors = "";
    child.stderr.on("data", (text: Buffer) => (errors += String(text)));
    const end = async (signal: NodeJS.Signals = "SIGTERM") => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill(signal);
      await ended;
    };
    const host = { child, folder, errors: () => errors, end };
    this.#hosts.push(host);
    await Promise.race([once(child.stdout, "data"), once(child, "exit").then(() => Promise.reject(new Error(errors)))]);
    return host;
  }

  /** Hands in and collects for a lab, as its server does. */
  collect(folder: string): ClusterMaker {
    const database = openDatabase(folder);
    const index = async () => void (await doWork({ kind: "index", labFolder: folder }));
    const maker = new ClusterMaker({ labFolder: folder, database, queue: new ServedQueue(database), index, log: () => undefined }); // prettier-ignore
    maker.start();
    this.#collectors.push(maker);
    return maker;
  }

  /** Connects as a lab does. */
  async open(folder: string): Promise<PostgresCluster> {
    const settings = findClusterSettings(folder);
    if (settings === undefined || settings.folder !== undefined)
      throw new Error(`${folder} has no cluster of PostgreSQL`);
    const opened = await openPostgresCluster(settings.lab, settings, false, () => undefined);
    this.#opened.push(opened);
    return opened;
  }

  /** Connects as a lab of a cluster that is a folder does. */
  openFolder(folder: string): FolderCluster {
    const settings = findClusterSettings(folder);
    if (settings?.folder === undefined) throw new Error(`${folder} has no cluster in a folder`);
    const opened = openFolderCluster(settings.lab, settings.folder, false);
    this.#opened.push(opened);
    return opened;
  }
}

/** Waits until something is so. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, limitMs = 90_000): Promise<void> {
  const beganMs = performance.now();
  while (!(await isSo())) {
    if (performance.now() - beganMs > limitMs) throw new Error(`it is not so after ${limitMs} ms: ${what}`);
    await sleep(50);
  }
}

/** Kills the processes with a folder among their arguments: those of analyses outlive their host. */
function killBelow(folder: string): void {
  for (const id of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${id}/cmdline`, "utf8").includes(folder)) process.kill(Number(id), "SIGKILL");
    } catch {
      // It has ended.
    }
  }
}
