import assert from "node:assert/strict";
import { test } from "node:test";
import { Btf } from "../../src/systems/symbols/btf";
import { BtfError, MissingTypeError } from "../../src/systems/errors";
import { findPlace, getPlace } from "../../src/systems/symbols/member-path";

/** Kinds, as include/uapi/linux/btf.h numbers them. */
const [INT, POINTER, ARRAY, STRUCT, UNION, TYPEDEF, CONST] = [1, 2, 3, 4, 5, 8, 10];
const ENUM64 = 19;

/** Writes BTF by Documentation/bpf/btf.rst. Types are numbered from 1, in the order in which they are added. */
class BtfWriter {
  readonly #words: number[] = [];
  #strings = "\0";

  add(kind: number, name: string, sizeOrType: number, rest: number[] = [], vlen = 0, flag = false): this {
    this.#words.push(this.text(name), (flag ? 0x80000000 : 0) + kind * 0x1000000 + vlen, sizeOrType, ...rest);
    return this;
  }

  text(name: string): number {
    if (name === "") return 0;
    const at = this.#strings.length;
    this.#strings += `${name}\0`;
    return at;
  }

  bytes(): Uint8Array {
    const size = this.#words.length * 4;
    const bytes = Buffer.alloc(24 + size + this.#strings.length);
    bytes.writeUInt16LE(0xeb9f, 0);
    bytes.writeUInt8(1, 2);
    [24, 0, size, size, this.#strings.length].forEach((word, index) => bytes.writeUInt32LE(word, 4 + index * 4));
    this.#words.forEach((word, index) => bytes.writeUInt32LE(word >>> 0, 24 + index * 4));
    bytes.write(this.#strings, 24 + size, "latin1");
    return bytes;
  }
}

/** struct outer { unsigned int flag : 3, rest : 29; union { long a; struct { int x, y[4]; }; }; const word_t *next; } */
function example(): Uint8Array {
  const writer = new BtfWriter();
  const name = (text: string): number => writer.text(text);
  return writer
    .add(INT, "unsigned int", 4, [32])
    .add(INT, "long", 8, [0x01000040])
    .add(ARRAY, "", 0, [1, 1, 4])
    .add(STRUCT, "", 20, [name("x"), 1, 0, name("y"), 3, 32], 2)
    .add(UNION, "", 24, [name("a"), 2, 0, 0, 4, 0], 2)
    .add(TYPEDEF, "word_t", 2)
    .add(CONST, "", 6)
    .add(POINTER, "", 7)
    .add(
      STRUCT,
      "outer",
      40,
      [name("flag"), 1, 0x03000000, name("rest"), 1, 0x1d000003, 0, 5, 64, name("next"), 8, 256],
      4,
      true,
    )
    .add(ENUM64, "wide", 8, [name("BIG"), 5, 1, name("SMALL"), 7, 0], 2)
    .bytes();
}

test("members are found through anonymous structs and unions, in arrays, and as bit-fields", () => {
  const btf = new Btf(example(), 8);
  const place = (path: string): [number, number, number] => {
    const { offset, bit, bitSize } = getPlace(btf, "outer", path);
    return [offset, bit, bitSize];
  };
  assert.deepEqual(place("flag"), [0, 0, 3]);
  assert.deepEqual(place("rest"), [0, 3, 29]);
  assert.deepEqual(place("a"), [8, 0, 0]);
  assert.deepEqual(place("x"), [8, 0, 0]);
  assert.deepEqual(place("y[2]"), [20, 0, 0]);
  assert.deepEqual(place("next"), [32, 0, 0]);
  const next = getPlace(btf, "outer", "next").type;
  assert.ok(next.kind === "pointer" && next.target.kind === "integer" && next.target.isSigned);
  assert.deepEqual(
    [...(btf.findEnum("wide")?.values ?? [])],
    [
      ["BIG", 0x100000005n],
      ["SMALL", 7n],
    ],
  );
  assert.deepEqual([...btf.compoundNames()], ["outer"]);
});

test("a missing struct or member is named", () => {
  const btf = new Btf(example(), 8);
  assert.throws(() => getPlace(btf, "outer", "prev", "previous"), {
    name: "MissingTypeError",
    message: "struct outer has no member prev or previous in the kernel's BTF",
  });
  assert.throws(() => getPlace(btf, "inner", "x"), new MissingTypeError("inner", undefined, "the kernel's BTF"));
});

test("BTF that is cut off at any byte is an error, not a crash", () => {
  const bytes = example();
  for (let size = 0; size < bytes.length; size++) {
    assert.throws(() => new Btf(bytes.slice(0, size), 8), BtfError);
  }
});

test("a circle of typedefs, an array of itself and references to nowhere are errors", () => {
  const circle = new Btf(new BtfWriter().add(TYPEDEF, "a", 2).add(TYPEDEF, "b", 1).bytes(), 8);
  assert.throws(() => circle.findTypedef("a"), BtfError);
  const array = new Btf(new BtfWriter().add(ARRAY, "", 0, [1, 1, 4]).add(TYPEDEF, "t", 1).bytes(), 8);
  assert.throws(() => array.findTypedef("t"), BtfError);
  const nowhere = new Btf(new BtfWriter().add(TYPEDEF, "n", 77).bytes(), 8);
  assert.throws(() => nowhere.findTypedef("n"), BtfError);
});

test("anonymous structs that hold themselves many times over are given up soon", () => {
  const members = Array.from({ length: 200 }, () => [0, 1, 0]).flat();
  const btf = new Btf(new BtfWriter().add(STRUCT, "s", 8, members, 200).bytes(), 8);
  const type = btf.findCompound("s");
  assert.ok(type);
  const start = performance.now();
  assert.equal(findPlace(type, "nothing"), undefined);
  assert.ok(performance.now() - start < 2000);
});
