import { spawnSync } from "node:child_process";
import { accessSync, closeSync, constants, existsSync, openSync } from "node:fs";
import { delimiter, join } from "node:path";
import { getBuiltFolder } from "../../config/folders";

const TUN = "/dev/net/tun";
/** The files of INetSim's package; a lab may have others in their place. */
export const INETSIM_DATA = "/usr/share/inetsim/data";

/** The programs that a simulated network needs, each with its Debian package. */
const PROGRAMS: ReadonlyMap<string, string> = new Map([
  ["unshare", "util-linux"],
  ["mount", "mount"],
  ["ip", "iproute2"],
  ["nft", "nftables"],
  ["dnsmasq", "dnsmasq-base"],
  ["inetsim", "inetsim"],
  ["openssl", "openssl"],
]);

/** Where Debian keeps the programs of administrators; the paths of other users do not lead there. */
const ADMINISTRATION = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

const TRY_LIMIT_MS = 10_000;

/** Returns the environment's PATH with the programs of administrators. */
export function getProgramPath(): string {
  return [...(process.env.PATH ?? "/usr/bin:/bin").split(delimiter), ...ADMINISTRATION].join(delimiter);
}

/** Something that this host lacks for simulated networks. */
export interface HostProblem {
  readonly problem: string;
  readonly advice: string;
}

/** Finds what this host lacks for simulated networks, without starting anything. */
export function findHostProblems(): HostProblem[] {
  const folders = getProgramPath().split(delimiter);
  const missing = [...PROGRAMS].filter(([name]) => !folders.some((folder) => isProgram(join(folder, name))));
  const found: HostProblem[] = [];
  if (missing.length > 0) {
    const packages = [...new Set(missing.map(([, name]) => name))].join(" ");
    found.push({
      problem: `missing: ${missing.map(([name]) => name).join(", ")}`,
      advice: `apt-get install ${packages}, or npm run setup -- --for test`,
    });
  }
  const launcher = join(getBuiltFolder("network"), "tap_launcher");
  if (!existsSync(launcher)) {
    found.push({ problem: `${launcher} is not built`, advice: "build it: npm run setup" });
  }
  const tun = findTunProblem();
  if (tun !== undefined) found.push(tun);
  return found;
}

/** Has this host make the namespaces of a simulated network, and returns why it does not. */
export function findNamespaceProblem(): HostProblem | undefined {
  const reasons = getNamespaceOptions().map((options) => {
    const { status, stderr, error } = spawnSync("unshare", [...options, "true"], {
      ...{ encoding: "utf8", timeout: TRY_LIMIT_MS, env: { ...process.env, PATH: getProgramPath() } },
    });
    return status === 0 ? undefined : (error?.message ?? stderr.trim()) || `exit status ${status}`;
  });
  if (reasons.includes(undefined)) return undefined;
  return { problem: `namespaces cannot be made: ${reasons.join("; ")}`, advice: NAMESPACE_ADVICE };
}

/** The advice for a host that forbids namespaces. */
export const NAMESPACE_ADVICE =
  "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces above 0, " +
  "kernel.apparmor_restrict_unprivileged_userns=0), or run rebox as root";

/** Returns the options of unshare(1) for the namespaces, in the order in which they are to be tried. */
export function getNamespaceOptions(): string[][] {
  // INetSim keeps its settings in shared memory of one name: two would overwrite each other's (IPC::Shareable).
  const own = ["--net", "--mount", "--ipc", "--pid", "--fork", "--kill-child=KILL"];
  const asUser = ["--user", "--map-root-user", ...own];
  // Root needs no user namespace, and a host may forbid them.
  return process.getuid?.() === 0 ? [own, asUser] : [asUser];
}

function findTunProblem(): HostProblem | undefined {
  try {
    closeSync(openSync(TUN, "r+"));
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENODEV" || code === "ENXIO") {
      return {
        problem: `${TUN} is not there`,
        advice: "load the module: modprobe tun; a container needs --device /dev/net/tun",
      };
    }
    return { problem: `${TUN} cannot be opened (${code})`, advice: `let this user open it: chmod 666 ${TUN}` };
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
