import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { ByteBudget } from "../../src/guest/artefacts/byte-budget";
import { hashCached } from "../../src/guest/artefacts/hash-cached";
import { type ExecutedProgram, type HashOutcome, type NumberedProgram, ProgramNumbers, type SeenProgram } from "../../src/guest/artefacts/program-numbers"; // prettier-ignore

const PIECE = 64 << 10;
/** A budget that nothing comes back into. */
const makeBudget = (most: number) => new ByteBudget(most, 0, () => 0);

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describe("hashing a program out of memory", () => {
  test("takes what it reads out of the budget, and has the hash of the whole file", () => {
    const bytes = Buffer.alloc(3 * PIECE + 5, "program");
    const budget = makeBudget(bytes.length + 7);
    const overlay = (at: number, piece: Uint8Array): number => bytes.copy(piece, 0, at, at + piece.length);
    assert.deepEqual(hashCached(bytes.length, overlay, false, budget), { sha256: hashOf(bytes) });
    assert.deepEqual([budget.has(8), budget.has(7)], [false, true]);
  });

  test("takes next to nothing for a large file that is not in memory", () => {
    const budget = makeBudget(1 << 30);
    for (let times = 0; times < 100; times++)
      assert.equal(
        hashCached(1 << 30, () => 0, false, budget),
        "not cached",
      );
    assert.ok(budget.has(1 << 30));
    // Of one whose first piece is there in part, that part.
    assert.equal(
      hashCached(1 << 30, () => 4096, false, budget),
      "not cached",
    );
    assert.ok(budget.has((1 << 30) - 4096) && !budget.has((1 << 30) - 4095));
  });

  test("reads nothing of a file that the budget is too small for, and takes nothing for it", () => {
    const budget = makeBudget(PIECE);
    let reads = 0;
    assert.equal(
      hashCached(PIECE + 1, () => reads++, true, budget),
      "refused",
    );
    assert.deepEqual([reads, budget.has(PIECE)], [0, true]);
    // Holes of a file that is in memory alone are hashed, so they cost what they have.
    assert.deepEqual(
      hashCached(PIECE, () => 0, true, budget),
      { sha256: hashOf(Buffer.alloc(PIECE)) },
    );
    assert.equal(budget.has(1), false);
  });

  test("says how much there was", () => {
    assert.equal(new ByteBudget(512 << 20, 4 << 20).toString(), "512 MiB at once, and 4 MiB in each second");
  });
});

describe("the number of a program", () => {
  const see =
    (outcome: HashOutcome, facts: Partial<SeenProgram> = {}) =>
    () => {
      return { path: "/tmp/x", size: 1, isSettled: true, outcome, ...facts };
    };
  const make = (most?: number) => {
    const told: ExecutedProgram[] = [];
    const numbers = new ProgramNumbers({ programs: 0 }, (program) => told.push(program), most);
    return { told, numbers };
  };
  const REFUSED: HashOutcome = { refused: "too much" };
  const never = (): SeenProgram => assert.fail("it is known");

  test("is one for each content, which is hashed once", () => {
    const { told, numbers } = make();
    assert.equal(numbers.note("a", see({ sha256: "1" })), 1);
    assert.equal(numbers.note("b", see({ left: "too large" })), 2);
    assert.deepEqual([numbers.note("a", never), numbers.note("b", never)], [1, 2]);
    assert.deepEqual(told, [{ program: 1, path: "/tmp/x", size: 1, sha256: "1" }, { program: 2, path: "/tmp/x", size: 1, left: "too large" }]); // prettier-ignore
  });

  test("stays when it was too much for now: the next execution has its hash", () => {
    const { told, numbers } = make();
    assert.deepEqual([numbers.note("a", see(REFUSED)), numbers.note("a", see(REFUSED))], [1, 1]);
    assert.deepEqual(told.map(({ left }) => left), ["too much"]); // prettier-ignore
    assert.equal(numbers.note("a", see({ sha256: "1" })), 1);
    assert.equal(numbers.note("a", never), 1);
    assert.equal(told.at(-1)!.sha256, "1");
  });

  test("is known while its disk is still to be read, which is tried again when it could not be", () => {
    const { told, numbers } = make();
    const waiting: NumberedProgram[] = [];
    const outcome: HashOutcome = { wait: (program) => waiting.push(program) };
    assert.deepEqual([numbers.note("a", see(outcome)), numbers.note("a", never)], [1, 1]);
    numbers.finish(waiting[0]!, { left: "too much" }, false);
    assert.equal(numbers.note("a", see(outcome)), 1);
    numbers.finish(waiting[1]!, { sha256: "1" });
    assert.equal(numbers.note("a", never), 1);
    assert.deepEqual(told.map(({ sha256, left }) => sha256 ?? left ?? "later"), ["later", "too much", "1"]); // prettier-ignore
  });

  test("of two programs at one path is not the same, also when both had changed just before and were not hashed", () => {
    const { numbers } = make();
    const unsettled = { isSettled: false };
    for (const outcome of [{ left: "it is too large" }, REFUSED]) {
      const [one, other] = ["a", "b"].map((key) => numbers.note(`${key} ${JSON.stringify(outcome)}`, see(outcome, unsettled))); // prettier-ignore
      assert.notEqual(one, other);
    }
    // Where the content is known, that decides.
    const [first, again, changed] = [["c", "1"], ["d", "1"], ["d", "2"]].map(([key, sha256]) => numbers.note(key!, see({ sha256: sha256! }, unsettled))); // prettier-ignore
    assert.equal(first, again);
    assert.notEqual(first, changed);
  });

  test("is given to so many, however fast a file changes", () => {
    const { numbers } = make(3);
    const given = ["a", "b", "c"].map((key) => numbers.note(key, see(REFUSED, { isSettled: false })));
    assert.deepEqual([...given, numbers.note("d", never)], [1, 2, 3, undefined]);
  });
});
