import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { GuestPlace } from "../../src/guest/disks/guest-files";
import { isWanted, makeCheck } from "../../src/guest/disks/search/file-check";
import { LineMatcher } from "../../src/guest/disks/search/line-matcher";

/** REBOX_TEST_CHECKS=100000 takes a minute. */
const RUNS = Number(process.env.REBOX_TEST_CHECKS ?? 1_000);
const NOW_NS = 1_700_000_000_000_000_000n;

const place = (size: number, modifiedNs: bigint): GuestPlace =>
  ({ path: "/a", facts: { size, mode: 0o100644, modifiedNs } }) as unknown as GuestPlace;

/** Any text, and texts that are nearly right. */
const text = (letters: string) =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .tuple(fc.constantFrom("", "<", ">"), fc.nat(3000), fc.constantFrom(...letters))
        .map((all) => all.join("")),
    },
    { weight: 2, arbitrary: fc.string({ maxLength: 6, unit: fc.constantFrom(..."<>019kmgtdh-. ") }) },
    { weight: 1, arbitrary: fc.string({ maxLength: 6 }) },
  );

/** Splits a text into its sign, number and unit, letter by letter; undefined when it has another form. */
function split(value: string): [string, bigint, string] | undefined {
  const letters = [...value];
  const sign = letters[0] === "<" || letters[0] === ">" ? letters.shift()! : "";
  const digits: string[] = [];
  while (letters.length > 0 && "0123456789".includes(letters[0]!)) digits.push(letters.shift()!);
  return digits.length === 0 || letters.length > 1 ? undefined : [sign, BigInt(digits.join("")), letters[0] ?? ""];
}

test(`${RUNS} generated sizes and ages are read, or refused, by one rule, and each file is wanted as it says`, () => {
  const sizes = new Map(["", "k", "m", "g", "t"].map((unit, power) => [unit, 1024n ** BigInt(power)]));
  const ages = new Map(Object.entries({ m: 60n, h: 3600n, d: 86400n }));
  fc.assert(
    fc.property(text("kmgt1"), text("dhm1"), fc.nat(5_000_000), fc.nat(200_000_000), (size, age, bytes, secondsAgo) => {
      const parts = split(size);
      const unit = parts && sizes.get(parts[2]);
      if (size === "" || !parts || unit === undefined) {
        assert.throws(() => makeCheck("size", size, false, NOW_NS), /is no size|empty size/);
      } else {
        const border = parts[1] * unit;
        for (const one of [BigInt(bytes), border, border + 1n, border - 1n].filter((value) => value >= 0n)) {
          const wanted: boolean = parts[0] === "<" ? one <= border : parts[0] === ">" ? one >= border : one === border;
          assert.equal(makeCheck("size", size, false, NOW_NS).fits!(place(Number(one), 0n)), wanted, `${size} ${one}`);
        }
      }
      const when = split(age);
      const seconds = when && ages.get(when[2]);
      if (age === "" || !when || when[0] === "" || seconds === undefined) {
        assert.throws(() => makeCheck("mtime", age, false, NOW_NS), /is no age|empty mtime/);
      } else {
        const limit = when[1] * seconds;
        for (const ago of [BigInt(secondsAgo), limit + 1n, limit - 1n]) {
          const wanted: boolean = when[0] === "<" ? ago < limit : ago > limit;
          if (ago === limit) continue;
          const file = place(0, NOW_NS - ago * 1_000_000_000n);
          assert.equal(makeCheck("mtime", age, false, NOW_NS).fits!(file), wanted, `${age} ${ago}`);
        }
      }
    }),
    { numRuns: RUNS },
  );
});

test(`${RUNS} generated files answer checks of their lines alike, in whatever pieces they come`, () => {
  const content = fc.string({ maxLength: 40, unit: fc.constantFrom(..."ab\n\r\nxé") });
  const pattern = fc.constantFrom("a", "^b", "x$", "^$", "^a*$", "é", "!a", "!^b", "!é");
  fc.assert(
    fc.property(content, pattern, fc.boolean(), fc.boolean(), fc.array(fc.integer({ min: 1, max: 9 })), (...given) => {
      const [all, value, isMacroal, isMismatch, cuts] = given;
      const check = makeCheck("content", value, isMismatch, NOW_NS);
      const matcher = new LineMatcher([check], isMacroal);
      let rest = Buffer.from(all);
      for (const cut of [...cuts, Infinity]) {
        if (rest.length === 0) break;
        matcher.push(rest.subarray(0, cut));
        rest = rest.subarray(cut);
      }
      // The line behind the last end of line is one only when something is in it.
      const lines = all
        .split("\n")
        .map((line, index, list) => (index < list.length - 1 ? line.replace(/\r$/, "") : line));
      if (lines.at(-1) === "") lines.pop();
      const isInverse = value.startsWith("!");
      const expression = new RegExp(isInverse ? value.slice(1) : value);
      const hits = lines.filter((line) => expression.test(line)).length;
      const matches = isMacroal && !isInverse ? lines.length > 0 && hits === lines.length : hits > 0;
      matcher.end();
      const answer = matcher.matches.get(check);
      assert.equal(isWanted(check, answer!), (matches !== isInverse) !== isMismatch, JSON.stringify([all, value]));
    }),
    { numRuns: RUNS },
  );
});
