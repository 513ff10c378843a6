import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { readEvents } from "../../src/lab/analysis/event-log";
import type { Act } from "../../src/lab/analysis/report/gather-events";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { NARROW_PROGRAM } from "../kit/guests/narrow-program";
import { analyze } from "../kit/lab/analyze-run";
import type { TestLab } from "../kit/lab/lab-run";
import { NEEDS_DEBIAN, withDebian } from "../kit/lab/ready-debian";
import { PROJECT } from "../kit/project";

const FOLDER = "/root/watched";
const PROGRAM = join(PROJECT, "test/kit/lab/truth-target.py");

/** Leaves a file when it is loaded, or runs. */
const WRITES = (path: string, begin: string) =>
  `#include <fcntl.h>\n#include <unistd.h>\n${begin} { int file = open("${path}", O_CREAT | O_WRONLY, 0600); write(file, "x", 1); return ${begin.startsWith("int") ? "0" : ""}; }`;

/**
 * A program of 64 bits that makes a call of 32 bits, and then more calls that never return than are waited for: each sends itself a
 * signal, whose handler jumps away. It removes the file last.
 */
const SILENCES = (path: string) => `#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>
static jmp_buf back;
static volatile int left = 1100;
static void leave(int number) { longjmp(back, 1); }
int main(void) {
  int file = open("${path}", O_CREAT | O_WRONLY, 0600), result;
  write(file, "x", 1);
  __asm__ volatile("int $0x80" : "=a"(result) : "0"(15), "b"((int)(long)"${path}"), "c"(0711) : "memory", "r8", "r9", "r10", "r11");
  struct sigaction action = { .sa_handler = leave, .sa_flags = SA_NODEFER };
  sigaction(SIGUSR1, &action, 0);
  setpgid(0, 0);
  setjmp(back);
  if (left-- > 0) kill(0, SIGUSR1);
  return unlink("${path}") || result;
}`;

function compile(lab: TestLab, name: string, source: string, ...options: readonly string[]): string {
  execFileSync("gcc", [...options, "-w", "-o", lab.path(name), lab.write(`${name}.c`, source)]);
  return readFileSync(lab.path(name), "base64");
}

/** The words of the guest's own observers. */
interface Truth {
  /** Of inotify: what happened to a name in the folder. */
  readonly files: readonly (readonly [kind: "modified" | "attributes" | "from" | "to" | "created" | "removed", name: string])[]; // prettier-ignore
  /** Of the process connector. */
  readonly processes: readonly number[];
  readonly executed: readonly number[];
  /** Of the child that clone3() has made, and of the key that add_key() has. */
  readonly child: number;
  readonly key: number;
  /** SHA-256 of programs, by their paths. */
  readonly hashes: Readonly<Record<string, string>>;
}

let report: AnalysisReport;
let truth: Truth;
let executed: number[];
let frames: Buffer;

const sorted = <Value>(values: Iterable<Value>) => [...new Set(values)].toSorted();
const ofKinds = (...kinds: readonly Truth["files"][number][0][]) => sorted(truth.files.flatMap(([kind, name]) => (kinds.includes(kind) ? [name] : []))); // prettier-ignore
const told = (types: RegExp, fact: "path" | "to" = "path") => sorted(report.files.flatMap((act) => (types.test(act.type) ? nameOf(act, fact) : []))); // prettier-ignore
/** Names in the folder that the target itself has touched. */
const nameOf = ({ origin, ...act }: Act, fact: "path" | "to") => {
  const path = String(act[fact]);
  return origin === "target" && path.startsWith(`${FOLDER}/`) ? [path.slice(FOLDER.length + 1)] : [];
};
const all = () => [...report.files, ...report.network, ...report.control];
const facts = ({ time: _time, sequence: _sequence, process: _process, pid: _pid, origin: _origin, ...act }: Act) => act; // prettier-ignore

describe("the acts of a target on a real system", { skip: NEEDS_DEBIAN }, () => {
  before(async () => {
    await withDebian([], async (lab) => {
      const modules = ["processes", "syscalls", "artefacts", "netcapture"];
      lab.write("conf/auxiliary.conf", modules.map((name) => `[${name}]\nenabled = yes\n`).join(""));
      const given = {
        NARROW: NARROW_PROGRAM.assemble(FOLDER).toString("base64"),
        LIBRARY: compile(lab, "own.so", WRITES("/root/by-library", "__attribute__((constructor)) static void begin(void)"), "-shared", "-fPIC"), // prettier-ignore
        SILENCING: compile(lab, "silences", SILENCES(`${FOLDER}/silenced`), "-no-pie", "-fno-pie"),
        DYNAMIC: compile(lab, "dynamic", WRITES(`${FOLDER}/dynamic`, "int main(void)")),
      };
      const [first, ...lines] = readFileSync(PROGRAM, "utf8").split("\n");
      const words = Object.entries(given).map(([name, value]) => `${name} = "${value}"`);
      const target = lab.write("target.py", [first, ...words, ...lines].join("\n"));
      const { status, stdout } = await analyze(lab, "--machine", "office", "--target", target, "--timeout", "200");
      assert.equal(status, 0, stdout);
      report = JSON.parse(lab.read("analyses/1/report.json")) as AnalysisReport;
      assert.equal(report.analysis.reason, "the target ended with status 0", lab.read("state/office/console.log").slice(-2000)); // prettier-ignore
      frames = readFileSync(lab.path("analyses/1/network.pcapng"));
      const { sha256 } = report.artefacts.find(({ path }) => path === "/root/truth.json")!;
      truth = JSON.parse(lab.read(`analyses/1/artefacts/${sha256}`)) as Truth;
      executed = [...readEvents(lab.path("analyses/1"))].flatMap(({ type, origin, pid }) => (type === "process.executed" && origin === "target" ? [Number(pid)] : [])); // prettier-ignore
    });
  });

  test("on files are those that inotify in the guest tells, whoever carries them out: commands, calls of 32 bits, io_uring", () => {
    const changed = told(/^file\.written$/);
    assert.deepEqual(ofKinds("modified").filter((name) => !changed.includes(name)), []); // prettier-ignore
    const touched = ofKinds("modified", "created");
    assert.deepEqual(changed.filter((name) => !touched.includes(name)), []); // prettier-ignore
    const filled = [...changed, ...told(/^file\.made$/), ...told(/^file\.linked$/, "to")];
    assert.deepEqual(ofKinds("created").filter((name) => !filled.includes(name)), []); // prettier-ignore
    assert.deepEqual(told(/^file\.removed$/), ofKinds("removed"));
    assert.deepEqual([told(/^file\.renamed$/), told(/^file\.renamed$/, "to")], [ofKinds("from"), ofKinds("to")]);
    assert.deepEqual(told(/^file\.(mode|owner|times|attribute)$/), ofKinds("attributes"));
    for (const name of ["ring", "narrow", "silenced", "sent", "ranged", "spliced", "log", "dynamic"]) assert.ok(touched.includes(name), name); // prettier-ignore
    const own = all()
      .filter(({ process }) => process === "narrow32")
      .map(facts);
    assert.deepEqual(own.toSorted((one, other) => one.type.localeCompare(other.type)), NARROW_PROGRAM.listActs(FOLDER).toSorted((one, other) => (one as Act).type.localeCompare((other as Act).type))); // prettier-ignore
  });

  test("are those of the processes that the kernel's process connector tells, each program once", () => {
    const own = report.processes.filter(({ origin }) => origin === "target");
    assert.deepEqual(sorted(own.map(({ pid }) => pid)), sorted(truth.processes));
    const root = own[0]!.pid;
    // It executed itself before it began to listen.
    assert.ok(executed.includes(root), `${root} is not among ${executed.join(", ")}`);
    executed.splice(executed.indexOf(root), 1);
    assert.deepEqual(executed.toSorted(), [...truth.executed].toSorted());
  });

  test("by the calls that hardly any program makes are told as all others", () => {
    const own = report.control.filter(({ origin }) => origin === "target").map(facts);
    const ofKind = (type: string) => own.filter((act) => act.type === type);
    assert.deepEqual(ofKind("kernel.key"), [
      { type: "kernel.key", name: "own:key", kind: "user", way: "add_key" },
      { type: "kernel.key", way: "read", key: truth.key },
      { type: "kernel.key", way: "revoke", key: truth.key },
    ]);
    assert.deepEqual(ofKind("process.credentials"), [
      { type: "process.credentials", supplementary: [7, 8] },
      { type: "process.credentials", groups: [12, 13, 14] },
      { type: "process.credentials", ids: [15, 16, 17] },
    ]);
    const mounted = report.files.filter(({ type, path }) => /mounted$/.test(type) && path === "/root/mounted");
    assert.deepEqual(mounted.map(({ type }) => type), ["file.mounted", "file.unmounted"]); // prettier-ignore
    assert.ok(told(/^file\.written$/).includes("opened2"));
    const child = report.processes.find(({ pid, origin }) => pid === truth.child && origin === "target");
    assert.deepEqual([child?.commandLine, child?.executable], ["by-execveat x", "/usr/bin/true"]);
    // Calls of x32 are refused.
    assert.deepEqual(report.files.filter(({ path }) => path === "/root/x32"), []); // prettier-ignore
  });

  test("have the hash of each program, be it in the guest's memory or on its disk", () => {
    for (const [path, sha256] of Object.entries(truth.hashes)) {
      const found = sorted(report.processes.filter(({ executable }) => executable === path).map((each) => each.sha256));
      assert.deepEqual(found, [sha256], path);
    }
    const own = report.processes.filter(({ origin, executable }) => origin === "target" && executable !== undefined);
    assert.ok(own.some(({ executable }) => executable?.startsWith("/root/box/root/")));
    assert.deepEqual(own.filter(({ sha256 }) => sha256 === undefined).map(({ executable, unhashed }) => `${executable}: ${unhashed}`), []); // prettier-ignore
    const { sha256 } = report.artefacts.find(({ path }) => path === "/root/dynamic")!;
    assert.equal(own.find(({ executable }) => executable === "/root/dynamic")!.sha256, sha256);
  });

  test("in a container have the paths of the whole system", () => {
    const [root, upper] = ["/root/box/root", "/root/box/upper"];
    const boxed = report.files.filter(({ path }) => /\/box(ed)?$/.test(String(path)) && String(path) !== "/root/box").map(facts); // prettier-ignore
    assert.deepEqual(boxed, [
      { type: "file.written", path: `${root}/opt/boxed` },
      { type: "file.renamed", path: `${root}/opt/boxed`, to: `${root}/opt/box` },
    ]);
    assert.ok(
      report.files.some(({ type, path }) => type === "file.mounted" && path === root),
      upper,
    );
    assert.ok(report.control.some(({ type, name }) => type === "process.root" && name === root));
  });

  test("in the network are told when they are made or refused, once, with names and pages", () => {
    const ends = (type: string) => report.network.filter((act) => act.origin === "target" && act.type === type && act["protocol"] !== "udp").map(({ address, port }) => `${String(address)}:${String(port)}`); // prettier-ignore
    assert.deepEqual(ends("network.connected"), [
      "192.0.2.81:8081",
      "192.0.2.80:8080",
      "198.51.100.1:80",
      "127.0.0.1:7005",
      "127.0.0.1:7006",
      "192.0.2.82:3333",
      "192.0.2.83:4444",
    ]);
    assert.deepEqual(ends("network.failed").toSorted(), [
      "127.0.0.1:7002",
      "127.0.0.1:7005",
      "127.0.0.1:7006",
      "127.0.0.1:9",
    ]);
    // ECONNREFUSED and ETIMEDOUT of include/uapi/asm-generic/errno.h, also where the call itself said that it goes on.
    const errors = report.network.flatMap(({ type, origin, port, error }) => type === "network.failed" && origin === "target" ? [[port, error]] : []); // prettier-ignore
    assert.deepEqual(errors.toSorted(([one], [other]) => Number(one) - Number(other)), [[9, 111], [7002, 111], [7005, 110], [7006, 110]]); // prettier-ignore
    assert.ok(report.network.some((act) => act.type === "network.sent" && act["address"] === "192.0.2.53" && act["port"] === 5353)); // prettier-ignore
    assert.ok(report.analysis.network!.names!.some(({ name }) => name === "beacon.example.net"));
    assert.ok(frames.includes('"method":"login","params":{"login":"own"'));
    const pages = report.modules.webRequests.map(({ method, url }) => `${method} ${url}`);
    assert.deepEqual(pages, [0, 1].map((turn) => `GET http://beacon.example.net/turn?${turn}`)); // prettier-ignore
  });

  test("by what the system starts because of what was written are in it, as adopted", () => {
    const adopted = report.processes.flatMap(({ adoptedBy }) => adoptedBy ?? []);
    for (const part of [
      "belongs to /etc/systemd/system/left.service",
      "starts with /root/.bash_profile",
      "loads /etc/ld.so.preload",
    ])
      // prettier-ignore
      assert.ok(adopted.some((act) => act.includes(part)), `${part}: ${adopted.join("; ")}`);
    for (const path of ["/root/by-unit", "/root/by-profile"])
      assert.ok(
        report.files.some((act) => act.origin === "adopted" && act["path"] === path),
        path,
      );
    assert.deepEqual(all().filter((act) => act["path"] === "/root/by-message" && act.origin !== "system"), []); // prettier-ignore
    assert.ok(report.processes.some(({ origin, commandLine }) => origin === "target" && commandLine?.startsWith("systemd-run "))); // prettier-ignore
    const fired = report.verdict!.findings.map(({ name }) => name);
    const wanted = ["past-system-calls", "systemd-unit", "shell-startup", "preload-file", "preloaded-program", "dropped-program", "new-namespaces", "timestomp", "setuid-file", "miner-port", "shell-on-connection", "shell-connects", "known-ports"]; // prettier-ignore
    assert.deepEqual(wanted.filter((name) => !fired.includes(name)), [], fired.join(" ")); // prettier-ignore
  });
});
