import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { before, describe, test } from "node:test";
import { SLOWNESS } from "../kit/guests/guest-run";
import { CANARY, type FilesRun, lookAtFiles } from "../kit/systems/guest-files-run";
import { listKits } from "../kit/guests/guest-kits";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

const LOOK = `
  const ask = (search: object, more = {}) => investigate("file", { searches: { s: { paths: ["/mnt"], ...search } }, ...more });
  const answers: Record<string, unknown> = {
    names: await ask({ names: ["^file-1.\\\\.dat$"] }),
    canaries: await ask({ contents: [${JSON.stringify(CANARY)}], options: { returnsha256: true } }),
    packed: await ask({ contents: ["${CANARY}"], options: { decompress: true } }),
    large: await ask({ sizes: [">4097"] }),
    setuids: await ask({ modes: ["^u"] }),
    recent: await ask({ mtimes: ["<5d"] }),
    hash: await ask({ sha2: ["${sha256("number 17\n")}"] }),
    inverse: await ask({ names: ["!\\\\.dat$"], contents: ["hello"], sizes: ["<1k"] }),
    escapes: await ask({ names: ["red"] }),
    any: await ask({ names: ["first"], contents: ["escape codes"], options: { matchall: false } }),
    unmet: await ask({ names: ["^first", "^frist", "^fisrt"], contents: ["no such text"] }),
    unread: await ask({ names: ["^first"], contents: ["hello", "no such text"] }),
    apart: await ask({ names: ["^first\\\\.txt$", "^file-17\\\\.dat$"] }),
    alone: await ask({ names: ["^frist"] }),
    cut: await ask({ paths: ["/mnt/many"], names: [".", "^frist"], options: { matchall: false, matchlimit: 3 } }),
    limited: await ask({ paths: ["/mnt/many"], names: ["."], options: { matchlimit: 7 } }),
    two: await investigate("file", { searches: {
      a: { paths: ["/mnt/tree"], names: ["^first.txt$"] }, b: { paths: ["/mnt", "/nowhere"], names: ["^second.txt$"] } } }),
    links: await ask({ paths: ["/mnt/tree"], names: ["."], options: { maxdepth: 1, maxerrors: 1 } }),
    memory: await ask({ paths: ["/tmp"], contents: ["^in-memory$"] }),
    cached: await ask({ paths: ["/mnt/late"], contents: ["${CANARY}"] }, { source: "memory" }),
    disk: await ask({ paths: ["/tree"], names: ["."] }, { source: "disk", filesystem: 0 }),
    noDisk: await ask({ names: ["x"] }, { source: "disk", filesystem: 9 }),
    circles: await ask({ paths: ["/"], contents: ["x"] }, { source: "disk", filesystem: 1 }),
    damaged: await ask({ paths: ["/"], names: ["x"] }, { source: "disk", filesystem: 2 }),
    packages: await investigate("pkg", { pkgmatch: { matches: ["^ba", "^adduser$", "^half$", "^gone$"] }, root: "/mnt/system" }),
    own: await investigate("pkg", { pkgmatch: { matches: ["."] } }),
    versions: await investigate("pkg", { pkgmatch: { matches: ["."] }, vermatch: "!^5\\.", root: "/mnt/system" }),
    rpm: await investigate("pkg", { pkgmatch: { matches: ["."] }, root: "/mnt/rpm/" }),
    noPackages: await investigate("pkg", { pkgmatch: { matches: ["."] }, root: "/tmp" }),
    noMatches: await investigate("pkg", { pkgmatch: {} }),
    bad: await ask({ sizes: ["m"] }),
    label: await investigate("file", { searches: { "a b": { paths: ["/"] } } }),
    long: await investigate("file", { searches: { ["x".repeat(65)]: { paths: ["/"] } } }),
    path: await investigate("file", { searches: { s: { names: ["x"] } } }),
    wrongType: await ask({ names: "x" }),
    misspelt: await ask({ name: ["x"] }),
  };
  const rules = 'rule canary { strings: $a = "${CANARY}" condition: $a }';
  const yara = {
    found: await investigate("yara", { rules, paths: ["/mnt"], maxsize: 4_000_000 }),
    // Neither file is looked at twice, and a process only when it is asked for.
    both: await investigate("yara", { rules, paths: ["/mnt/tree", "/mnt/tree/first.txt"], names: ["/init$"] }),
    relative: await investigate("yara", { rules, paths: ["mnt"] }),
  };
  const yaraMasked = (await newRun("yara")).enhancePrivacy(yara.found);
  const yaraPrinted = (await newRun("yara")).printResults(yara.found, true);
  const run = await newRun("file");
  const printed = run.printResults(answers.canaries, false);
  const printedFound = run.printResults(answers.two, true);
  const printedEmpty = ["unmet", "unread", "apart", "alone", "cut"].flatMap((name) => run.printResults(answers[name], false));
  const maskedEmpty = run.enhancePrivacy(answers.unmet);
  const printedAny = run.printResults(answers.any, true);
  const masked = run.enhancePrivacy(answers.two);
  const parsed = run.paramsParser(["-path", "/etc", "-path", "/bin", "-name", "passwd", "-matchany", "-maxdepth=3", "-returnsha256"]);
  const refuse = (words: string[]) => { try { run.paramsParser(words); return "nothing"; } catch (error) { return error.name + ": " + error.message; } };
  const refused = [refuse(["help"]), refuse(["-nam", "x"]), refuse(["-path", "/", "-size", "m"]), refuse(["-maxdepth", "x"])];
  const lines = ["path /mnt", "size m", "done", "path /mnt", "name hello world", "done"];
  const told: string[] = [];
  const created = await (await newRun("file")).paramsCreator({ ask: async () => lines.shift(), tell: (text: string) => told.push(text) });
  const stopping = await newRun("file");
  const stopped = JSON.parse(await stopping.run((async function* () {
    yield JSON.stringify({ class: "parameters", parameters: { searches: { s: { paths: ["/"], contents: ["x"] } } } }) + "\\n";
    yield JSON.stringify({ class: "stop" }) + "\\n";
  })()));
  const blocks = await Engine.get().qmp("query-block-exports");
  return { answers, yara, yaraMasked, yaraPrinted, printed, printedFound, printedEmpty, printedAny, masked, maskedEmpty, parsed, refused, created, told, stopped, blocks };
`;

interface Answer {
  readonly success: boolean;
  readonly foundanything: boolean;
  readonly elements: Record<
    string,
    { file: string; search: Record<string, unknown>; fileinfo: Record<string, unknown> }[]
  >;
  readonly statistics: Record<string, unknown>;
  readonly errors: string[] | null;
}

for (const kit of listKits().filter(({ release }) => /^6\.(1|12)\./.test(release) && !release.includes("686"))) {
  describe(`the investigation "file" of a guest with Linux ${kit.release}`, { timeout: 240_000 * SLOWNESS }, () => {
    let run: FilesRun;
    const answer = (name: string): Answer => run.found.answers[name];
    const paths = (name: string): string[] =>
      Object.values(answer(name).elements)
        .flat()
        .map(({ file }) => file)
        .sort();
    const guestPaths = (name: string): string[] =>
      run.report
        .lines(name)
        .map((line) => line.replace(/^\./, "/mnt"))
        .sort();

    before(async () => {
      run = await lookAtFiles(kit, LOOK, { hasHostileDisks: true });
    });

    test("finds by name, content, size, mode and age what find and grep find", () => {
      assert.deepEqual(paths("names"), Array.from({ length: 10 }, (_, digit) => `/mnt/many/file-1${digit}.dat`).sort());
      // Whether grep -r follows links depends on which grep it is.
      const canaries = new Set([...guestPaths("/tmp/canaries"), "/mnt/tree/link"]);
      assert.deepEqual(paths("canaries"), [...canaries].sort());
      // find rounds sizes up to units of 1 KiB, of which more than 4 are more than 4096 bytes.
      assert.deepEqual(paths("large"), guestPaths("/tmp/large"));
      assert.deepEqual(paths("setuids"), guestPaths("/tmp/setuids"));
      assert.deepEqual(paths("recent"), guestPaths("/tmp/recent"));
      assert.ok(paths("recent").length > 300 && !paths("recent").includes("/mnt/tree/first.txt"));
    });

    test("tells the hashes that sha256sum tells, and finds by them", () => {
      const sums = new Map(
        run.report.lines("/tmp/sums").map((line) => [line.slice(66).replace(/^\./, "/mnt"), line.slice(0, 64)]),
      );
      const told = answer("canaries").elements["s"]!.filter(({ file }) => file !== "/mnt/tree/link");
      assert.ok(told.length >= 4);
      for (const { file, fileinfo } of told) assert.equal(fileinfo["sha256"], sums.get(file), file);
      assert.deepEqual(paths("hash"), ["/mnt/many/file-17.dat"]);
    });

    test("looks into gzip files", () => {
      assert.deepEqual(paths("packed"), [...paths("canaries"), "/mnt/tree/packed.gz"].sort());
    });

    test("keeps to inverse checks, matchany and the limit of hits", () => {
      assert.deepEqual(paths("inverse"), ["/mnt/tree/first.txt", "/mnt/tree/link", "/mnt/tree/second.txt"]);
      const told = answer("any").elements["s"]!.map(({ file, search }) => `${Object.keys(search).join()} ${file}`);
      assert.deepEqual(told, [
        "paths,names,options /mnt/tree/first.txt",
        "paths,contents,options /mnt/tree/\x1b[31mred\x07.txt",
      ]);
      assert.equal(answer("limited").elements["s"]!.length, 7);
      assert.equal(answer("limited").statistics["totalhits"], 7);
    });

    test("answers several searches at once, with what went wrong beside it", () => {
      const { elements, errors, success, foundanything, statistics } = answer("two");
      assert.deepEqual(
        elements["a"]!.map(({ file }) => file),
        ["/mnt/tree/first.txt"],
      );
      assert.deepEqual(
        elements["b"]!.map(({ file }) => file),
        ["/mnt/tree/second.txt"],
      );
      assert.deepEqual([success, foundanything], [true, true]);
      assert.ok(errors?.includes("ERROR: open /nowhere: no such file or directory"));
      const names = ["exectime", "filescount", "openfailed", "pausedms", "source", "totalhits"];
      assert.deepEqual(Object.keys(statistics).sort(), names);
      // Links lead to files, or it says where they lead.
      assert.equal(statistics["filescount"], run.report.lines("/tmp/sums").length + 1);
      assert.equal(statistics["openfailed"], 4);
      assert.deepEqual(statistics["source"], ["disk+memory", "memory"]);
      const links = answer("links");
      assert.equal(links.errors!.length, 2);
      assert.match(links.errors![1]!, /^2 errors were not returned/);
    });

    test("reads memory, and the disk alone, when told to", () => {
      assert.deepEqual(paths("memory"), ["/tmp/on-tmpfs"]);
      assert.deepEqual(paths("cached"), ["/mnt/late/fresh.txt"]);
      assert.deepEqual(answer("cached").statistics["source"], ["memory"]);
      assert.ok(paths("disk").includes("/tree/removed.txt") && !paths("disk").includes("/tree/second.txt"));
      assert.deepEqual(answer("disk").statistics["source"], ["disk"]);
      assert.deepEqual(answer("noDisk").errors, ["there is no file system 9: the disks have 3"]);
    });

    test("answers hostile disks to an end, with errors", () => {
      const circles = answer("circles");
      assert.deepEqual(paths("circles"), ["/a/b/file"]);
      assert.deepEqual(circles.errors!.map((error) => error.replace(/ \d+ bytes, and.*/, "")).sort(), [
        "ERROR: /a/b/root: the file system leads around in circles",
        "ERROR: /a/loop: the file system leads around in circles",
        "ERROR: /huge: it says that it has",
      ]);
      const { success, errors } = answer("damaged");
      assert.deepEqual([success, errors?.length], [false, 1]);
    });

    test("lists the packages that dpkg -l lists, and rpm's", () => {
      const told = (name: string): string[] =>
        (answer(name).elements as unknown as { packages: Record<string, string>[] }).packages
          .map((one) => [one["name"], one["version"], one["type"], one["arch"]].join(" "))
          .sort();
      const installed = run.report.lines("/tmp/dpkg").filter((line) => line.startsWith("ii "));
      const expected = installed.map((line) => line.split(/ +/).slice(1, 3).join(" ")).sort();
      assert.equal(expected.length, 3);
      assert.deepEqual(
        told("packages").map((line) => line.split(" ").slice(0, 2).join(" ")),
        expected,
      );
      assert.deepEqual(told("packages"), [
        "adduser 3.134 dpkg all",
        "base-files 12.4+deb12u5 dpkg amd64",
        "bash 5.2.15-2+b7 dpkg amd64",
      ]);
      assert.deepEqual(told("own"), told("packages"));
      assert.deepEqual(told("versions"), ["adduser 3.134 dpkg all", "base-files 12.4+deb12u5 dpkg amd64"]);
      assert.deepEqual(told("rpm"), ["tzdata 2024a-5.fc40 rpm noarch", "zlib 1.3.1-4.fc40 rpm x86_64"]);
      assert.match(answer("noPackages").errors![0]!, /no package manager that is known/);
      assert.match(answer("noMatches").errors![0]!, /at least one expression/);
    });

    test("refuses what is wrong with one error", () => {
      for (const [name, message] of [
        ["bad", /"m" is no size/],
        ["label", /label "a b"/],
        ["long", /label "x{65}"/],
        ["path", /at least one path/],
        ["wrongType", /names/],
        ["misspelt", /"name"; do you mean "names"\?/],
      ] as const) {
        const { success, errors, foundanything } = answer(name);
        assert.deepEqual([success, foundanything, errors?.length], [false, false, 1], name);
        assert.match(errors![0]!, message);
      }
    });

    test("never tells content: the canary is in no answer but where it was asked for", () => {
      const answers = Object.entries(run.found.answers as Record<string, Answer>);
      for (const [name, { elements, statistics, errors }] of answers) {
        // What was searched for is said again, so the question is left out.
        const withoutQuestion = Object.values(elements ?? {}).map((list) =>
          list.map((one) => ({ ...one, search: {} })),
        );
        assert.ok(!JSON.stringify([withoutQuestion, statistics, errors]).includes(CANARY), name);
      }
      assert.ok(!run.found.printed.join("\n").includes(CANARY));
    });

    test("has YARA look at files: they are those that grep finds, and the places those where the text was written", () => {
      const { yara, yaraMasked, yaraPrinted } = run.found;
      const elements = yara.found.elements as { file: string; rule: string; matches: object[] }[];
      assert.equal(yara.found.success, true);
      assert.deepEqual(elements.map(({ file }) => file).sort(), paths("canaries"));
      const matches = new Map(elements.map((element) => [element.file, element.matches]));
      const at = (address: number) => [{ string: "$a", address: `0x${address.toString(16)}`, length: CANARY.length }];
      assert.deepEqual(matches.get("/mnt/tree/first.txt"), at("hello\n".length));
      assert.deepEqual(matches.get("/mnt/tree/sub/deep/deeper/leaf.txt"), at(0));
      assert.deepEqual(matches.get("/mnt/late/fresh.txt"), at("written late, ".length));
      assert.ok(yaraPrinted.includes("canary matches /mnt/tree/first.txt: $a at 0x6"), yaraPrinted.join("\n"));
      assert.equal(yara.found.statistics.processcount, 0);
      assert.ok(yara.found.statistics.filescount > 300);
      const left = (yara.found.errors as string[]).filter((error) => error.includes("maxsize"));
      assert.deepEqual(left.sort(), [
        "/mnt/sparse/holes: its 9437187 bytes are more than 4000000 (maxsize)",
        "/mnt/tree/big.bin: its 5000000 bytes are more than 4000000 (maxsize)",
      ]);
      const both = (yara.both.elements as { file: string }[]).map(({ file }) => file);
      assert.deepEqual(
        both.sort(),
        paths("canaries").filter((path) => path.startsWith("/mnt/tree/")),
      );
      assert.match(yara.relative.errors[0], /the path "mnt" must begin with \//);
      assert.ok(!JSON.stringify(yara).includes(CANARY));
      assert.ok(!JSON.stringify(yaraMasked).includes("/mnt"));
    });

    test("masks names, paths and errors in privacy mode, and nothing else", () => {
      const { masked } = run.found as { masked: Answer };
      const text = JSON.stringify(masked);
      assert.ok(!text.includes("/mnt") && !text.includes("/nowhere"));
      assert.deepEqual(masked.elements["a"]![0]!.fileinfo, answer("two").elements["a"]![0]!.fileinfo);
      assert.equal(masked.elements["a"]![0]!.file, "masked");
      assert.deepEqual(new Set(masked.errors), new Set(["masked"]));
      assert.deepEqual(masked.statistics, answer("two").statistics);
    });

    test("prints for people, reads a command line, and asks at a terminal", () => {
      const { printed, printedFound, printedAny, parsed, refused, created, told } = run.found;
      const first = printed.find((line: string) => line.startsWith("/mnt/tree/first.txt"));
      const sum = run.report
        .lines("/tmp/sums")
        .find((line) => line.endsWith("./tree/first.txt"))!
        .slice(0, 64);
      const facts = "lastmodified:2001-09-09 01:46:40 +0000 UTC, mode:-rw-r-----, size:25";
      assert.equal(first, `/mnt/tree/first.txt [${facts}, sha256:${sum}] in search 's'`);
      assert.match(
        printed.at(-1),
        /^Statistics: \d+ files checked, 3 failed to open, \d+ matched, ran in [\d.]+m?s\.$/,
      );
      assert.equal(printedFound.length, 2);
      assert.match(printedAny[0], / in search 's' on checks name='first'$/);
      assert.deepEqual(parsed.searches.s1.paths, ["/etc", "/bin"]);
      const { matchall, maxdepth, returnsha256 } = parsed.searches.s1.options;
      assert.deepEqual([matchall, maxdepth, returnsha256], [false, 3, true]);
      assert.match(refused[0], /^UsageShown: file looks for/);
      assert.match(refused[1], /do you mean -name\?/);
      assert.match(refused[2], /is no size/);
      assert.match(refused[3], /-maxdepth needs a number/);
      assert.deepEqual(created.searches.s1.names, ["hello world"]);
      assert.ok(told.some((text: string) => text.includes("is no size")));
    });

    test("says which part of a search no file fits", () => {
      const { printedEmpty, maskedEmpty } = run.found as { printedEmpty: string[]; maskedEmpty: Answer };
      const empty = "0 match found in search 's'";
      assert.deepEqual(
        printedEmpty.filter((line) => line.startsWith("0 match")),
        [
          `${empty}: no file fits name='^frist', nor name='^fisrt'`,
          `${empty}: no file fits content='no such text'`,
          `${empty}: files fit each of the checks, and none fits all of them`,
          empty,
          `${empty} on checks name='^frist': not searched to the end: the other checks have taken all 3 matches (matchlimit)`,
        ],
      );
      assert.ok(!JSON.stringify(maskedEmpty).includes("no file fits"));
    });

    test("ends early when it is told to stop, and leaves nothing open", () => {
      const { success, errors } = run.found.stopped;
      assert.deepEqual([success, errors], [false, ["stop message received, terminating early"]]);
      assert.equal(run.stderr, "");
    });
  });
}
