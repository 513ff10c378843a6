import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { findHostProblems, findNamespaceProblem } from "../../../src/lab/network/network-host";
import { REBOX } from "../project";
import type { TestLab } from "./lab-run";
import { NEEDS_DEBIAN } from "./ready-debian";

const HELPERS = ["/usr/lib/qemu/qemu-bridge-helper", "/usr/libexec/qemu-bridge-helper"];
const lack = findHostProblems()[0] ?? findNamespaceProblem();

/** Why tests with a Debian in networks of namespaces are left out; false when they are not. */
export const NEEDS_NETWORKS = lack === undefined ? NEEDS_DEBIAN : `${lack.problem}: ${lack.advice}`;

/** Why tests with a bridge are left out; false when they are not. */
export const NEEDS_BRIDGE =
  process.getuid!() === 0 && HELPERS.some((path) => existsSync(path))
    ? NEEDS_NETWORKS
    : "a bridge needs root, and qemu-bridge-helper of qemu-system-common";

/** The bridge, for `--network`. */
export const BRIDGE = "bridge:br-test";

const LIMIT_MS = 240_000;

/** The namespace is in the place of a host: it has a bridge with the router's usual address, and a server of HTTP at all addresses. */
const AS_HOST = `set -e
rm -rf "$FOLDER"; mkdir -p "$FOLDER/upper/qemu" "$FOLDER/work"
echo "allow br-test" > "$FOLDER/upper/qemu/bridge.conf"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$FOLDER/upper,workdir=$FOLDER/work" /etc
ip link set lo up; ip link add br-test type bridge; ip address add 10.0.2.2/24 dev br-test; ip link set br-test up
mkdir "$FOLDER/pages"; echo "from the host" > "$FOLDER/pages/page"
python3 -m http.server --directory "$FOLDER/pages" --bind 0.0.0.0 80 >/dev/null 2>&1 &
server=$!
status=0
"$@" || status=$?
kill $server
ip -o link show master br-test
exit $status
`;

/**
 * Runs `rebox analyze` on a host of its own: a network namespace with a bridge, where `http://10.0.2.2/page` is "from the host". The
 * devices that the bridge has at the end stand in its output.
 */
export function analyzeOnHost(lab: TestLab, ...args: readonly string[]) {
  return spawnSync(
    "unshare",
    ["--net", "--mount", "sh", "-c", AS_HOST, "sh", process.execPath, REBOX, "analyze", "--lab", lab.folder, ...args],
    { encoding: "utf8", env: { ...process.env, FOLDER: lab.path("host") }, timeout: LIMIT_MS },
  );
}
