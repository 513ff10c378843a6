import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runDocument } from "../kit/documents/run-document";
import { PROJECT } from "../kit/project";

/** A Debian 13 with systemd; set-up leaves it out where there is no mmdebstrap. */
const SYSTEM = join(PROJECT, "build/system/trixie");
const skip = existsSync(join(SYSTEM, "disk.qcow2")) ? false : "set-up has made no Debian system";

/** Takes out what is different each time: seconds, numbers of events, sizes of changes, dates. */
function normalize(text: string): string {
  return text
    .replace(/\d+\.\d s, \d+ events/g, "TIME")
    .replace(/\d+ MiB of changes/g, "N MiB of changes")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "DATE");
}

test("docs/guides/ready-machines.md leads from a Debian disk to a report", { skip }, () => {
  const count = runDocument("docs/guides/ready-machines.md", {
    ...{ env: { SYSTEM }, normalize, cleanUp: [["machine", "stop", "office"]], limitMs: 540_000 },
  });
  assert.ok(count > 8, "the document has commands");
});
