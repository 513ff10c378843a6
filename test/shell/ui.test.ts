import assert from "node:assert/strict";
import { test } from "node:test";
import type { LineAnswer } from "../../src/shell/line/line-runner";
import { divideScreen, PANE_NAMES } from "../../src/shell/ui/layout";
import { TimeLine } from "../../src/shell/ui/time-line";
import { renderLine, renderEnd, wrapLine, wrapLines } from "../../src/shell/ui/styled-line";
import { ConsolePane } from "../../src/shell/ui/panes/console-pane";
import { ConsoleText } from "../../src/shell/ui/console-text";

test("no text of the guest becomes a code of the terminal, or takes more cells than it has", () => {
  // Control characters of both sets, a surrogate pair, a wide character, a combining one, one that turns the direction.
  const evil = "\x1b[2J\x1b]0;t\x07\x9b2J\x00\r\n\t\x7f{red-fg}\u{1f600}\u4e00e\u0301\u202e";
  for (const style of ["bold", "reverse", "changed", "current", "dim"] as const) {
    const line = renderLine(["a", { text: evil, style }, evil], 1000);
    // eslint-disable-next-line no-control-regex -- codes are made of control characters
    const rest = line.replace(/^a\x1b\[[0-9;]+m/, "").replace("\x1b[m", "");
    assert.match(rest, /^[\x20-\x7e]+$/);
    assert.ok(rest.includes("\\x1b[2J") && rest.includes("\\x9b2J") && rest.includes("{red-fg}??e?"), rest);
  }
  for (let width = 0; width < 40; width++) {
    // eslint-disable-next-line no-control-regex -- codes are made of control characters
    const shown = renderLine([evil, { text: evil, style: "bold" }], width).replace(/\x1b\[[0-9;]*m/g, "");
    assert.ok(shown.length <= width);
  }
  assert.equal(renderLine(["Grüße, Привет"], 80), "Grüße, Привет");
});

test("the panes cover the screen of every size without overlapping, and each has its place", () => {
  for (const isZoomed of [false, true]) {
    for (let width = 1; width <= 220; width += 3) {
      for (let height = 3; height <= 80; height++) {
        const slots = divideScreen(width, height, isZoomed);
        assert.deepEqual(slots.flatMap(({ panes }) => panes).toSorted(), [...PANE_NAMES].toSorted());
        const owners = new Map<string, number>();
        slots.forEach((slot, index) => {
          assert.ok(slot.top >= 1 && slot.top + slot.height <= height - 1, `${width} x ${height}`);
          assert.ok(slot.left >= 0 && slot.left + slot.width <= width && slot.width > 0, `${width} x ${height}`);
          for (const row of [slot.top, slot.top + slot.height - 1]) {
            for (const column of [slot.left, slot.left + slot.width - 1]) {
              const key = `${row} ${column}`;
              assert.ok([undefined, index].includes(owners.get(key)), `${width} x ${height}: ${key}`);
              owners.set(key, index);
            }
          }
        });
      }
    }
  }
});

test("a line of time takes one row of every size, which the panes leave free", () => {
  for (let height = 4; height <= 60; height++) {
    const [without, slots] = [divideScreen(150, height - 1, false), divideScreen(150, height, false, true)];
    assert.deepEqual(slots, without.map((slot) => ({ ...slot, top: slot.top + 1 }))); // prettier-ignore
    assert.ok(slots.every(({ top }) => top >= 2));
  }
});

test("the line of time shows where a replay is, with what lies before and behind it, in every width", () => {
  const line = new TimeLine();
  line.receive([{ error: "timeline needs a replay" } as LineAnswer]);
  assert.equal(line.isShown, false);
  const data = {
    ...{ instructions: 500, of: 1000, furthest: 799, states: [0, 250], places: [100], hits: [300, 999] },
    marks: [{ name: "intrusion", count: 600 }],
  };
  line.receive([{ data } as unknown as LineAnswer]);
  assert.equal(line.isShown, true);
  const render = (width: number) => line.render(width).map((span) => (typeof span === "string" ? span : span.text)).join(""); // prettier-ignore
  assert.equal(render(53), " =---o-----=-x-------@---i-------.......x 500 of 1000");
  for (let width = 1; width <= 200; width++) {
    const shown = render(width);
    assert.ok(shown.length <= width, `${width}: ${shown}`);
    assert.ok(shown.includes("@") || width < 34, `${width}: ${shown}`);
  }
});

test("the console obeys what edits a line, and drops every other sequence, however it is cut into pieces", () => {
  const text =
    "one\r\nabc\b\bX\r\nlong line\rLO\x1b[K\r\n\x1b[31mred\x1b[0m \x1b]0;title\x07\x1bP1$r\x1b\\\x1b(Bend\x1b[6n\r\nt\tx\x07";
  const expected = ["one", "aXc", "LO", "red end", "t       x"];
  for (let size = 1; size < text.length; size++) {
    const terminal = new ConsoleText();
    for (let at = 0; at < text.length; at += size) terminal.write(text.slice(at, at + size));
    assert.deepEqual(terminal.lines, expected, `pieces of ${size}`);
  }
  const endless = new ConsoleText();
  for (let turn = 0; turn < 100_000; turn++) endless.write("\x1b]0;never ends\n\x1b[9999999999C");
  assert.ok(endless.lines.length <= 5000);
  assert.ok(endless.lines.every((line) => line.length <= 1000));
});

test("long lines are continued in the next row, and the end is shown", () => {
  const size = { width: 4, height: 3 };
  assert.deepEqual(renderEnd(["a", "abcdefghij"], size, 0), ["abc\u00bb", "def\u00bb", "ghij"]);
  assert.deepEqual(renderEnd(["a", "abcdefghij"], size, 1), ["a", "abc\u00bb", "def\u00bb"]);
  assert.deepEqual(renderEnd([], size, 0), []);
});

test("lines break between words, and a word stays whole where it fits", () => {
  const row = "0xffffffff81234560  0x1f  T  kernel  security_file_permission";
  assert.deepEqual(wrapLines([row], 50), ["0xffffffff81234560  0x1f  T  kernel", "security_file_permission"]);
  assert.deepEqual(wrapLines(["one two", "", "    deeper"], 8), ["one two", "", "deeper"]);
  // A longer word is cut with a mark, and nothing of it is lost.
  assert.deepEqual(wrapLines(["a abcdefghij b"], 5), ["a", "abcd\u00bb", "efgh\u00bb", "ij b"]);
  assert.deepEqual(wrapLines(["abc"], 1), ["a", "b", "c"]);
  for (let width = 1; width < 40; width++) {
    for (const line of [row, " ".repeat(100), "x".repeat(100), `  ${"ab ".repeat(30)}`, ""]) {
      const rows = wrapLine(line, width);
      assert.ok(rows.length > 0 && rows.every(({ text }) => text.length <= width), `${width}: ${line}`);
      const letters = rows.map(({ text }) => text.replace(/[ \u00bb]/g, "")).join("");
      assert.equal(letters, line.replaceAll(" ", ""));
    }
  }
});

test("the cursor of the console is where the guest has it, in a line that is continued", () => {
  const pane = new ConsolePane();
  pane.isConnected = true;
  pane.add("login as root");
  assert.deepEqual(pane.findCursor({ width: 10, height: 5 }), { row: 1, column: 4 });
  assert.deepEqual(pane.findCursor({ width: 13, height: 5 }), { row: 0, column: 12 });
  pane.add("\b\b\b\b\b\b");
  assert.deepEqual(pane.findCursor({ width: 10, height: 5 }), { row: 0, column: 7 });
});
