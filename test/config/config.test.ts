import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { getProjectFolder } from "../../src/config/folders";
import { ConfigError } from "../../src/config/errors";
import { findNearestName } from "../../src/config/nearest-name";
import { splitQuotedWords } from "../../src/config/quoted-words";
import { SANDBOXED, TRUSTED } from "../../src/config/script-permissions";
import { loadConfig } from "../../src/config/rebox-config";

const folder = mkdtempSync(join(tmpdir(), "rebox-config-"));
const file = join(folder, "pyrebox.conf");
after(() => rmSync(folder, { recursive: true }));

function load(...lines: string[]) {
  writeFileSync(file, lines.join("\n"));
  return loadConfig(file);
}

function refuse(lines: string[], line: number | undefined, problem: RegExp) {
  assert.throws(
    () => load(...lines),
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.line, line);
      assert.match(error.message, line === undefined ? /^\/.*pyrebox\.conf: / : new RegExp(`pyrebox\\.conf:${line}: `));
      assert.match(error.message, problem);
      return true;
    },
  );
}

describe("pyrebox.conf, as PyREBox's own looks", () => {
  test("is understood: modules in order, case kept, : and =, comments, the other sections", () => {
    const config = load(
      "# a comment",
      "[MODULES]",
      "scripts.zeta: True ; trailing",
      "scripts.Alpha = no",
      "; another",
      "mw_monitor.interproc : YES",
      "[VOL]",
      "profile: WinXPSP3x86",
      "[AGENT]",
      "name: win_agent.exe",
      "conf: agent/win.conf",
      "[SYMBOL_CACHE]",
      "path: /tmp/symbols.json",
    );
    assert.deepEqual(
      config.modules.map(({ name, enabled, line }) => [name, enabled, line]),
      [
        ["scripts.zeta", true, 3],
        ["scripts.Alpha", false, 4],
        ["mw_monitor.interproc", true, 6],
      ],
    );
    assert.equal(config.volatilityProfile, "WinXPSP3x86");
    assert.deepEqual(config.warnings.map(String), [
      `${file}:9: warning: [AGENT] has no effect: no agent runs in the guest: files are read from its disks, rebox investigate asks questions, and rebox analyze executes programs`,
      `${file}:12: warning: [SYMBOL_CACHE] has no effect: symbols come out of the guest's memory each time, and facts about kernels are kept by their build id without a setting`,
    ]);
  });

  test("says what scripts may do: folders are relative to the file, * is trusted, none is nothing", () => {
    const config = load(
      "[PERMISSIONS]",
      "scripts.a: fs:results, net, fs: /tmp/x",
      "b = *",
      "scripts.c: none",
      "d: child_process",
    );
    assert.deepEqual(
      config.permissions.map(({ name, permissions, line }) => [name, permissions, line]),
      [
        ["scripts.a", { ...SANDBOXED, folders: [join(folder, "results"), "/tmp/x"], net: true }, 2],
        ["b", TRUSTED, 3],
        ["scripts.c", SANDBOXED, 4],
        ["d", { ...SANDBOXED, childProcess: true }, 5],
      ],
    );
    assert.deepEqual(config.warnings, []);
  });

  test("refuses a permission that does not exist, with the nearest one", () => {
    refuse(["[PERMISSIONS]", "a: nte"], 2, /"nte" is no permission \(did you mean net\?\)/);
    refuse(["[PERMISSIONS]", "a: net, *"], 2, /"\*", which stands alone/);
    refuse(["[PERMISSIONS]", "a: fs"], 2, /did you mean fs:FOLDER/);
    refuse(["[PERMISSIONS]", "a:"], 2, /has no value/);
    refuse(["[PERMISSIONS]", "scripts/a.ts: net"], 2, /such as scripts\.a/);
  });

  test("says which investigations start with the guest, where their files are, and whether answers are masked", () => {
    const none = load("");
    assert.deepEqual(
      [none.investigations, none.investigationConfig, none.hasPrivateInvestigations],
      [[], undefined, false],
    );
    const config = load("[INVESTIGATIONS]", "start: fswatch, procwatch,", "  mine", "conf: cfg", "private: Yes");
    assert.deepEqual(
      [config.investigations, config.investigationConfig, config.hasPrivateInvestigations, config.warnings],
      [["fswatch", "procwatch", "mine"], join(folder, "cfg"), true, []],
    );
    refuse(["[INVESTIGATIONS]", "private: perhaps"], 2, /"private" is "perhaps"; it must be one of true/);
  });

  test("accepts every spelling of a switch", () => {
    const words = ["True", "yes", "ON", "1", "False", "No", "off", "0"];
    const config = load("[MODULES]", ...words.map((word, index) => `m${index}: ${word}`));
    assert.deepEqual(
      config.modules.map((module) => module.enabled),
      [true, true, true, true, false, false, false, false],
    );
  });

  test("may have a byte order mark and Windows line ends", () => {
    writeFileSync(file, "\uFEFF[MODULES]\r\nscripts.a: True\r\n\r\n[QEMU]\r\nargs = -m 1\r\n");
    const config = loadConfig(file);
    assert.equal(config.modules[0]?.name, "scripts.a");
    assert.deepEqual(config.qemuArgs, ["-m", "1"]);
  });

  test("may be empty", () => {
    const config = load("");
    assert.deepEqual(config.modules, []);
    assert.equal(config.qemuArgs, undefined);
    assert.equal(config.callbackLimitMs, undefined);
  });
});

describe("[QEMU] args", () => {
  test("are split like a shell's words, over indented lines, with comments between", () => {
    const config = load(
      "[QEMU]",
      'args = -m 512 -append "console=ttyS0 a;b #c"',
      "   # why the next one is needed",
      "   -drive 'file=/x y.img,if=virtio'   ; the disk",
      "\t-name ''",
      "",
      "[REBOX]",
      "callback_limit_ms = 250",
    );
    const drive = ["-drive", "file=/x y.img,if=virtio"];
    assert.deepEqual(config.qemuArgs, ["-m", "512", "-append", "console=ttyS0 a;b #c", ...drive, "-name", ""]);
    assert.equal(config.callbackLimitMs, 250);
  });

  test("that are empty mean no arguments, not a missing setting", () => {
    assert.deepEqual(load("[QEMU]", "args =").qemuArgs, []);
  });

  test("with an open quote are refused on the line of the quote", () => {
    refuse(["[QEMU]", "args = -m 1", '  -append "abc'], 3, /"args": the " before "abc" is not closed/);
  });
});

describe("a wrong line of pyrebox.conf is refused with its place and what to write:", () => {
  const cases: [name: string, lines: string[], line: number | undefined, problem: RegExp][] = [
    [
      "a switch that is none",
      ["[MODULES]", "", "scripts.a: maybe"],
      3,
      /"scripts\.a" is "maybe".*true, yes, on, 1, false/,
    ],
    ["a switch without a value", ["[MODULES]", "scripts.a:"], 2, /has no value; give it one of true/],
    ["a path instead of a name", ["[MODULES]", "./scripts/a.ts: True"], 2, /such as scripts\.a$|with dots/],
    ["a key outside any section", ["args = 1"], 1, /before any section.*\[MODULES\]/],
    ["a line without a delimiter", ["[MODULES]", "scripts.a"], 2, /has no value; write "key: value"/],
    ["a value without a key", ["[VOL]", "= x"], 2, /without a key/],
    ["an unclosed header", ["[MODULES"], 1, /not a section header/],
    ["text behind a header", ["[MODULES] x"], 1, /not a section header/],
    ["a limit of zero", ["[REBOX]", "callback_limit_ms: 0"], 2, /whole number of milliseconds from 1 to 3600000/],
    ["a limit with a unit", ["[REBOX]", "callback_limit_ms: 5s"], 2, /"callback_limit_ms" is "5s"/],
    ["a limit that is huge", ["[REBOX]", "callback_limit_ms: 99999999999999999999"], 2, /from 1 to 3600000/],
    ["a module indented below another", ["[MODULES]", "scripts.a: True", "  scripts.b: True"], 3, /indented line/],
    ["a binary file", ["[MODULES]\0"], undefined, /not a text file/],
  ];
  for (const [name, lines, line, problem] of cases) test(name, () => refuse(lines, line, problem));

  test("a missing file, a folder", () => {
    assert.throws(() => loadConfig(join(folder, "none.conf")), /none\.conf: there is no such file/);
    assert.throws(() => loadConfig(folder), /this is a folder/);
  });
});

describe("a probable mistake in pyrebox.conf is a warning with its place:", () => {
  const warningsOf = (...lines: string[]) => load(...lines).warnings.map(String);

  test("an unknown section, with the nearest one", () => {
    assert.match(warningsOf("", "[MODULS]", "a: 1")[0] ?? "", /pyrebox\.conf:2: warning: .*\[MODULS\].*mean MODULES\?/);
  });

  test("an unknown key, with the nearest one, or with all", () => {
    assert.match(warningsOf("[QEMU]", "arg: 1")[0] ?? "", /:2: .*"arg" in \[QEMU\] is ignored; did you mean args\?/);
    assert.match(warningsOf("[VOL]", "whatever: 1")[0] ?? "", /:2: .*known here: profile, command/);
  });

  test("a section with the name of an object's own property", () => {
    assert.match(warningsOf("[constructor]", "a: 1")[0] ?? "", /unknown section \[constructor\]/);
  });

  test("a key that is set twice; the later one wins", () => {
    const config = load("[MODULES]", "a: True", "a: False", "[VOL]", "profile: x", "profile: y");
    assert.deepEqual(config.modules, [{ name: "a", enabled: false, line: 3 }]);
    assert.equal(config.volatilityProfile, "y");
    assert.match(String(config.warnings[0]), /:3: .*set twice; this line wins over line 2/);
    assert.match(String(config.warnings[1]), /:6: .*line 5/);
  });
});

test("the shipped pyrebox.conf is valid and has no warnings", () => {
  const config = loadConfig(join(getProjectFolder(), "pyrebox.conf"));
  assert.deepEqual(config.warnings, []);
});

test("words are split as a shell splits them", () => {
  assert.deepEqual(splitQuotedWords(`a\\ b "c 'd' \\" \\\\ \\n" 'e "f" \\'g"h"`), [
    "a b",
    `c 'd' " \\ \\n`,
    'e "f" \\gh',
  ]);
  assert.deepEqual(splitQuotedWords("   "), []);
  assert.throws(() => splitQuotedWords("a\\"), /backslash/);
});

test("only a name that is near counts as a typing error", () => {
  assert.equal(findNearestName("profil", ["profile", "path"]), "profile");
  assert.equal(findNearestName("zzzzzz", ["profile", "path"]), undefined);
});
