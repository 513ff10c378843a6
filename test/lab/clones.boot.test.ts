import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findLeft, recordOf } from "../kit/lab/analyze-run";
import { analyzeOnHost, BRIDGE, NEEDS_BRIDGE, NEEDS_NETWORKS } from "../kit/lab/host-namespace";
import { runMixedAnalyses } from "../kit/lab/mixed-analyses";
import { withDebian } from "../kit/lab/ready-debian";

describe(
  "analyses of clones of a real Debian succeed with each way in and network, and leave nothing behind",
  { skip: NEEDS_NETWORKS },
  () => {
    test("one after the other", () => runMixedAnalyses(10, 1));

    test("ten at once", () => runMixedAnalyses(10, 10));
  },
);

test("a clone on a bridge reaches what is there, and its device goes with it", { skip: NEEDS_BRIDGE }, async () => {
  await withDebian(["way_in: guest-agent"], async (lab) => {
    const target = lab.write(
      "target.py",
      '#!/usr/bin/python3\nimport urllib.request\npage = urllib.request.urlopen("http://10.0.2.2/page").read()\nexit(42 if page == b"from the host\\n" else 1)\n',
    );
    const { status, stdout, stderr } = analyzeOnHost(
      lab,
      "--machine",
      "office",
      "--network",
      BRIDGE,
      "--target",
      target,
    );
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.equal(recordOf(lab).reason, "the target ended with status 42");
    assert.deepEqual([recordOf(lab).network!.network, recordOf(lab).network!.isOpen], ["bridge:br-test", true]);
    assert.doesNotMatch(stdout, /tap\d/, "the bridge has no device any more");
    assert.deepEqual(findLeft(lab), []);
  });
});
