import assert from "node:assert/strict";
import { test } from "node:test";
import { toColouredText, toPlainLine, toPlainText } from "../../src/config/terminal-text";

test("text from the guest cannot move a cursor, ring or reprogram a terminal", () => {
  assert.equal(toPlainText("a\u001b[2Jb\u0007\r\u009bc"), "a\\x1b[2Jb\\x07\\x0d\\x9bc");
  assert.equal(toPlainText("lines\nand\ttabs stay"), "lines\nand\ttabs stay");
  assert.equal(toPlainLine("one\nline\tonly"), "one\\nline\\tonly");
});

test("text from the guest cannot turn the direction of writing, with colours or without", () => {
  const turning = [0x61c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069];
  for (const code of turning) {
    const escaped = `\\u${code.toString(16).padStart(4, "0")}`;
    for (const show of [toPlainText, toPlainLine, toColouredText]) {
      assert.equal(show(`tpircs${String.fromCharCode(code)}exe.txt`), `tpircs${escaped}exe.txt`);
    }
  }
  assert.equal(toPlainText("שלום"), "שלום");
});

test("colours stay only where they are asked for", () => {
  assert.equal(toColouredText("\u001b[1;31mred\u001b[0m\u001b[2J"), "\u001b[1;31mred\u001b[0m\\x1b[2J");
  assert.equal(toPlainText("\u001b[31mred"), "\\x1b[31mred");
});
