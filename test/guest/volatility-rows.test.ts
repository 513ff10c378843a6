import assert from "node:assert/strict";
import { test } from "node:test";
import { findPlugin } from "../../src/guest/volatility/find-plugin";
import { parseUnloaded } from "../../src/guest/volatility/volatility-program";
import { parseVolatilityRows } from "../../src/guest/volatility/volatility-rows";

test("whole numbers of columns of addresses are addresses with all bits of the kernel's half, and long ones keep their digits", () => {
  const text = `[{"Offset": 140737488355328, "End": 4096, "PID": 1, "Count": 18446744073709551615, "__children": []},
    {"Offset": null, "End": 140737488355327, "PID": 2, "Count": 7, "__children": []}]`;
  const rows = parseVolatilityRows(text, 64).map(({ Offset, End, PID, Count }) => [Offset, End, PID, Count]);
  // 2 to the 47 is the lowest address of the upper half, without its upper 16 bits.
  assert.deepEqual(rows, [
    [0xffff800000000000n, 4096n, 1, 0xffffffffffffffffn],
    [null, 0x7fffffffffffn, 2, 7n],
  ]);
  assert.deepEqual(parseVolatilityRows('[{"Offset": 3221225472}]', 32)[0]?.["Offset"], 0xc0000000n);
});

test("texts stay as they are, whatever a guest has put into them, and a tree stays one", () => {
  const name = 'comma, 12345678901234567890 "quoted \\ NaN -Infinity [1]\u0000';
  const text = JSON.stringify([
    { Name: name, Start: "12345678901234567890", __children: [{ Name: "below", Start: "" }] },
  ]);
  const [row] = parseVolatilityRows(text, 64);
  assert.deepEqual([row?.["Name"], row?.["Start"]], [name, "12345678901234567890"]);
  assert.deepEqual(
    row?.__children.map((child) => child["Name"]),
    ["below"],
  );
  assert.deepEqual(parseVolatilityRows('[{"Ratio": NaN, "Other": -Infinity}]', 64)[0]?.["Ratio"], null);
});

test("what is no list of rows is refused", () => {
  for (const text of ["", "{}", "[1]", "[[]]", '[{"a": 1}', '[{"__children": 5}]', "[null]"]) {
    assert.throws(() => parseVolatilityRows(text, 64), { name: "VolatilityError", reason: "output" }, text);
  }
});

test("a plugin is found by as much of its name as is clear, those for Linux first", () => {
  const names = [
    "linux.pslist.PsList",
    "windows.pslist.PsList",
    "linux.proc.Maps",
    "linux.check_syscall.Check_syscall",
  ];
  names.push(
    "linux.malware.check_syscall.Check_syscall",
    "linux.malware.hooks.One",
    "linux.malware.hooks.Two",
    "mac.bash.Bash",
  );
  const plugins = names.map((name) => ({ name, description: "" }));
  const find = (name: string): string => findPlugin(name, plugins).name;
  for (const name of ["linux.pslist.PsList", "linux.pslist", "pslist", "PsList"]) assert.equal(find(name), names[0]);
  assert.equal(find("windows.pslist"), names[1]);
  assert.equal(find("proc.Maps"), names[2]);
  assert.equal(find("check_syscall"), names[3]);
  assert.equal(find("malware.check_syscall"), names[4]);
  assert.equal(find("bash"), "mac.bash.Bash");
  assert.throws(() => find("hooks"), /may be linux\.malware\.hooks\.One or linux\.malware\.hooks\.Two/);
  assert.throws(() => find("linux.pslisst"), /no plugin "linux\.pslisst"; did you mean linux\.pslist\?/);
  assert.throws(() => find("-h"), /no plugin "-h"/);
  assert.throws(() => find("pslisst"), /no plugin "pslisst"; did you mean linux\.pslist\?/);
});

test("Volatility's help says which plugins it cannot load, however its lines are broken", () => {
  const head = "Plugins:\n    linux.pslist.PsList\n\nThe following plugins could not be loaded (use -vv to see why):";
  const [first, second] = ["volatility3.plugins.linux.vmayarascan,", "volatility3.plugins.yarascan"];
  for (const help of [`${head} ${first} ${second}`, `${head}\n${first}\n${second}\n`]) {
    assert.deepEqual(parseUnloaded(help), ["linux.vmayarascan", "yarascan"]);
  }
  assert.deepEqual(parseUnloaded("Plugins:\n    linux.pslist.PsList\n"), []);
});

test("a plugin that Volatility cannot load is named as that, and nothing far away is proposed", () => {
  const plugins = ["linux.psscan.PsScan", "linux.pslist.PsList"].map((name) => ({ name, description: "" }));
  const unloaded = ["linux.vmayarascan", "yarascan"];
  for (const name of ["yarascan", "yarascan.YaraScan"]) {
    assert.throws(() => findPlugin(name, plugins, unloaded), /cannot load its plugin yarascan: it needs a package/);
  }
  assert.throws(() => findPlugin("vmayarascan", plugins, unloaded), /cannot load its plugin linux\.vmayarascan/);
  assert.throws(() => findPlugin("yarascan", plugins), /no plugin "yarascan"; list_vol_commands lists them$/);
});
