import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeProfile } from "../../src/cli/profile/make-profile";
import { UsageError } from "../../src/cli/errors";
import { parseIsfProfile } from "../../src/systems/symbols/isf/isf";
import { getPlace } from "../../src/systems/symbols/member-path";
import { ProfileError } from "../../src/systems/errors";
import { parseProfile } from "../../src/systems/symbols/profile-file";
import { checkProfile, findProfile, readProfile, resolveProfile } from "../../src/systems/symbols/profile-store";
import { REBOX } from "../kit/project";

const BANNER = "Linux version 9.9.9-test (someone@somewhere) #1 SMP";
const HAS_PAHOLE = spawnSync("pahole", ["--version"]).status === 0;
const WITHOUT_PAHOLE = HAS_PAHOLE ? false : "there is no pahole: apt install dwarves";

/** A "kernel": the names that a profile needs, and a struct of which the compiler says where its members are. */
const KERNEL = `
  #include <stddef.h>
  #include <stdio.h>
  struct inner { char text[16]; union { int number; void *pointer; }; };
  struct task_struct { char state; unsigned flag : 1; unsigned level : 3; struct inner inner[3]; struct task_struct *next;
                       enum mood { SAD = -2, GLAD = 7 } mood; };
  const char linux_banner[] = "${BANNER}\\n";
  struct task_struct init_task;
  int _text(void) { return init_task.mood; }
  int main(void) {
    printf("%zu %zu %zu %zu %zu\\n", sizeof(struct task_struct), offsetof(struct task_struct, inner[2].text),
           offsetof(struct task_struct, inner[1].pointer), offsetof(struct task_struct, next),
           offsetof(struct task_struct, mood));
    return _text();
  }
`;

let folder: string;
let kernel: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-profile-"));
  kernel = join(folder, "vmlinux");
  writeFileSync(join(folder, "kernel.c"), KERNEL);
  // DWARF 4, which every pahole reads; not position-independent, as a kernel.
  execFileSync("gcc", ["-gdwarf-4", "-no-pie", "-Wl,--build-id", "-o", kernel, join(folder, "kernel.c")]);
});
after(() => rmSync(folder, { recursive: true, force: true }));

test("a profile made of a kernel's debug information has its types and symbols", { skip: WITHOUT_PAHOLE }, () => {
  const { content, buildId, banner } = makeProfile(kernel);
  const profile = parseProfile(content, "test.profile");
  assert.equal(banner, BANNER);
  assert.equal(profile.banner, BANNER);
  assert.equal(buildId, /Build ID: (\w+)/.exec(execFileSync("readelf", ["-n", kernel], { encoding: "utf8" }))?.[1]);
  assert.equal(profile.buildId, buildId);
  const [size, text, pointer, next, mood] = execFileSync(kernel, { encoding: "utf8" }).trim().split(" ").map(Number);
  const offset = (path: string): number => getPlace(profile.types, "task_struct", path).offset;
  assert.equal(profile.types.findCompound("task_struct")?.size, size);
  assert.deepEqual(["inner[2].text", "inner[1].pointer", "next", "mood"].map(offset), [text, pointer, next, mood]);
  assert.deepEqual(
    [...(profile.types.findEnum("mood")?.values ?? [])],
    [
      ["SAD", -2n],
      ["GLAD", 7n],
    ],
  );
  const nm = execFileSync("nm", [kernel], { encoding: "utf8" });
  for (const name of ["_text", "init_task", "linux_banner"]) {
    assert.equal(profile.symbols.findAddress(name), BigInt(`0x${new RegExp(`^(\\w+) . ${name}$`, "m").exec(nm)![1]}`));
  }
});

test("a profile is found by build id, by banner and by its name in the configuration", { skip: WITHOUT_PAHOLE }, () => {
  const { content, buildId } = makeProfile(kernel);
  const kept = join(folder, "kept");
  mkdirSync(kept);
  writeFileSync(join(kept, `${buildId}.profile`), content);
  const other = { buildIds: ["00".repeat(20)], banner: "Linux version 1.0" };
  assert.equal(findProfile({ buildIds: ["11".repeat(20), buildId!], banner: "" }, kept)?.buildId, buildId);
  assert.equal(findProfile({ buildIds: [], banner: BANNER }, kept)?.buildId, buildId);
  assert.equal(findProfile(other, kept), undefined);
  assert.equal(findProfile(other, join(kept, "nowhere")), undefined);
  assert.equal(resolveProfile(`${buildId}.profile`, kept), join(kept, `${buildId}.profile`));
  assert.equal(resolveProfile("missing", kept), join(kept, "missing"));
  const profile = readProfile(join(kept, `${buildId}.profile`));
  checkProfile(profile, { buildIds: [buildId!], banner: "Linux version 9.9.9-test, built elsewhere" });
  assert.throws(() => checkProfile(profile, other), /a profile of "Linux version 9\.9\.9-test .*but the guest is/);
});

test("the command writes a profile where it is found later, or where it is told to", { skip: WITHOUT_PAHOLE }, () => {
  const env = { ...process.env, XDG_DATA_HOME: join(folder, "data") };
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [REBOX, "profile", ...args], { encoding: "utf8", env });
  const first = run(kernel);
  assert.equal(first.status, 0, first.stderr);
  const path = first.stdout.split(":")[0]!;
  assert.match(path, /data\/rebox\/profiles\/[0-9a-f]{40}\.profile$/);
  const second = run(kernel, "-o", join(folder, "own.profile"));
  assert.equal(second.status, 0, second.stderr);
  assert.deepEqual(readFileSync(join(folder, "own.profile")), readFileSync(path));
});

test("a file without a kernel's debug information is refused, with advice on what to name instead", () => {
  assert.throws(() => makeProfile(join(folder, "nowhere")), UsageError);
  assert.throws(() => makeProfile(join(folder, "kernel.c")), /no ELF file.*name the vmlinux of the debug package/s);
  assert.throws(() => makeProfile("/usr/bin/gcc"), /not a Linux kernel with symbols/);
  const broken = join(folder, "broken.deb");
  writeFileSync(broken, "no package");
  assert.throws(() => makeProfile(broken), /no debug package of a kernel/);
});

/** By Volatility 3's schema 6.2.0, with what dwarf2json writes: anonymous members, bit-fields, unnamed types. */
const ISF = {
  metadata: { producer: { name: "test", version: "1" }, format: "6.2.0" },
  base_types: {
    pointer: { size: 8, signed: false, kind: "int", endian: "little" },
    "unsigned int": { size: 4, signed: false, kind: "int", endian: "little" },
    int: { size: 4, signed: true, kind: "int", endian: "little" },
    char: { size: 1, signed: true, kind: "char", endian: "little" },
    void: { size: 0, signed: false, kind: "void", endian: "little" },
    _Bool: { size: 1, signed: false, kind: "bool", endian: "little" },
  },
  user_types: {
    task_struct: {
      kind: "struct",
      size: 64,
      fields: {
        comm: { offset: 8, type: { kind: "array", count: 16, subtype: { kind: "base", name: "char" } } },
        unnamed_field_24: { offset: 24, anonymous: true, type: { kind: "union", name: "unnamed_1a2b" } },
        flag: {
          offset: 32,
          type: { kind: "bitfield", bit_length: 3, bit_position: 5, type: { kind: "base", name: "unsigned int" } },
        },
        next: { offset: 40, type: { kind: "pointer", subtype: { kind: "struct", name: "task_struct" } } },
        gone: { offset: 48, type: { kind: "pointer", subtype: { kind: "struct", name: "nowhere" } } },
        mood: { offset: 56, type: { kind: "enum", name: "mood" } },
      },
    },
    unnamed_1a2b: {
      kind: "union",
      size: 8,
      fields: {
        number: { offset: 0, type: { kind: "base", name: "int" } },
        call: { offset: 0, type: { kind: "pointer", subtype: { kind: "function" } } },
      },
    },
  },
  enums: { mood: { size: 4, base: "int", constants: { SAD: -2, GLAD: 7 } } },
  symbols: {
    linux_banner: {
      address: 42,
      type: { kind: "array", count: 64, subtype: { kind: "base", name: "char" } },
      constant_data: Buffer.from(`${BANNER}\n\0`).toString("base64"),
    },
    init_task: { address: 43, type: { kind: "struct", name: "task_struct" } },
  },
};
/** JSON.stringify cannot write a number of 64 bits. */
const ISF_TEXT = JSON.stringify(ISF).replace('"address":43', '"address": 18446744071588061249');

test("an ISF file has types and symbols, with every digit of an address", () => {
  const { types, symbols, banner } = parseIsfProfile(ISF_TEXT, "test.json");
  assert.equal(banner, BANNER);
  assert.equal(types.pointerSize, 8);
  assert.equal(symbols.findAddress("init_task"), 18446744071588061249n);
  assert.equal(symbols.findSymbol(18446744071588061250n)?.name, "init_task");
  const place = (path: string) => getPlace(types, "task_struct", path);
  assert.deepEqual(
    [place("comm").offset, place("comm").type.size, place("comm[3]").offset, place("number").offset],
    [8, 16, 11, 24],
  );
  assert.deepEqual([place("flag").offset, place("flag").bit, place("flag").bitSize], [32, 5, 3]);
  const { type } = place("next");
  assert.equal(type.kind === "pointer" && type.target, types.findCompound("task_struct"));
  const gone = place("gone").type;
  assert.deepEqual(gone.kind === "pointer" && gone.target, { kind: "incomplete", name: "nowhere", size: 0 });
  assert.deepEqual(
    [...(types.findEnum("mood")?.values ?? [])],
    [
      ["SAD", -2n],
      ["GLAD", 7n],
    ],
  );
  assert.deepEqual([...types.compoundNames()], ["task_struct"]);
  assert.equal(types.findCompound("constructor"), undefined);
  assert.throws(() => getPlace(types, "task_struct", "missing"), /task_struct has no member missing in test\.json/);
});

test("an ISF file may be packed with xz", () => {
  const path = join(folder, "test.json");
  writeFileSync(path, ISF_TEXT);
  execFileSync("xz", ["--keep", path]);
  assert.equal(readProfile(`${path}.xz`).symbols.findAddress("linux_banner"), 42n);
  assert.equal(readProfile(path).banner, BANNER);
});

test(
  "a file that is no profile, or a damaged one, is a ProfileError that names the file",
  { skip: WITHOUT_PAHOLE },
  () => {
    const path = join(folder, "damaged");
    const { content } = makeProfile(kernel);
    const end = content.indexOf(10);
    const damaged = [
      Buffer.from("no profile"),
      Buffer.from("{}"),
      Buffer.from("null"),
      content.subarray(0, content.length - 20),
      content.subarray(0, end + 1),
      Buffer.concat([
        Buffer.from(content.subarray(0, end).toString().replace('"bits":64', '"bits":63')),
        content.subarray(end),
      ]),
      Buffer.concat([
        Buffer.from(
          content
            .subarray(0, end)
            .toString()
            .replace(/"btfSize":\d+/, '"btfSize":1e9'),
        ),
        content.subarray(end),
      ]),
      Buffer.from(JSON.stringify({ ...ISF, symbols: null })),
    ];
    for (const bytes of damaged) {
      writeFileSync(path, bytes);
      assert.throws(
        () => readProfile(path),
        (error) => error instanceof ProfileError && error.message.startsWith(path),
        bytes.toString("latin1", 0, 100),
      );
    }
    assert.throws(() => readProfile(join(folder, "nowhere.json")), /nowhere\.json: there is no such file/);
    assert.throws(() => readProfile(join(folder, "nowhere.json.xz")), /nowhere\.json\.xz: /);
  },
);
