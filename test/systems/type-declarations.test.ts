import assert from "node:assert/strict";
import { test } from "node:test";
import type { CompoundType, GuestType } from "../../src/systems/symbols/guest-type";
import { declareTypes } from "../../src/systems/symbols/type-declarations";
import type { TypeSource } from "../../src/systems/symbols/type-source";

const INT: GuestType = { kind: "integer", name: "int", size: 4, isSigned: true, meaning: "number" };

function compound(name: string, ...members: readonly [name: string, type: GuestType][]): CompoundType {
  const list = members.map(([member, type], index) => ({ name: member, type, bitOffset: index * 32, bitSize: 0 }));
  return { kind: "struct", name, size: 4 * list.length, members: list };
}

function sourceOf(...types: readonly CompoundType[]): TypeSource {
  return {
    ...{ origin: "a test", pointerSize: 8 },
    findCompound: (name) => types.find((type) => type.name === name),
    findEnum: () => undefined,
    findTypedef: () => undefined,
    enumNames: () => [],
    typedefNames: () => [],
    variables: () => [],
    compoundNames: () => types.map(({ name }) => name),
  };
}

test("names that a guest has made up put no code into the declarations", () => {
  const hostile = 'x: any; } } declare const evil: 1; /*"\n';
  const text = declareTypes(
    sourceOf(compound(hostile, ["a", INT]), compound("fine", [hostile, INT])),
    "Linux\n evil();",
  );
  assert.equal(text.split("\n").filter((line) => line.includes("evil")).length, 2);
  assert.match(text, /^\/\/ Linux\? evil\(\);\n/);
  assert.ok(text.includes(`    readonly ${JSON.stringify(hostile)}: number;\n`));
});

test("reserved words of TypeScript, and two structs of one name, get names of their own", () => {
  const other = compound("node", ["b", INT]);
  const text = declareTypes(
    sourceOf(compound("node", ["a", INT], ["other", other]), compound("string", ["a", INT])),
    "",
  );
  assert.match(text, /interface string\$ \{\n {4}readonly a: number;/);
  assert.match(text, /interface node \{\n {4}readonly a: number;\n {4}readonly other: node\$2;/);
  assert.match(text, /interface node\$2 \{\n {4}readonly b: number;/);
  assert.match(text, /^ {2}"string": ReboxGuest\.string\$;$/m);
});
