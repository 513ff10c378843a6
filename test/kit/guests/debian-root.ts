import { execFileSync, spawnSync } from "node:child_process";
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { PROJECT } from "../project";

const ROOTS = join(PROJECT, "build/roots");
/** A user who is nobody on this machine. */
const USER_ID = 54_321;
const HOME = "/home/user";
const LIMIT_MS = 480_000;

/** What sh runs to give the system in `$1` devices of its own: those of this machine may have other modes than a fresh system's. */
const OWN_DEVICES = [
  'mount -t tmpfs -o mode=755 none "$1/dev"; mkdir -m 1777 "$1/dev/shm"; mkdir "$1/dev/pts"',
  'mount -t devpts -o newinstance,ptmxmode=666 none "$1/dev/pts"; ln -s pts/ptmx "$1/dev/ptmx"',
  ...["null 3", "zero 5", "full 7", "random 8", "urandom 9"].map((device) => {
    const [name, minor] = device.split(" ");
    return `mknod -m 666 "$1/dev/${name}" c 1 ${minor}`;
  }),
  'mknod -m 666 "$1/dev/tty" c 5 0; ln -s /proc/self/fd "$1/dev/fd"; ln -s fd/0 "$1/dev/stdin"',
  'ln -s fd/1 "$1/dev/stdout"; ln -s fd/2 "$1/dev/stderr"',
].join("; ");

/** The reason why nothing can be tried in small Debian systems here; undefined when it can. */
export function findRootProblem(release: string, node: string): string | undefined {
  if (process.getuid?.() !== 0) return "only root can enter another root";
  const files = [`${release}/root.tar`, `node/node-${node}`, "wheels"];
  const missing = files.find((file) => !existsSync(join(ROOTS, file)));
  return missing === undefined ? undefined : `build/roots/${missing} is missing`;
}

/** Lists the Python packages of Volatility, which set-up fetches. */
export function listWheels(): string[] {
  const folder = join(ROOTS, "wheels");
  return readdirSync(folder).filter((name) => name.endsWith(".whl")).map((name) => join(folder, name)); // prettier-ignore
}

/** A small Debian system in a folder, with Node.js and npm, whose user has no rights, no network, and nothing of this machine. */
export class DebianRoot implements Disposable {
  private readonly folder = mkdtempSync(join(tmpdir(), "rebox-root-"));

  /**
   * Unpacks a system that set-up has made.
   *
   * @param release Debian's name of it
   * @param node the major version of Node.js
   */
  constructor(release: string, node: string) {
    execFileSync("tar", ["-xf", join(ROOTS, release, "root.tar"), "-C", this.folder, "--exclude=./dev/*"]);
    const local = join(this.folder, "usr/local");
    copyFileSync(realpathSync(join(ROOTS, "node", `node-${node}`)), join(local, "bin/node"));
    const npm = dirname(
      dirname(realpathSync(execFileSync("sh", ["-c", "command -v npm"], { encoding: "utf8" }).trim())),
    );
    mkdirSync(join(local, "lib/node_modules"), { recursive: true });
    execFileSync("cp", ["-rL", npm, join(local, "lib/node_modules/npm")]);
    for (const name of ["npm", "npx"])
      symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, "bin", name));
    mkdirSync(join(this.folder, HOME));
    chownSync(join(this.folder, HOME), USER_ID, USER_ID);
  }

  /** Copies a file into the user's home, or a folder in it. */
  give(path: string, folder = ""): void {
    const parent = join(this.folder, HOME, folder);
    mkdirSync(parent, { recursive: true });
    const copy = join(parent, basename(path));
    copyFileSync(path, copy);
    for (const each of [parent, copy]) chownSync(each, USER_ID, USER_ID);
  }

  /** Runs a script of sh as the user, and returns all that it writes. @throws Error with that when the script fails */
  run(script: string): string {
    const path = `${HOME}/.npm/bin:/usr/local/bin:/usr/bin:/bin`;
    const clean = [
      "/usr/bin/env",
      "-i",
      `HOME=${HOME}`,
      `PATH=${path}`,
      "LANG=C.UTF-8",
      "sh",
      "-euc",
      `cd; exec 2>&1; ${script}`,
    ];
    // Not in its place: the system's first process has to be one that ends with this one, and does not when it changes its user.
    const enter = `mount -t proc proc "$1/proc"; ${OWN_DEVICES}; root=$1; shift; chroot --userspec="$0:$0" "$root" "$@"`;
    const words = [
      "--mount",
      "--pid",
      "--net",
      "--fork",
      "--kill-child",
      "sh",
      "-euc",
      enter,
      String(USER_ID),
      this.folder,
    ];
    const { status, stdout, stderr } = spawnSync("unshare", [...words, ...clean], {
      encoding: "utf8",
      timeout: LIMIT_MS,
      killSignal: "SIGKILL",
    });
    if (status !== 0) throw new Error(`${script}: ended with ${status}\n${stdout}${stderr}`);
    return stdout;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}
