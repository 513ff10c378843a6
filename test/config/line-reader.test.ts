import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { describe, test } from "node:test";
import fc from "fast-check";
import { readLines } from "../../src/config/line-reader";

/** Reads a text that comes in pieces of some lengths, the last of which is used again and again. */
async function read(text: string, lengths: readonly number[], takesRest?: boolean): Promise<string[]> {
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  for (let at = 0, piece = 0; at < bytes.length; piece++) {
    const length = lengths[Math.min(piece, lengths.length - 1)]!;
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  const stream = Readable.from(pieces, { objectMode: false });
  const lines: string[] = [];
  readLines(stream, (line) => lines.push(line), takesRest);
  await finished(stream);
  return lines;
}

const character = fc.constantFrom("\n", "\r", "\u2028", "\u2029", "\u0085", "\v", "a", "é", "€", "🙂");
const lengths = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 });

describe("a stream is read as lines", () => {
  test("that line feeds end, and no other character, however it comes in pieces", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: character }), lengths, async (text, sizes) => {
        const parts = text.split("\n");
        assert.deepEqual(await read(text, sizes), parts.slice(0, -1));
        assert.deepEqual(await read(text, sizes, true), parts.at(-1) === "" ? parts.slice(0, -1) : parts);
      }),
    );
  });

  test("and what JSON leaves as it is comes back whole", async () => {
    const said = "a process\u2028of two lines\u2029and a third";
    const lines = await read(`${JSON.stringify(said)}\n`, [3]);
    assert.deepEqual(
      lines.map((line) => JSON.parse(line) as unknown),
      [said],
    );
  });
});
