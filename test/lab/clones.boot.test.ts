import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { describe, test } from "node:test";
import { findHostProblems, findNamespaceProblem } from "../../src/lab/network/network-host";
import { findLeft, recordOf } from "../kit/lab/analyze-run";
import { runMixedAnalyses } from "../kit/lab/mixed-analyses";
import { NEEDS_DEBIAN, withDebian } from "../kit/lab/ready-debian";
import { REBOX } from "../kit/project";

const lack = findHostProblems()[0] ?? findNamespaceProblem();
const skip = lack === undefined ? NEEDS_DEBIAN : `${lack.problem}: ${lack.advice}`;

const HELPERS = ["/usr/lib/qemu/qemu-bridge-helper", "/usr/libexec/qemu-bridge-helper"];
const NEEDS_BRIDGE =
  process.getuid!() === 0 && HELPERS.some((path) => existsSync(path))
    ? skip
    : "a bridge needs root, and qemu-bridge-helper of qemu-system-common";

/** A namespace with a bridge at which a server answers, in the place of a host that has one. */
const ON_BRIDGE = `set -e
mkdir -p "$FOLDER/upper/qemu" "$FOLDER/work"
echo "allow br-test" > "$FOLDER/upper/qemu/bridge.conf"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$FOLDER/upper,workdir=$FOLDER/work" /etc
ip link set lo up; ip link add br-test type bridge; ip address add 10.0.2.2/24 dev br-test; ip link set br-test up
mkdir "$FOLDER/pages"; echo "from the bridge" > "$FOLDER/pages/page"
python3 -m http.server --directory "$FOLDER/pages" --bind 10.0.2.2 80 >/dev/null 2>&1 &
server=$!
status=0
"$@" || status=$?
kill $server
ip -o link show master br-test
exit $status
`;

describe(
  "analyses of clones of a real Debian succeed with each way in and network, and leave nothing behind",
  { skip },
  () => {
    test("one after the other", () => runMixedAnalyses(10, 1));

    test("ten at once", () => runMixedAnalyses(10, 10));
  },
);

test("a clone on a bridge reaches what is there, and its device goes with it", { skip: NEEDS_BRIDGE }, async () => {
  await withDebian(["way_in: guest-agent"], async (lab) => {
    const target = lab.write(
      "target.py",
      '#!/usr/bin/python3\nimport urllib.request\npage = urllib.request.urlopen("http://10.0.2.2/page").read()\nexit(42 if page == b"from the bridge\\n" else 1)\n',
    );
    const args = ["analyze", "--lab", lab.folder, "--machine", "office", "--network", "bridge:br-test", "--target", target]; // prettier-ignore
    const { status, stdout, stderr } = spawnSync(
      "unshare",
      ["--net", "--mount", "sh", "-c", ON_BRIDGE, "sh", process.execPath, REBOX, ...args],
      { encoding: "utf8", env: { ...process.env, FOLDER: lab.path("bridge") }, timeout: 240_000 },
    );
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.equal(recordOf(lab).reason, "the target ended with status 42");
    assert.deepEqual([recordOf(lab).network!.network, recordOf(lab).network!.isOpen], ["bridge:br-test", true]);
    assert.doesNotMatch(stdout, /tap\d/, "the bridge has no device any more");
    assert.deepEqual(findLeft(lab), []);
  });
});
