import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const DAEMON = ["/usr/sbin/libvirtd", "/usr/bin/libvirtd"].find((path) => existsSync(path));
/** nobody: libvirt's session mode is for users that are not root. */
const NOBODY = 65534;

/** Why tests with a real libvirt are left out; false when they are not. */
export const NEEDS_LIBVIRT =
  DAEMON !== undefined && existsSync("/usr/bin/virsh") ? false : "there is no libvirt-daemon and libvirt-clients";

/** A libvirt daemon of our own in session mode. */
export interface LibvirtSession {
  /** Where it, and who it runs as, may write. */
  readonly folder: string;
  /** The URI of its QEMU driver. */
  readonly uri: string;
  /** The URI of its test driver. */
  readonly testUri: string;
  /** Runs virsh on its QEMU driver. */
  virsh(...args: string[]): string;
  /** Makes a file that the daemon can use. */
  give(path: string): void;
  /**
   * Keeps a connection to the test driver open while it is used: its domains are made for the first connection, and go with
   * the last.
   */
  holdTest(use: () => Promise<void>): Promise<void>;
  /** Ends it, as a crash would. */
  kill(): Promise<void>;
}

/** Starts a libvirt daemon, and ends it with its domains when the test is done. */
export async function withLibvirt(use: (session: LibvirtSession) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-virt-"));
  const isRoot = process.getuid?.() === 0;
  const give = (path: string) => {
    if (isRoot) chownSync(path, NOBODY, NOBODY);
  };
  chmodSync(folder, 0o755);
  for (const name of ["run", "config", "cache", "data", "disks"]) {
    mkdirSync(join(folder, name));
    give(join(folder, name));
  }
  give(folder);
  writeFileSync(join(folder, "libvirtd.conf"), `log_outputs="3:file:${folder}/log"\n`);
  const as = isRoot ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"] : [];
  const [program, ...args] = [...as, DAEMON!, "-f", join(folder, "libvirtd.conf")];
  const daemon = spawn(program!, args, {
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      ...{ PATH: process.env.PATH, HOME: folder, LC_ALL: "C", XDG_RUNTIME_DIR: join(folder, "run") },
      ...{ XDG_CONFIG_HOME: join(folder, "config"), XDG_CACHE_HOME: join(folder, "cache") },
      ...{ XDG_DATA_HOME: join(folder, "data") },
    },
  });
  let stderr = "";
  daemon.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const socket = join(folder, "run/libvirt/libvirt-sock");
  const uri = `qemu+unix:///session?socket=${socket}`;
  const virsh = (...command: string[]) =>
    execFileSync("virsh", ["-c", uri, "-q", ...command], { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
  const kill = async () => {
    if (daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = once(daemon, "exit");
    daemon.kill("SIGKILL");
    await ended;
  };
  try {
    for (;;) {
      if (daemon.exitCode !== null)
        throw new Error(`libvirtd ended: ${stderr}${readFileSync(join(folder, "log"), "utf8")}`);
      if (existsSync(socket) && canList(virsh)) break;
      await sleep(50);
    }
    const testUri = `test+unix:///default?socket=${socket}`;
    const holdTest = (run: () => Promise<void>) => holdConnection(testUri, run);
    await use({ folder, uri, testUri, virsh, give, holdTest, kill });
  } finally {
    if (daemon.exitCode === null && daemon.signalCode === null) {
      for (const name of virsh("list", "--name").split("\n").filter(Boolean)) virsh("destroy", name);
    }
    await kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function holdConnection(uri: string, use: () => Promise<void>): Promise<void> {
  const holder = spawn("virsh", ["-c", uri, "-q"], { stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(holder, "exit");
  holder.stdin.write("uri\n");
  try {
    await once(holder.stdout, "data");
    await use();
  } finally {
    holder.stdin.end();
    await ended;
  }
}

function canList(virsh: (...args: string[]) => string): boolean {
  try {
    virsh("list");
    return true;
  } catch {
    return false;
  }
}

/** Describes a domain for TCG with a disk, and its serial port in a file. */
export function describeDomain(name: string, disk: string, serial: string): string {
  return `<domain type='qemu'><name>${name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
    <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
      <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${disk}'/><target dev='hda' bus='ide'/></disk>
      <serial type='file'><source path='${serial}'/><target port='0'/></serial><video><model type='vga'/></video>
    </devices></domain>`;
}
