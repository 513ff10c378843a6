import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { RecordingFolder, SUM_UP } from "../kit/guests/recording-run";
import { getShortRecording } from "../kit/lab/short-recording";
import { whyNoVolatility } from "../kit/systems/volatility-run";

const skip = whyNoVolatility();

/** Sums up RAM that was written into a file as SUM_UP does it in the guest. */
function sumDump(path: string): number {
  const { buffer, byteOffset } = readFileSync(path);
  const words = new Uint32Array(buffer, byteOffset + 0x100000, (0x10000000 - 0x100000) / 4);
  return words.reduce((sum, word) => Math.imul(sum ^ word, 0x01000193), 7);
}

test(
  "Volatility, investigations and dumps look at a moment of a replay, also after going back, and leave it as it is",
  { skip },
  async () => {
    using folder = new RecordingFolder();
    const { folder: recording, instructions: total } = await getShortRecording();
    const at = Math.floor(total * 0.97);
    const [dump, core] = [folder.place("ram.raw"), folder.place("core")];
    const answers = await folder.ask(recording, [
      ...[`goto ${at}`, "where", SUM_UP, "ps", "goto end", `goto ${at}`],
      ...["vol --timeout 200 pslist", 'investigate process {"names": ["."]}'],
      ...[`dump_memory ${dump} --format raw`, `dump_process 1 ${core}`, "where", SUM_UP, "goto end", "where"],
    ]);
    const [, place, sum, processes, , , listed, found, dumped, cored, still, sumAfter, , end] = answers;
    const shown = answers.join("\n---\n");
    assert.match(place!, new RegExp(`^instruction ${at} of ${total}`));
    assert.equal(still, place, shown);
    assert.equal(sumAfter, sum, "memory and registers behind what has looked");
    assert.match(end!, new RegExp(`^instruction ${total} of ${total}`));

    for (const name of ["init", "kthreadd"]) {
      for (const text of [processes, listed]) assert.match(text!, new RegExp(`\\b${name}\\b`), shown);
    }
    // Of what has a file; the kernel's threads have none.
    assert.match(found!, /\b1\b.*init|init.*\b1\b/s, shown);
    assert.match(dumped!, /ram\.raw/);
    assert.equal(sumDump(dump), Number(/-?\d+/.exec(sum!)?.[0]), "the dump is the guest's RAM there");
    assert.match(cored!, /MiB of memory of init \(1\)/);
    assert.equal(readFileSync(core).subarray(1, 4).toString(), "ELF");
  },
);
