import assert from "node:assert/strict";
import { dirname } from "node:path";
import { test } from "node:test";
import { runDocument } from "../kit/documents/run-document";
import { defaultKit } from "../kit/guests/guest-kits";

/** Takes out what is different each time. */
function normalize(text: string): string {
  return text
    .replace(/since \d{4}-\d\d-\d\d/g, "since DATE")
    .replace(/samples\/[0-9a-f]{64}/g, "samples/HASH")
    .replace(/\((\d+|EVENTS) events\)/g, "(EVENTS events)");
}

test("every command of docs/guides/server.md prints what the document says", () => {
  const count = runDocument("docs/guides/server.md", {
    ...{ env: { KIT: dirname(defaultKit().kernel) }, normalize, limitMs: 240_000 },
    cleanUp: [["machine", "stop", "office"]],
  });
  assert.ok(count > 15, "the document has commands");
});
