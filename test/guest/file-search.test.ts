import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { FileSearch, type FileSearchQuery } from "../../src/guest/disks/search/file-search";
import { formatMode, formatTime } from "../../src/guest/disks/search/go-text";
import { searchFiles } from "../../src/guest/disks/search/search-files";
import { type MemoryFile, MemoryFiles } from "../kit/systems/memory-files";

const NOW_NS = 1_700_000_000_000_000_000n;
const DAY_NS = 86_400_000_000_000n;

const text = (content: string, more: { mode?: number; modifiedNs?: bigint } = {}): MemoryFile => ({
  content: Buffer.from(content),
  ...more,
});
const folder = (entries: Record<string, MemoryFile>): MemoryFile => ({ entries });
const digest = (algorithm: string, content: string): string => createHash(algorithm).update(content).digest("hex");

async function search(root: MemoryFile, query: Partial<FileSearchQuery>, files = new MemoryFiles(root)) {
  const one = new FileSearch("s1", { paths: ["/"], ...query }, NOW_NS);
  const findings = await searchFiles(files, [one]);
  const hits = findings.hits.get(one) ?? [];
  return { ...findings, hits, paths: hits.map(({ place }) => place.path).sort() };
}

const refuses = (query: Partial<FileSearchQuery>, message: RegExp): void => {
  assert.throws(() => new FileSearch("s1", { paths: ["/"], ...query }, NOW_NS), message);
};

describe("a search of files", () => {
  test("lists files by their path, in whichever order directories are read", async () => {
    const names = ["b", "a", "c", "B", "10", "9"];
    const make = (order: readonly string[]) =>
      folder(Object.fromEntries(order.map((name) => [`f${name}`, folder({ [`x${name}`]: text("x") })])));
    const list = async (order: readonly string[], matchlimit: number) => {
      const { hits } = await search(make(order), { names: ["^x"], options: { matchlimit } });
      return hits.map(({ place }) => place.path);
    };
    const expected = ["/f10/x10", "/f9/x9", "/fB/xB", "/fa/xa", "/fb/xb", "/fc/xc"];
    assert.deepEqual(await list(names, 0), expected);
    assert.deepEqual(await list([...names].reverse(), 0), expected);
    // Those that a limit leaves are the same, too.
    assert.deepEqual(await list(names, 3), expected.slice(0, 3));
    assert.deepEqual(await list([...names].reverse(), 3), expected.slice(0, 3));
  });

  test("finds the newest files, of those that fit or of all, and hashes no others", async () => {
    const ages = [5, 1, 4, 2, 3];
    const at = (days: number) => ({ modifiedNs: NOW_NS - BigInt(days) * DAY_NS });
    const root = folder(
      Object.fromEntries(ages.map((days) => [`f${days}`, folder({ [`x${days}`]: text(`${days}`, at(days)) })])),
    );
    const newest = async (query: Partial<FileSearchQuery>) => {
      const files = new MemoryFiles(root);
      const read = new Set<string>();
      const plain = files.read.bind(files);
      files.read = (place, ...range) => (read.add(place.path), plain(place, ...range));
      const { hits } = await search(root, query, files);
      return { read: [...read], found: hits.map(({ place, sha256 }) => `${place.path} ${sha256 ?? ""}`) };
    };
    assert.deepEqual((await newest({ options: { newest: 2 } })).found, ["/f1/x1 ", "/f2/x2 "]);
    assert.deepEqual((await newest({ names: ["[345]"], options: { newest: 2 } })).found, ["/f3/x3 ", "/f4/x4 "]);
    assert.deepEqual((await newest({ options: { newest: 9, matchlimit: 1 } })).found.length, 5);
    assert.deepEqual(await newest({ options: { newest: 1, returnsha256: true } }), {
      read: ["/f1/x1"],
      found: [`/f1/x1 ${digest("sha256", "1")}`],
    });
    const any = { names: ["x5", "x[34]"], options: { newest: 1, matchall: false } };
    assert.deepEqual((await newest(any)).found, ["/f3/x3 ", "/f5/x5 "]);
  });

  test("needs a path, which is absolute", () => {
    refuses({ paths: [] }, /at least one path/);
    refuses({ paths: ["etc"] }, /must begin with \//);
  });

  test("by size: smaller, larger and exact, in units of 1024", async () => {
    const root = folder({ small: text("x".repeat(10)), k: text("x".repeat(1024)), large: text("x".repeat(5000)) });
    const by = async (...sizes: string[]) => (await search(root, { sizes })).paths;
    assert.deepEqual(await by("<1k"), ["/k", "/small"]);
    assert.deepEqual(await by(">1k"), ["/k", "/large"]);
    assert.deepEqual(await by("1k"), ["/k"]);
    assert.deepEqual(await by("10"), ["/small"]);
    assert.deepEqual(await by("<10m"), ["/k", "/large", "/small"]);
    assert.deepEqual(await by(">1g"), []);
    for (const wrong of ["m", "<", ">", "BADSIZE", "", "10x", "-1", "1.5k"]) refuses({ sizes: [wrong] }, /size/);
  });

  test("by age: < is changed within, > is older", async () => {
    const root = folder({
      new: text("", { modifiedNs: NOW_NS - DAY_NS }),
      old: text("", { modifiedNs: NOW_NS - 100n * DAY_NS }),
    });
    assert.deepEqual((await search(root, { mtimes: ["<90d"] })).paths, ["/new"]);
    assert.deepEqual((await search(root, { mtimes: [">90d"] })).paths, ["/old"]);
    assert.deepEqual((await search(root, { mtimes: ["<25h"] })).paths, ["/new"]);
    assert.deepEqual((await search(root, { mtimes: ["<30m"] })).paths, []);
    for (const wrong of ["90d", "<90", "<d", "<90s", ""]) refuses({ mtimes: [wrong] }, /age|empty/);
  });

  test("by mode, as Go prints it", async () => {
    const root = folder({ plain: text("", { mode: 0o100644 }), setuid: text("", { mode: 0o104755 }) });
    assert.deepEqual((await search(root, { modes: ["^u"] })).paths, ["/setuid"]);
    assert.deepEqual((await search(root, { modes: ["^-rw-r--r--$"] })).paths, ["/plain"]);
    refuses({ modes: ["("] }, /no regular expression/);
  });

  test("by every hash, and a wrong length is an error", async () => {
    const root = folder({ it: text("content"), other: text("something else") });
    const hashes = [
      ...[["md5", "md5"] as const, ["sha1", "sha1"] as const],
      ...(["sha256", "sha384", "sha512"] as const).map((name) => ["sha2", name] as const),
      ...(["sha3-224", "sha3-256", "sha3-384", "sha3-512"] as const).map((name) => ["sha3", name] as const),
    ];
    for (const [kind, algorithm] of hashes) {
      const value = digest(algorithm, "content");
      assert.deepEqual((await search(root, { [kind]: [value] })).paths, ["/it"], algorithm);
      assert.deepEqual((await search(root, { [kind]: [value.toUpperCase()] })).paths, ["/it"], algorithm);
      refuses({ [kind]: [value.slice(1)] }, /hexadecimal digits/);
      refuses({ [kind]: [`${value.slice(1)}g`] }, /hexadecimal digits/);
    }
  });

  test("wants match XOR inverse XOR mismatch: all eight rows", async () => {
    for (const [match, inverse, mismatch, wanted] of [
      [true, true, true, true],
      [true, true, false, false],
      [true, false, true, false],
      [true, false, false, true],
      [false, true, true, false],
      [false, true, false, true],
      [false, false, true, true],
      [false, false, false, false],
    ]) {
      const root = folder({ [match ? "yes" : "no"]: text(match ? "yes\n" : "no\n") });
      const value = `${inverse ? "!" : ""}^yes$`;
      for (const [kind, key] of [
        ["name", "names"],
        ["content", "contents"],
      ] as const) {
        const found = await search(root, { [key]: [value], options: { mismatch: mismatch ? [kind] : [] } });
        assert.equal(found.paths.length, wanted ? 1 : 0, `${kind}: ${match} ${inverse} ${mismatch}`);
      }
    }
    refuses({ names: ["a"], options: { mismatch: ["nonsense"] } }, /nonsense/);
  });

  test("with macroal wants every line, and none for an inverse: all four rows, without and with it", async () => {
    const root = folder({ all: text("a1\na2\n"), some: text("a1\nb\n"), none: text("b\nc\n"), empty: text("") });
    const by = async (content: string, macroal: boolean) =>
      (await search(root, { contents: [content], options: { macroal } })).paths;
    assert.deepEqual(await by("^a", true), ["/all"]);
    assert.deepEqual(await by("!^a", true), ["/empty", "/none"]);
    assert.deepEqual(await by("^a", false), ["/all", "/some"]);
    assert.deepEqual(await by("!^a", false), ["/empty", "/none"]);
  });

  test("with matchall finds what fits all checks once, with matchany each check's files", async () => {
    const root = folder({ ab: text("b"), a: text("c"), b: text("b") });
    const query = { names: ["^a"], contents: ["b"] };
    assert.deepEqual((await search(root, query)).paths, ["/ab"]);
    const any = await search(root, { ...query, options: { matchall: false } });
    const told = any.hits.map(({ place, check }) => `${check?.kind} ${place.path}`).sort();
    assert.deepEqual(told, ["content /ab", "content /b", "name /a", "name /ab"]);
  });

  test("says which of several checks no file fits", async () => {
    const root = folder({ ab: text("b"), a: text("c") });
    const unmet = async (query: Partial<FileSearchQuery>) => {
      const one = new FileSearch("s1", { paths: ["/"], ...query }, NOW_NS);
      await searchFiles(new MemoryFiles(root), [one]);
      return one.listUnmet().map(({ kind, value }) => `${kind} ${value}`);
    };
    assert.deepEqual(await unmet({ names: ["^a", "^x", "^y"] }), ["name ^x", "name ^y"]);
    assert.deepEqual(await unmet({ names: ["^ab$"], contents: ["b", "nothing"] }), ["content nothing"]);
    // Nothing was read, so that nothing is said of contents.
    assert.deepEqual(await unmet({ names: ["^x"], contents: ["nothing"] }), ["name ^x"]);
    assert.deepEqual(await unmet({ names: ["^ab$", "^a$"] }), []);
  });

  test("tells exactly matchlimit hits, 1000 without one, all for 0", async () => {
    const names = Array.from({ length: 1100 }, (_, index) => [`f${index}`, text("")] as const);
    const root = folder({ sub: folder(Object.fromEntries(names)) });
    const by = async (options: NonNullable<FileSearchQuery["options"]>) =>
      (await search(root, { names: ["f"], options })).paths.length;
    assert.equal(await by({ matchlimit: 7 }), 7);
    assert.equal(await by({}), 1000);
    assert.equal(await by({ matchlimit: 0 }), 1100);
    assert.equal(await by({ matchlimit: 3, matchall: false }), 3);
  });

  test("goes no deeper than maxdepth directories", async () => {
    const root = folder({ f1: text(""), a: folder({ f2: text(""), b: folder({ f3: text("") }) }) });
    const by = async (maxdepth: number) => (await search(root, { names: ["f"], options: { maxdepth } })).paths;
    assert.deepEqual(await by(1), ["/f1"]);
    assert.deepEqual(await by(2), ["/a/f2", "/f1"]);
    assert.deepEqual(await by(0), ["/a/b/f3", "/a/f2", "/f1"]);
  });

  test("follows links to files, and neither to directories nor to nothing nor around in circles", async () => {
    const root = folder({
      real: folder({ f: text("here") }),
      tofile: { target: "/real/f" },
      todir: { target: "/real" },
      dangling: { target: "/nowhere" },
      loop: { target: "/loop" },
    });
    const found = await search(root, { contents: ["here"] });
    assert.deepEqual(found.paths, ["/real/f", "/tofile"]);
    assert.equal(found.openFailed, 2);
    assert.match(found.errors.join("\n"), /ERROR: \/dangling/);
    assert.match(found.errors.join("\n"), /ERROR: \/loop: .*more than 40/);
    const direct = await search(root, { paths: ["/todir", "/tofile"], contents: ["here"] });
    assert.deepEqual(direct.paths, ["/real/f"]);
    assert.deepEqual(direct.errors, ["warning: /todir is a link to /real and was not followed"]);
  });

  test("takes a link to what the kernel makes for no error, and says so where it was asked for by name", async () => {
    const root = folder({ mtab: { target: "/proc/self/mounts" }, f: text("here") });
    const found = await search(root, { contents: ["here"] });
    assert.deepEqual([found.paths, found.errors, found.openFailed], [["/f"], [], 0]);
    const direct = await search(root, { paths: ["/mtab"], contents: ["here"] });
    assert.equal(direct.openFailed, 0);
    assert.match(direct.errors.join("\n"), /^warning: \/mtab is a link to what the guest's kernel makes/);
  });

  test("tells of a path that is not there, and goes on", async () => {
    const found = await search(folder({ f: text("") }), { paths: ["/nothing", "/"], names: ["f"] });
    assert.deepEqual(found.paths, ["/f"]);
    assert.deepEqual(found.errors, ["ERROR: open /nothing: no such file or directory"]);
  });

  test("looks at a file once, however many paths and searches lead there", async () => {
    const files = new MemoryFiles(folder({ etc: folder({ inner: folder({ f: text("x") }), g: text("x") }) }));
    const paths = ["/etc", "/etc/inner", "/etc/inner/f", "/etc/../etc/", "//etc"];
    const searches = [
      new FileSearch("a", { paths, contents: ["x"] }, NOW_NS),
      new FileSearch("b", { paths: ["/etc/inner"], contents: ["x"] }, NOW_NS),
      new FileSearch("c", { paths: ["/etc"], md5: [digest("md5", "x")] }, NOW_NS),
    ];
    const { hits, filesCount } = await searchFiles(files, searches);
    const told = searches.map((one) =>
      hits
        .get(one)!
        .map(({ place }) => place.path)
        .sort(),
    );
    assert.deepEqual(told, [["/etc/g", "/etc/inner/f"], ["/etc/inner/f"], ["/etc/g", "/etc/inner/f"]]);
    assert.equal(filesCount, 2);
    // One read finds the content, one the end.
    assert.deepEqual(files.reads.toSorted(), ["/etc/g", "/etc/g", "/etc/inner/f", "/etc/inner/f"]);
  });

  test("does not cover what only begins like a path", async () => {
    const root = folder({ some: folder({ f: text("") }), something: folder({ f: text("") }) });
    assert.deepEqual((await search(root, { paths: ["/some"], names: ["f"] })).paths, ["/some/f"]);
  });

  test("looks into gzip files when told to, and a corrupt one is an error", async () => {
    const root = folder({
      packed: { content: gzipSync("needle\n") },
      corrupt: { content: Buffer.concat([gzipSync("needle\n").subarray(0, 10), Buffer.alloc(20, 0xff)]) },
      plain: text("needle\n"),
    });
    const query = { contents: ["^needle$"] };
    assert.deepEqual((await search(root, query)).paths, ["/plain"]);
    const found = await search(root, { ...query, options: { decompress: true, returnsha256: true } });
    assert.deepEqual(found.paths, ["/packed", "/plain"]);
    assert.match(found.errors.join("\n"), /ERROR: \/corrupt: it cannot be unpacked/);
    assert.deepEqual(new Set(found.hits.map(({ sha256 }) => sha256)), new Set([digest("sha256", "needle\n")]));
  });

  test("finds what lies in binary files, in lines of megabytes and across pieces", async () => {
    const long = Buffer.alloc(3_000_000, "a");
    long.write("NEEDLE", 1024 * 1024 - 3);
    const binary = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0xff, 0xfe, 0x0a, 0x0d, 0x0a]);
    const split = Buffer.alloc(300_000, "b\n");
    split.write("SPLIT", 256 * 1024 - 2);
    const root = folder({ long: { content: long }, binary: { content: binary }, split: { content: split } });
    assert.deepEqual((await search(root, { contents: ["NEEDLE"] })).paths, ["/long"]);
    assert.deepEqual((await search(root, { contents: ["^\\x7fELF"] })).paths, ["/binary"]);
    assert.deepEqual((await search(root, { contents: ["^$"] })).paths, ["/binary"]);
    assert.deepEqual((await search(root, { contents: ["SPLIT"] })).paths, ["/split"]);
  });

  test("knows Unicode in names and contents, and flags as Go writes them", async () => {
    const root = folder({ "größe.txt": text("naïve\n"), 日本: text("ÄÖÜ\n") });
    assert.deepEqual((await search(root, { names: ["^größe"] })).paths, ["/größe.txt"]);
    assert.deepEqual((await search(root, { names: ["^..$"] })).paths, ["/日本"]);
    assert.deepEqual((await search(root, { contents: ["(?i)NAÏVE"] })).paths, ["/größe.txt"]);
    assert.deepEqual((await search(root, { contents: ["^[[:alpha:]]+.ve$"] })).paths, ["/größe.txt"]);
  });

  test("counts what cannot be read, claims nothing of it, and goes on", async () => {
    const root = folder({ bad: { broken: "a block is damaged" }, good: text("x") });
    const found = await search(root, { contents: ["!y"], options: { mismatch: [] } });
    assert.deepEqual(found.paths, ["/good"]);
    assert.equal(found.openFailed, 1);
    assert.deepEqual(found.errors, ["ERROR: /bad: a block is damaged"]);
  });

  test("ends when it is stopped", async () => {
    const root = folder({ f: text("x") });
    const one = new FileSearch("s1", { paths: ["/"], names: ["f"] }, NOW_NS);
    await assert.rejects(searchFiles(new MemoryFiles(root), [one], AbortSignal.abort(new Error("enough"))), /enough/);
  });
});

test("modes and times are printed as Go prints them", () => {
  assert.equal(formatMode(0o100644), "-rw-r--r--");
  assert.equal(formatMode(0o40755), "drwxr-xr-x");
  assert.equal(formatMode(0o120777), "Lrwxrwxrwx");
  assert.equal(formatMode(0o104755), "urwxr-xr-x");
  assert.equal(formatMode(0o41777), "dtrwxrwxrwx");
  assert.equal(formatMode(0o20600), "Dcrw-------");
  assert.equal(formatMode(0o60660), "Drw-rw----");
  assert.equal(formatMode(0o140755), "Srwxr-xr-x");
  assert.equal(formatMode(0o10644), "prw-r--r--");
  assert.equal(formatTime(1_700_000_000_123_000_000n), "2023-11-14 22:13:20.123 +0000 UTC");
  assert.equal(formatTime(0n), "1970-01-01 00:00:00 +0000 UTC");
  assert.equal(formatTime(-1n), "1969-12-31 23:59:59.999999999 +0000 UTC");
});
