import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { takeMoment } from "../../src/config/moment";
import { appendEvent, EVENTS_FILE, readEvents } from "../../src/lab/analysis/event-log";
import { withMoment } from "../../src/lab/analysis/event-moment";
import { orderEvents } from "../../src/lab/analysis/order-events";
import { inFolder } from "../kit/in-folder";

const numbersOf = (folder: string) => [...readEvents(folder)].map(({ number }) => number);

describe("the order of events", () => {
  test("is that of the engine's moments, in whatever order they arrive", async () => {
    await inFolder((folder) => {
      const moments = Array.from({ length: 500 }, (_, number) => ({ number, moment: takeMoment() }));
      // Two observers: each tells in its own order, one of them late.
      const late = moments.filter(({ number }) => number % 3 === 0);
      const early = moments.filter(({ number }) => number % 3 !== 0);
      for (const { number, moment } of [...early, ...late]) withMoment(moment, () => appendEvent(folder, "act", { number })); // prettier-ignore
      appendEvent(folder, "of the analysis", { number: 500 });
      orderEvents(folder);
      assert.deepEqual(numbersOf(folder), [...Array(501).keys()]);
      assert.equal([...readEvents(folder)].at(-1)!.sequence, undefined);
      return Promise.resolve();
    });
  });

  test("is a permutation of the lines, sorted by time, then sequence, and stable", async () => {
    await inFolder((folder) => {
      const line = fc.record({ ms: fc.nat(3), sequence: fc.option(fc.nat(4), { nil: undefined }), pad: fc.nat(300) });
      fc.assert(
        fc.property(fc.array(line, { maxLength: 40 }), fc.boolean(), (lines, isTorn) => {
          const texts = lines.map(({ ms, sequence, pad }, number) => {
            const time = new Date(Date.UTC(2026, 0, 1, 0, 0, 0, ms)).toISOString();
            return `${JSON.stringify({ time, sequence, number, pad: "é".repeat(pad), type: "x" })}\n`;
          });
          writeFileSync(join(folder, EVENTS_FILE), texts.join("") + (isTorn ? '{"time":"2000' : ""));
          orderEvents(folder);
          const sorted = lines
            .map(({ ms, sequence = 0 }, number) => ({ key: ms * 10 + sequence, number }))
            .sort((one, other) => one.key - other.key)
            .map(({ number }) => texts[number]!);
          const expected = sorted.join("") + (isTorn ? '{"time":"2000' : "");
          assert.equal(readFileSync(join(folder, EVENTS_FILE), "utf8"), expected);
        }),
      );
      return Promise.resolve();
    });
  });

  test("leaves a line that is none behind the one before it, and no facts can take another's place", async () => {
    await inFolder((folder) => {
      const [first, second] = [takeMoment(), takeMoment()];
      withMoment(second, () => appendEvent(folder, "two", { number: 2, sequence: -5, time: "1970-01-01T00:00:00.000Z" })); // prettier-ignore
      appendFileSync(join(folder, EVENTS_FILE), "no event\n");
      withMoment(first, () => appendEvent(folder, "one", { number: 1 }));
      orderEvents(folder);
      assert.deepEqual(numbersOf(folder), [1, 2]);
      assert.match(readFileSync(join(folder, EVENTS_FILE), "utf8"), /"number":2.*\nno event\n$/);
      return Promise.resolve();
    });
  });
});
