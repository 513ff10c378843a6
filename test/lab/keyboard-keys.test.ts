import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { getKeys } from "../../src/lab/ways/keyboard-keys";
import { typeScript } from "../../src/lab/ways/guest-shell";

describe("keys of a keyboard", () => {
  test("are those of QEMU's names, with shift and control where the character needs them", () => {
    assert.deepEqual(getKeys("aZ1! _\r\x03"), [
      ["a"],
      ["shift", "z"],
      ["1"],
      ["shift", "1"],
      ["spc"],
      ["shift", "minus"],
      ["ret"],
      ["ctrl", "c"],
    ]);
    assert.deepEqual(getKeys(`"'$~|`), [
      ["shift", "apostrophe"],
      ["apostrophe"],
      ["shift", "4"],
      ["shift", "grave_accent"],
      ["shift", "backslash"],
    ]);
  });

  test("are different for each character that can be typed", () => {
    const all = Array.from({ length: 0x7e - 0x20 + 1 }, (_, index) => String.fromCharCode(0x20 + index));
    assert.equal(new Set(all.map((char) => getKeys(char)[0]!.join("-"))).size, all.length);
  });

  test("are there for every script, however it is written, as it is typed at a shell", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (script) => {
        const { lines, run } = typeScript(script, ["r1", "b1"]);
        for (const { line } of lines) getKeys(`${line}\r`);
        getKeys(`${run}\r`);
      }),
    );
  });

  test("are not there for others: the message names the character", () => {
    assert.throws(() => getKeys("caf\u00e9"), /"\u00e9" cannot be typed on the guest's keyboard/);
  });
});
