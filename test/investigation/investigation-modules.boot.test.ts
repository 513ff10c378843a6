import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { listKits } from "../kit/guests/guest-kits";
import type { GuestReport } from "../kit/guests/guest-report";
import type { GuestRun } from "../kit/guests/guest-run";
import { type Answer, investigate, type Question } from "../kit/investigations/investigation-questions";
import { findLivingPath, readProcess, readSockets, networkFolders } from "../kit/systems/linux-truth";
import { PROJECT } from "../kit/project";

const netstat = (parameters: unknown, isPrivate = false): Question => ({ module: "netstat", parameters, isPrivate });
const memory = (search: unknown): Question => ({ module: "memory", parameters: { searches: { s1: search } } });
const one = (module: string, parameters: unknown): Question => ({ module, parameters });
const hex = (text: string): string => Buffer.from(text).toString("hex");
const WORDS = ["within", "across", "first", "hidden", "holed"];

/** The last one's string stands on two sides of a hole, and nowhere else. */
const RULES = `
rule two_places { strings: $within = "rebox-within-canary" $across = /rebox-acr[a-z]+-can.ry/ condition: all of them }
rule nowhere { strings: $a = "this is nowhere" condition: $a }
rule hole { strings: $a = /rebox-hol[\\x00-\\xff]{0,5000}ed-canary/ condition: $a }
`;

const DOCUMENT = readFileSync(join(PROJECT, "docs/reference/investigation-modules.md"), "utf8");
const FOLDER = mkdtempSync(join(tmpdir(), "rebox-rules-"));
after(() => rmSync(FOLDER, { recursive: true }));
writeFileSync(join(FOLDER, "canary.yar"), /^ {4}(rule canary .*)$/m.exec(DOCUMENT)![1]!);
/** The document's command lines, and what they print. */
const EXAMPLES = [
  ...DOCUMENT.matchAll(/^ {4}\$ rebox investigate -t guest\.sock -- (\w+) (.*)\n((?: {4}[^$].*\n)*)/gm),
].map(([, module, words, lines]) => ({
  module: module!,
  words: words!.split(" ").map((word) => (word.endsWith(".yar") ? join(FOLDER, word) : word)),
  lines: lines!
    .split("\n")
    .slice(0, -1)
    .map((line) => line.slice(4)),
}));

const QUESTIONS: Readonly<Record<string, Question>>[] = [
  {
    // In it, all answers must still hold: nothing has been waited for since the guest's report.
    localMac: netstat({ localmac: ["^02:AB:cd:.*", "^ff:"] }),
    allMacs: netstat({ localmac: ["."] }),
    neighborMac: netstat({ neighbormac: ["^52:54:00:aa:bb:"] }),
    localIp: netstat({
      localip: ["192.0.2.1", "2001:db8:1::1", "192.0.2.0/24", "2001:db8::/32", "198.51.100.0/24", "::1", "127.0.0.0/8"],
    }),
    neighborIp: netstat({
      neighborip: ["192.0.2.5", "192.0.2.0/24", "2001:DB8::/32", "2001:db8:1:0::5", "0.0.0.0/0", "::/0"],
    }),
    connected: netstat({ connectedip: ["127.0.0.1", "127.0.0.0/8", "::1", "0.0.0.0/0", "::/0", "10.9.8.7"] }),
    connectedPrivate: netstat({ connectedip: ["127.0.0.1"], neighborip: ["192.0.2.5"] }, true),
    listening: netstat({ listeningport: ["7001", "7002", "7003", "7005", "7777"] }),
    allListening: netstat({ listening: true, listeningport: ["7777"] }),
    everywhere: netstat({
      listeningport: ["7001"],
      connectedip: ["127.0.0.1"],
      neighbormac: ["bb:99$"],
      namespaces: true,
    }),
    rootOnly: netstat({ neighbormac: ["bb:99$"] }),
    processes: one("process", { kernelthreads: true }),
    byName: one("process", { names: ["/bin/ZOO$", "^/bin/zoo$"] }),
    byPid: one("process", { pids: [1] }),
    byUid: one("process", { uids: [1004] }),
    byWord: one("process", { names: ["(?i)ZOO"], uids: [1000] }),
    words: memory({
      names: ["/keeper$"],
      bytes: WORDS.slice(0, 4).map((word) => hex(`rebox-${word}-canary`)),
      options: { matchall: true },
    }),
    holed: memory({
      bytes: [hex("rebox-holed-canary"), hex("box-across-can")],
      contents: ["rebox-h[a-z]+-canary", "nothing (like|as) this"],
    }),
    // What follows in memory is not to be in the answer.
    part: memory({ bytes: [hex("rebox-wi")], contents: ["rebox-w.", "ebox-a[a-z]"] }),
    expressions: memory({ contents: ["(?i)REBOX-ACROSS-CAN[[:alpha:]]RY"], options: { matchall: true } }),
    libraries: memory({ libraries: ["/libgreeting\\.so\\.1$"], options: { matchall: true } }),
    libraryAndName: memory({ libraries: ["libgreeting"], names: ["/keeper$"], options: { matchall: true } }),
    anyOf: memory({ libraries: ["libgreeting"], names: ["/keeper$", "/nobody$"] }),
    failures: memory({ bytes: [hex("nothing at all")], options: { logfailures: true } }),
  },
  {
    rules: one("yara", { rules: RULES }),
    rulesByName: one("yara", { rules: RULES, names: ["/greeter$"] }),
    brokenRules: one("yara", { rules: "rule broken { strings: $a = condition: true }" }),
  },
  Object.fromEntries(EXAMPLES.map(({ module, words }, index) => [`example${index}`, { module, words }])),
  { clock: one("timedrift", {}), within: one("timedrift", { drift: "1h" }) },
  Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [`many${index}`, netstat({ listeningport: ["7001"], localmac: ["."] })]),
  ),
  {
    noSuchPort: netstat({ listeningport: ["65536"] }),
    nothing: netstat({}),
    wrongType: netstat({ listeningport: [80] }),
    endless: memory({ contents: ["(\\w+\\s?)+\\x00\\x01zz"] }),
  },
];

for (const kit of listKits()) {
  describe(
    `investigations of a guest with ${kit.release}: the answers are what the guest says`,
    { concurrency: false },
    () => {
      let run: GuestRun & { answers: Readonly<Record<string, Answer>> };
      let report: GuestReport;
      const get = (key: string): Answer => {
        const answer = run.answers[key]!;
        assert.equal(answer.success, true, answer.text);
        assert.equal(answer.errors, null, answer.text);
        return answer;
      };

      test("all questions of a list are answered at once", async () => {
        run = await investigate(kit, QUESTIONS);
        ({ report } = run);
        assert.deepEqual(Object.keys(run.answers).sort(), QUESTIONS.flatMap((group) => Object.keys(group)).sort());
      });

      test("local link-layer addresses: those of /sys/class/net, upper and lower case alike", () => {
        const cards = report.lines("/tmp/macs").map((line) => line.split(" ") as [string, string]);
        const real = cards.filter(([, mac]) => mac !== "00:00:00:00:00:00");
        assert.ok(real.length >= 2, `${real.length} cards`);
        const { elements } = get("allMacs");
        assert.deepEqual(
          elements.localmac["."]
            .map((found: Record<string, string>) => `${found.interface} ${found.localmacaddr}`)
            .sort(),
          real.map((card) => card.join(" ")).sort(),
        );
        const { elements: byPattern } = get("localMac");
        assert.deepEqual(
          byPattern.localmac["^02:AB:cd:.*"].map(({ localmacaddr }: Record<string, string>) => localmacaddr),
          ["02:ab:cd:ef:00:01"],
        );
        assert.deepEqual(byPattern.localmac["^ff:"], []);
      });

      test("neighbours: those of `ip neigh`, v4 and v6, with and without an address", () => {
        const expected = readNeighbours(report);
        assert.ok(expected.length >= 8, expected.join("\n"));
        const { elements } = get("neighborIp");
        const all = [...elements.neighborip["0.0.0.0/0"], ...elements.neighborip["::/0"]];
        assert.deepEqual(all.map(describeNeighbour).sort(), expected);
        for (const [network, pattern] of [
          ["192.0.2.0/24", /^192\.0\.2\./],
          ["2001:DB8::/32", /^2001:db8:/],
        ] as const) {
          assert.deepEqual(
            elements.neighborip[network].map(describeNeighbour).sort(),
            expected.filter((line) => pattern.test(line)),
          );
        }
        assert.equal(elements.neighborip["192.0.2.5"].length, 1);
        // The same address, written in another way.
        assert.equal(elements.neighborip["2001:db8:1:0::5"].length, 1);
        const { elements: byMac } = get("neighborMac");
        assert.deepEqual(
          byMac.neighbormac["^52:54:00:aa:bb:"].map(describeNeighbour).sort(),
          expected.filter((line) => line.includes("52:54:00:aa:bb:")),
        );
      });

      test("local addresses: those of `ip address`, exact and by network", () => {
        const expected = report
          .text("/tmp/addresses")
          .split(/^\d+: /m)
          .slice(1)
          .flatMap((card) =>
            [...card.matchAll(/^ +inet6? (\S+)\/\d+/gm)].map(([, address]) => `${card.split(/[:@]/)[0]} ${address}`),
          );
        const { elements } = get("localIp");
        const list = (key: string): string[] =>
          elements.localip[key].map((found: Record<string, string>) => `${found.interface} ${found.localaddr}`).sort();
        const select = (pattern: RegExp): string[] => expected.filter((line) => pattern.test(line)).sort();
        assert.deepEqual(list("192.0.2.0/24"), select(/ 192\.0\.2\./));
        assert.deepEqual(list("2001:db8::/32"), select(/ 2001:db8:/));
        assert.deepEqual(list("127.0.0.0/8"), select(/ 127\./));
        assert.deepEqual(list("::1"), select(/ ::1$/));
        assert.deepEqual(list("192.0.2.1"), ["dummy0 192.0.2.1"]);
        assert.deepEqual(list("2001:db8:1::1"), ["dummy0 2001:db8:1::1"]);
        assert.deepEqual(list("198.51.100.0/24"), []);
      });

      test("connections: those of /proc/net that have another side, with the processes that have them", () => {
        const expected = readConnections(readSockets(report));
        const { elements } = get("connected");
        const all = [...elements.connectedip["0.0.0.0/0"], ...elements.connectedip["::/0"]];
        assert.ok(expected.length >= 10, expected.join("\n"));
        assert.deepEqual(all.map(describeConnection).sort(), expected);
        const toLoopback = expected.filter((line) => / 127\.0\.0\.1:\d+$/.test(line));
        assert.deepEqual(elements.connectedip["127.0.0.1"].map(describeConnection).sort(), toLoopback);
        assert.deepEqual(elements.connectedip["127.0.0.0/8"].map(describeConnection).sort(), toLoopback);
        assert.deepEqual(elements.connectedip["10.9.8.7"], []);
        checkOwners(report, all);
      });

      test("listening ports: only what listens, or is bound and not connected", () => {
        const { elements, lines, found } = get("listening");
        const networked = Number(run.truth.get("zoo.networked"));
        const list = (port: string): string[] =>
          elements.listeningport[port].map(
            (element: Record<string, string>) =>
              `${element.protocol} ${element.localaddr}:${element.localport} ${element.state}`,
          );
        assert.deepEqual(list("7001"), ["tcp 127.0.0.1:7001 LISTEN"]);
        assert.deepEqual(list("7002"), ["tcp ::1:7002 LISTEN"]);
        // It is connected.
        assert.deepEqual(list("7003"), []);
        assert.deepEqual(list("7005"), ["udp :::7005 CLOSE"]);
        assert.deepEqual(list("7777"), []);
        assert.deepEqual(elements.listeningport["7001"][0].processes, [{ pid: networked, name: "networked" }]);
        assert.ok(lines.includes("nothing for listeningport '7777'"), lines.join("\n"));
        assert.ok(!found.some((line) => /nothing|stat/.test(line)), found.join("\n"));
      });

      test("every port that is listened on, each once, with its processes, when none is named", () => {
        const isListening = ([, family, type, state, local, remote]: string[]): boolean =>
          /^inet6?$/.test(family!) &&
          (type === "stream" ? state === "LISTEN" : type === "datagram" && /:0$/.test(remote!) && !/:0$/.test(local!));
        const expected = readSockets(report)
          .map((line) => line.split(" "))
          .filter(isListening)
          .map(([, , type, , local]) => `${type === "stream" ? "tcp" : "udp"} ${local}`);
        const { elements, lines } = get("allListening");
        const all = Object.entries(elements.listeningport as Record<string, Record<string, string>[]>);
        const found = all.flatMap(([port, list]) =>
          list.map(({ protocol, localaddr, localport }) => {
            assert.equal(String(localport), port);
            return `${protocol} ${localaddr}:${localport}`;
          }),
        );
        assert.deepEqual(found.toSorted(), expected.toSorted());
        assert.ok(expected.length >= 3, expected.join("\n"));
        assert.deepEqual(elements.listeningport["7777"], []);
        const networked = Number(run.truth.get("zoo.networked"));
        const line = `found tcp port 7001 listening at 127.0.0.1 by networked (${networked}) for listeningport '7001'`;
        assert.ok(lines.includes(line), lines.join("\n"));
      });

      test("other network namespaces are looked into when that is asked for", () => {
        const elsewhere = Number(run.truth.get("zoo.elsewhere"));
        const { elements } = get("everywhere");
        const ports: Record<string, string & { pid: number }[]>[] = elements.listeningport["7001"];
        assert.equal(ports.length, 2);
        const namespace = report.text(`/proc/${elsewhere}/ns/net`);
        const other = ports.find((element) => element.namespace === namespace);
        assert.deepEqual(other?.processes, [{ pid: elsewhere, name: "elsewhere" }]);
        const expected = [...networkFolders(report).values()].flatMap((folder) =>
          readConnections(readSockets(report, folder)),
        );
        assert.deepEqual(
          elements.connectedip["127.0.0.1"].map(describeConnection).sort(),
          expected.filter((line) => / 127\.0\.0\.1:\d+$/.test(line)).sort(),
        );
        const owner = run.truth.get("neighbour.lo");
        assert.deepEqual(
          elements.neighbormac["bb:99$"].map((found: Record<string, string>) => found.namespace),
          [report.text(`/proc/${owner}/ns/net`)],
        );
        assert.match(report.text(`/proc/${owner}/net/arp`), /52:54:00:aa:bb:99/);
        assert.deepEqual(get("rootOnly").elements.neighbormac["bb:99$"], []);
      });

      test("privacy mode masks addresses of the other side, and nothing else", () => {
        const masked = get("connectedPrivate");
        const plain = get("connected").elements.connectedip["127.0.0.1"];
        const unmask = (elements: Record<string, string>[]): unknown =>
          elements.map((element) => ({ ...element, remoteaddr: "127.0.0.1" }));
        const found = masked.elements.connectedip["127.0.0.1"];
        assert.deepEqual(unmask(found), unmask(plain));
        assert.ok(found.every(({ remoteaddr }: Record<string, string>) => remoteaddr === "masked"));
        assert.equal(masked.elements.neighborip["192.0.2.5"][0].remoteaddr, "masked");
        assert.equal(masked.elements.neighborip["192.0.2.5"][0].remotemacaddr, "52:54:00:aa:bb:01");
      });

      test("processes: those of /proc, with users, command lines, programs, threads and start", () => {
        const pids = report.list("/proc").map(Number).filter(Number.isInteger);
        const isWorker = ({ name }: { name: string }): boolean => /^kworker\//.test(name);
        const expected = pids.map((pid) => readProcess(report, pid)).filter((found) => !isWorker(found));
        const { elements } = get("processes");
        const known = new Set(pids);
        const bootMs = Number(/^btime (\d+)$/m.exec(report.text("/proc/stat"))![1]) * 1000;
        // Since the report, the shell has gone on starting programs.
        const actual = elements.filter(
          (found: { pid: number; name: string }) => known.has(found.pid) && !isWorker(found),
        );
        assert.equal(actual.length, expected.length);
        for (const process of expected) {
          const found = actual.find(({ pid }: { pid: number }) => pid === process.pid);
          assert.deepEqual(
            { ...found, tids: [...found.tids].sort(), starttime: undefined },
            {
              ...{ pid: process.pid, ppid: process.ppid, name: process.name, executable: process.executable },
              ...{
                commandline: process.words,
                uid: process.uid,
                gid: process.gid,
                euid: process.euid,
                egid: process.egid,
              },
              tids: process.threads.map((thread) => Number(thread.split(" ")[0])).sort(),
              ...{ starttime: undefined, kernelthread: process.isKernelThread },
            },
          );
          // btime is in whole seconds.
          const startMs = bootMs + process.startTime * 10;
          assert.ok(
            Math.abs(Date.parse(found.starttime) - startMs) <= 1010,
            `${found.starttime} ${startMs} ${process.pid}`,
          );
        }
      });

      test("processes are chosen by name, number and user", () => {
        const listPids = (key: string): number[] => get(key).elements.map(({ pid }: { pid: number }) => pid);
        const zoo = report
          .list("/proc")
          .filter((pid) => report.find(`${findLivingPath(report, Number(pid))}/exe`) === "/bin/zoo")
          .map(Number);
        assert.deepEqual(listPids("byName").sort(), zoo.sort());
        assert.deepEqual(listPids("byPid"), [1]);
        const user = Number(run.truth.get("zoo.user"));
        assert.deepEqual(listPids("byUid"), [user]);
        assert.deepEqual(listPids("byWord"), [user]);
      });

      test("memory: a process is found by bytes, wherever they lie, and the addresses are those that it has told", () => {
        const keeper = Number(run.truth.get("keeper.keeper"));
        const { elements, text } = get("words");
        assert.equal(elements.s1.length, 1, text);
        assert.deepEqual(elements.s1[0].process, { name: "/bin/keeper", pid: keeper });
        const expected = WORDS.slice(0, 4).map((word) => [
          hex(`rebox-${word}-canary`),
          run.truth.get(`keeper.${word}`),
        ]);
        assert.deepEqual(elements.s1[0].addresses, Object.fromEntries(expected));
        assert.equal(get("expressions").elements.s1[0].process.pid, keeper);
        assert.deepEqual(Object.values(get("expressions").elements.s1[0].addresses), [run.truth.get("keeper.across")]);
      });

      test("memory: what lies on two sides of a hole is nothing, and what is not found has an entry without a process", () => {
        const keeper = Number(run.truth.get("keeper.keeper"));
        const { elements } = get("holed");
        const list = elements.s1.map(
          ({ search, process }: { search: Record<string, string[]>; process: { pid: number } }) => [
            [...(search.bytes ?? []), ...(search.contents ?? [])].join(),
            process.pid,
          ],
        );
        assert.deepEqual(
          list.toSorted(),
          [
            [hex("box-across-can"), keeper],
            ["nothing (like|as) this", 0],
            ["rebox-h[a-z]+-canary", keeper],
            [hex("rebox-holed-canary"), 0],
          ].toSorted(),
        );
      });

      test("memory: processes are found by the files that they have mapped, all of the conditions or any", () => {
        const greeter = Number(run.truth.get("greeter.pid"));
        const keeper = Number(run.truth.get("keeper.keeper"));
        const listPids = (key: string): number[] =>
          get(key).elements.s1.map(({ process }: { process: { pid: number } }) => process.pid);
        assert.match(report.text(`/proc/${greeter}/maps`), /libgreeting\.so\.1$/m);
        assert.deepEqual(listPids("libraries"), [greeter]);
        assert.deepEqual(listPids("libraryAndName"), [0]);
        assert.equal(get("libraryAndName").foundanything, false);
        assert.deepEqual(listPids("anyOf").sort(), [0, greeter, keeper].sort());
      });

      test("memory: how much was searched is at least what the kernel counts as resident", () => {
        const { statistics } = get("failures");
        const keeper = run.truth.get("keeper.keeper");
        const resident = Number(/^RssAnon:\s+(\d+) kB$/m.exec(report.text(`/proc/${keeper}/status`))![1]) * 1024;
        assert.ok(statistics.memoryread > resident, `${statistics.memoryread} of ${resident}`);
        assert.ok(statistics.pausedms > 0 && statistics.processcount > 10, JSON.stringify(statistics));
      });

      test("no answer holds what was found in memory: only what was asked for, and where it is", () => {
        assert.equal(get("part").foundanything, true);
        for (const [key, { text }] of Object.entries(run.answers)) {
          assert.ok(!/rebox-[a-z]+-canary/.test(text), key);
          if (key === "part") assert.ok(!/thin-|cross-|canary/.test(text) && !text.includes(hex("thin-")), text);
        }
      });

      test("yara: rules are found with the places of their strings, and nothing that lies across a hole", () => {
        const { elements, statistics, lines } = get("rules");
        const keeper = Number(run.truth.get("keeper.keeper"));
        assert.deepEqual(elements, [
          {
            rule: "two_places",
            process: { name: "/bin/keeper", pid: keeper },
            matches: [
              { string: "$within", address: run.truth.get("keeper.within"), length: "rebox-within-canary".length },
              { string: "$across", address: run.truth.get("keeper.across"), length: "rebox-across-canary".length },
            ],
          },
        ]);
        assert.ok(statistics.processcount > 10 && statistics.memoryread > 1 << 20, JSON.stringify(statistics));
        assert.equal(
          lines[0],
          `two_places matches /bin/keeper (${keeper}): $within at ${run.truth.get("keeper.within")}, $across at ${run.truth.get("keeper.across")}`,
        );
        assert.deepEqual(get("rulesByName").elements, []);
        assert.equal(get("rulesByName").statistics.processcount, 1);
        const broken = run.answers.brokenRules!;
        assert.equal(broken.success, false);
        assert.match(broken.errors![0]!, /^yara: .*rules\(1\): .*syntax error/);
      });

      test("timedrift: the time is the guest's own, and within an hour of this machine's", () => {
        const clock = get("clock");
        assert.equal(clock.foundanything, true);
        const told = Number(run.truth.get("clock"));
        assert.match(clock.elements.localtime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
        assert.ok(
          Math.abs(Date.parse(clock.elements.localtime) / 1000 - told) < 120,
          `${clock.elements.localtime} ${told}`,
        );
        const within = get("within");
        assert.equal(within.foundanything, false);
        assert.equal(within.elements.iswithindrift, true);
        assert.deepEqual(within.elements.drifts, []);
      });

      test("the document's examples print what the document says, but for numbers", () => {
        assert.ok(EXAMPLES.length >= 8, `${EXAMPLES.length} examples`);
        const shape = (line: string): string =>
          line
            .replace(/0x[0-9a-f]+/g, "0x...")
            .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
            .replace(/-?(\d+h)?(\d+m)?\d+(\.\d+)?(ms|µs|s)?\b/g, "N");
        EXAMPLES.forEach(({ module, words, lines }, index) => {
          const answer = get(`example${index}`);
          assert.deepEqual(
            // Tables of the kernel have no order of their own.
            answer.lines.map(shape).sort(),
            lines.map(shape).sort(),
            `${module} ${words.join(" ")}\n${answer.lines.map((line) => `    ${line}`).join("\n")}`,
          );
        });
      });

      test("20 questions at once have 20 answers, all the same", () => {
        const answers = Array.from({ length: 20 }, (_, index) => get(`many${index}`));
        for (const { elements } of answers) assert.deepEqual(elements, answers[0]!.elements);
      });

      test("wrong parameters are one error that says what is wrong, and an endless expression is cut off", () => {
        const fail = (key: string, pattern: RegExp): void => {
          const { success, errors } = run.answers[key]!;
          assert.equal(success, false);
          assert.equal(errors!.length, 1);
          assert.match(errors![0]!, pattern);
        };
        fail("noSuchPort", /port out of range/);
        fail("nothing", /nothing is looked for/);
        fail("wrongType", /listeningport\.0/);
        fail("endless", /takes too long/);
      });
    },
  );
}

/** Lines of `ip neigh`: address, link-layer address or -, interface, state. */
function readNeighbours(report: GuestReport): string[] {
  return report
    .lines("/tmp/neighbours")
    .map((line) => {
      const [, address, device, mac, state] = /^(\S+) dev (\S+) +(?:lladdr (\S+) )?.*?([A-Z]+) *$/.exec(line)!;
      return `${address} ${mac ?? "-"} ${device} ${state}`;
    })
    .sort();
}

function describeNeighbour(found: Record<string, string>): string {
  return `${found.remoteaddr} ${found.remotemacaddr ?? "-"} ${found.interface} ${found.state}`;
}

/** Of lines of readSockets(): TCP and UDP with another side, as state, local and remote end. */
function readConnections(sockets: readonly string[]): string[] {
  return sockets
    .map((line) => line.split(" "))
    .filter(([, family, type, , , remote]) => /^inet6?$/.test(family!) && type !== "raw" && !/:0$/.test(remote!))
    .map(([, , , state, local, remote]) => `${state} ${local} ${remote}`)
    .sort();
}

function describeConnection(found: Record<string, string>): string {
  return `${found.state} ${found.localaddr}:${found.localport} ${found.remoteaddr}:${found.remoteport}`;
}

/** Compares the owners of sockets with the links in /proc/PID/fd, by the inode that /proc/net has. */
function checkOwners(report: GuestReport, elements: readonly Record<string, unknown>[]): void {
  const pids = report.list("/proc").filter((pid) => /^\d+$/.test(pid));
  const inodes = new Map<string, number[]>();
  for (const pid of pids) {
    for (const descriptor of report.list(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(report.text(`/proc/${pid}/fd/${descriptor}`))?.[1];
      if (inode !== undefined) inodes.set(inode, [...(inodes.get(inode) ?? []), Number(pid)]);
    }
  }
  const sockets = readSockets(report).map((line) => line.split(" "));
  let owned = 0;
  for (const element of elements) {
    const ends = describeConnection(element as Record<string, string>).split(" ");
    const inode = sockets.find(
      ([, , type, state, local, remote]) => type !== "raw" && [state, local, remote].join() === ends.join(),
    )![0]!;
    const expected = [...new Set(inodes.get(inode) ?? [])].sort();
    assert.deepEqual((element.processes as { pid: number }[]).map(({ pid }) => pid).sort(), expected, ends.join(" "));
    if (expected.length > 0) owned++;
  }
  assert.ok(owned > 0 && owned < elements.length, `${owned} of ${elements.length} have an owner`);
}
