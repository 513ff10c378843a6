import assert from "node:assert/strict";
import { test } from "node:test";
import { readInstructions } from "../../modules/auxiliary/_human-instructions";

test("instructions are read in CAPE's manner, word by word", () => {
  assert.deepEqual(readInstructions("(10:20) click 500ms doubleclick  rightclick (1:2) stop"), [
    { what: "move", x: 10, y: 20 },
    { what: "click", button: "left", times: 1 },
    { what: "wait", ms: 500 },
    { what: "click", button: "left", times: 2 },
    { what: "click", button: "right", times: 1 },
    { what: "move", x: 1, y: 2 },
    { what: "stop" },
  ]);
});

test("text is typed with the keys of the United States", () => {
  const keys = readInstructions('type:"aB 1!/?" key:ctrl-alt-delete').map((act) => (act.what === "keys" ? act.keys.join("-") : act)); // prettier-ignore
  assert.deepEqual(keys, ["a", "shift-b", "spc", "1", "shift-1", "slash", "shift-slash", "ctrl-alt-delete"]);
});

for (const [text, problem] of [
  ["(10,20)", /"\(10,20\)" is no instruction/],
  ["clik", /"clik" is no instruction; they are \(x:y\), click, /],
  ["99999999ms", /"99999999ms" is no instruction/],
  ["type:ä", /there is no key for "ä"/],
  ["(1:2)click", /"\(1:2\)click" is no instruction/],
] as const) {
  test(`${text} is refused, and said to be wrong`, () => {
    assert.throws(() => readInstructions(text), problem);
  });
}
