import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort } from "./free-port";

const VERSIONS = "/usr/lib/postgresql";
const PASSWORD = "the database's word";

/** Returns the folder of PostgreSQL's programs, as Debian has them; undefined where there is none. */
export function findPostgres(): string | undefined {
  const versions = existsSync(VERSIONS)
    ? readdirSync(VERSIONS).toSorted((one, other) => Number(other) - Number(one))
    : [];
  return versions.map((version) => join(VERSIONS, version, "bin")).find((folder) => existsSync(join(folder, "initdb")));
}

/** The port in the name of the socket, where there are no addresses. */
const USUAL_PORT = 5432;

/** A PostgreSQL of a test's own, in a temporary folder, on a socket of that folder, and on addresses where they are asked for. */
export class PrivatePostgres {
  #server: ChildProcess | undefined;

  private constructor(
    private readonly programs: string,
    private readonly folder: string,
    private readonly user: { uid?: number; gid?: number },
    private readonly place: { readonly listens: string; readonly port: number },
  ) {}

  /** @param listens the addresses, of a network that is the test's own: "*" for all; its clients are at 127.0.0.1 */
  static async start(listens = ""): Promise<PrivatePostgres> {
    const folder = mkdtempSync(join(tmpdir(), "rebox-pg-"));
    const user: { uid?: number; gid?: number } = process.getuid!() === 0 ? findUser("postgres") : {};
    if (user.uid !== undefined) chownSync(folder, user.uid, user.gid!);
    const postgres = new PrivatePostgres(findPostgres()!, folder, user, {
      listens,
      port: listens === "" ? USUAL_PORT : await findFreePort(),
    });
    const secret = join(folder, "secret");
    writeFileSync(secret, PASSWORD);
    chmodSync(secret, 0o644);
    const args = [
      "-D",
      join(folder, "data"),
      "-U",
      "rebox",
      "-A",
      "scram-sha-256",
      `--pwfile=${secret}`,
      "-E",
      "UTF8",
      "--locale=C",
      "-N",
    ];
    const { status, stderr } = spawnSync(join(postgres.programs, "initdb"), args, {
      ...user,
      encoding: "utf8",
      cwd: "/",
    });
    if (status !== 0) throw new Error(`initdb: ${stderr}`);
    await postgres.up();
    return postgres;
  }

  /** The address of the database, with another password where one is given. */
  url(password: string = PASSWORD, name = "postgres"): string {
    const { listens, port } = this.place;
    if (listens !== "") return `postgresql://rebox:${encodeURIComponent(password)}@127.0.0.1:${port}/${name}`;
    return `postgresql://rebox:${encodeURIComponent(password)}@/${name}?host=${encodeURIComponent(this.folder)}`;
  }

  /** Starts the server, and waits until it answers. */
  async up(): Promise<void> {
    const settings = {
      listen_addresses: this.place.listens,
      port: String(this.place.port),
      unix_socket_directories: this.folder,
      fsync: "off",
      max_connections: "60",
    };
    const args = [
      "-D",
      join(this.folder, "data"),
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ];
    this.#server = spawn(join(this.programs, "postgres"), args, {
      ...this.user,
      stdio: "ignore",
      cwd: "/",
      detached: true,
    });
    const isReady = () =>
      spawnSync(join(this.programs, "pg_isready"), ["-h", this.folder, "-p", String(this.place.port), "-q"]).status ===
      0;
    while (!isReady()) {
      if (this.#server.exitCode !== null) throw new Error(`postgres has ended with ${this.#server.exitCode}`);
      await sleep(50);
    }
  }

  /** Reads the processor time that its running processes have had, in milliseconds. */
  readProcessorMs(): number {
    // proc(5): the first number of schedstat, in nanoseconds.
    return this.#listProcesses().reduce((sum, id) => sum + Number(readFileSync(`/proc/${id}/schedstat`, "utf8").split(" ")[0]) / 1e6, 0); // prettier-ignore
  }

  /** Reads how many processes it has, and their memory: shared pages count for each as its part of them. */
  readMemory(): { readonly processes: number; readonly bytes: number } {
    const ids = this.#listProcesses();
    const read = (id: number) => 1024 * Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, "utf8"))![1]); // prettier-ignore
    return { processes: ids.length, bytes: ids.reduce((sum, id) => sum + read(id), 0) };
  }

  /** The server and its children. */
  #listProcesses(): number[] {
    const own = this.#server!.pid!;
    const ids = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number); // prettier-ignore
    return ids.filter((id) => id === own || findParent(id) === own);
  }

  /** Has the server with all its processes stand still, or go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    process.kill(-this.#server!.pid!, signal);
  }

  /** Kills the server with all its processes. */
  async kill(): Promise<void> {
    const server = this.#server;
    if (server?.pid === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, "exit");
    process.kill(-server.pid, "SIGKILL");
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    // Its children end by themselves, and still write meanwhile.
    for (let tries = 0; existsSync(this.folder); tries++) {
      try {
        rmSync(this.folder, { recursive: true, force: true });
      } catch (error) {
        if (tries > 50) throw error;
        await sleep(50);
      }
    }
  }
}

/** Finds the parent of a process: the second field behind its name in /proc/ID/stat. */
function findParent(id: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${id}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    // It has ended.
    return undefined;
  }
}

function findUser(name: string): { uid: number; gid: number } {
  const id = (flag: string) => Number(spawnSync("id", [flag, name], { encoding: "utf8" }).stdout);
  return { uid: id("-u"), gid: id("-g") };
}
