import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findHostProblems } from "../../src/lab/network/network-host";
import { runDocument } from "../kit/documents/run-document";
import { PROJECT } from "../kit/project";

const SYSTEM = join(PROJECT, "build/system/trixie");
const lacks = [
  ...(existsSync(join(SYSTEM, "disk.qcow2")) ? [] : ["set-up has made no Debian system"]),
  ...findHostProblems().map(({ problem }) => problem),
];

function normalize(text: string): string {
  return text.replace(/\d+ MiB of changes/g, "N MiB of changes").replace(/\.py \(\d+\)/g, ".py (PID)");
}

test(
  "docs/guides/networks.md leads from a Debian disk to what a sample asked an internet that is none",
  { skip: lacks.join("; ") || false },
  () => {
    const count = runDocument("docs/guides/networks.md", {
      ...{ env: { SYSTEM }, normalize, cleanUp: [["machine", "stop", "office"]], limitMs: 540_000 },
    });
    assert.ok(count > 6, "the document has commands");
  },
);
