import assert from "node:assert/strict";
import { test } from "node:test";
import { runDocument } from "../kit/documents/run-document";
import { defaultKit } from "../kit/guests/guest-kits";

/** Takes out what is different each time: counts of instructions that nobody has chosen, addresses, sizes, folders. */
function normalize(text: string): string {
  return text
    .replace(/(recorded|instruction|of) (?!(?:25000000[01]|100000000)\b)\d{6,}/g, "$1 COUNT")
    .replace(/in \S*(boot|intrusion) \(\d+\.\d MB\)/, "in $1 (N MB)")
    .replace(/at 0x[0-9a-f]+(, \S+)?;/g, "at ADDRESS;")
    .replace(/dd:\d+ at 0x[0-9a-f]+ kernel!\S+,/, "dd:PID at ADDRESS SYMBOL,");
}

test("docs/guides/recordings.md records, replays, goes to an instruction and back, and finds who wrote a byte", () => {
  const { kernel, initramfs } = defaultKit();
  const env = { KERNEL: kernel, INITRD: initramfs };
  const count = runDocument("docs/guides/recordings.md", { env, normalize });
  assert.equal(count, 12);
});
