import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { AuxiliaryMachine, AuxiliaryRun } from "../../src/lab/auxiliary/auxiliary-run";
import { AuxiliaryFolder } from "../kit/lab/auxiliary-folder";
import { PROJECT } from "../kit/project";

const SNIFFER = join(PROJECT, "modules/auxiliary/sniffer.ts");
const MACHINE = { name: "one", ip: "192.0.2.2", interface: "tap7", resultServer: { ip: "192.0.2.1", port: 2042 } };

let lab: AuxiliaryFolder;
beforeEach(() => {
  lab = new AuxiliaryFolder();
  mkdirSync(join(lab.path, "modules/auxiliary"), { recursive: true });
  copyFileSync(SNIFFER, join(lab.path, "modules/auxiliary/sniffer.ts"));
});
afterEach(() => lab.remove());

/** Writes a program that takes tcpdump's place, and returns its path. */
function program(...lines: readonly string[]): string {
  const file = join(lab.path, "tcpdump");
  writeFileSync(file, ["#!/bin/bash", ...lines, ""].join("\n"));
  chmodSync(file, 0o755);
  return file;
}

const LISTENS = 'echo "tcpdump: listening on tap7, link-type EN10MB (Ethernet), snapshot length 262144 bytes" >&2';
const EMPTY_PCAP = 'while [ "$1" != -w ]; do shift; done; : > "$2"';

async function sniff(
  settings: readonly string[],
  machine: Partial<AuxiliaryMachine> = MACHINE,
  run: Partial<AuxiliaryRun> = {},
  during: () => Promise<void> | void = () => {},
) {
  lab.configure("[sniffer]", "enabled = yes", ...settings);
  const runner = lab.runner({ machine, run, limits: { stopMs: 20_000 } });
  await runner.start();
  await during();
  await runner.stop();
  return runner.status[0]!;
}

test("the sniffer starts tcpdump for the machine's frames, without those of agent and result server", async () => {
  const record = join(lab.path, "arguments");
  const tcpdump = program(
    `printf '%s\\n' "$@" > ${record}`,
    EMPTY_PCAP,
    LISTENS,
    'trap "exit 0" TERM; while :; do sleep 0.05; done',
  );
  const settings = [`tcpdump = ${tcpdump}`, "interface = virbr9", "bpf = not arp"];
  const status = await sniff(settings);
  assert.deepEqual([status.state, lab.log], ["stopped", []]);
  const words = readFileSync(record, "utf8").trim().split("\n");
  const user = execFileSync("id", ["-un"], { encoding: "utf8" }).trim();
  const file = words[words.indexOf("-w") + 1]!;
  assert.match(file, /\/analyses\/\d+\/dump\.pcap$/);
  assert.equal(
    words.join(" "),
    `-U -q -s 0 -i tap7 -n -Z ${user} -w ${file} host 192.0.2.2` +
      " and not ( dst host 192.0.2.2 and dst port 8000 ) and not ( src host 192.0.2.2 and src port 8000 )" +
      " and not ( dst host 192.0.2.1 and dst port 2042 ) and not ( src host 192.0.2.1 and src port 2042 )" +
      " and ( not arp )",
  );
  await sniff(settings, { name: "two", ip: "192.0.2.3" });
  assert.match(readFileSync(record, "utf8"), /^-i\nvirbr9$/m);
});

for (const [what, machine, setting, problem] of [
  ["tcpdump is missing", MACHINE, "tcpdump = /nonexistent/tcpdump", /\/nonexistent\/tcpdump is not a program/],
  ["tcpdump cannot be executed", MACHINE, "tcpdump = /etc/passwd", /\/etc\/passwd is not a program/],
  ["there is no interface", { name: "one", ip: "192.0.2.2" }, "", /neither machine one nor \[sniffer\] names one/],
  ["the machine has no address", { name: "one", interface: "lo" }, "", /machine one has no ip/],
  ["the interface does not exist", { ...MACHINE, interface: "no-such-0" }, "", /no-such-0/],
] as const) {
  test(`the analysis continues when ${what}, and no capture is claimed`, async () => {
    const status = await sniff([setting], machine);
    assert.equal(status.state, "failed");
    assert.match(status.reason!, problem);
    assert.ok(!existsSync(join(lab.path, "analyses/1/dump.pcap")));
  });
}

test("without a route and with enable_pcap off there is nothing to record", async () => {
  const status = await sniff(["enable_pcap = no"], MACHINE, { options: { route: "drop" } });
  assert.equal(status.state, "disabled");
  assert.match(status.reason!, /the route is "drop"/);
});

test("a tcpdump that does not end when it is told to is killed", async () => {
  const pid = join(lab.path, "pid");
  const tcpdump = program(`echo $$ > ${pid}`, EMPTY_PCAP, LISTENS, 'trap "" TERM; while :; do sleep 0.05; done');
  const status = await sniff([`tcpdump = ${tcpdump}`]);
  assert.equal(status.state, "stopped");
  assert.ok(!existsSync(`/proc/${readFileSync(pid, "utf8").trim()}`));
});

test("a tcpdump that is gone before the end is reported with what it said", async () => {
  const gone = join(lab.path, "gone");
  const tcpdump = program(LISTENS, 'echo "tcpdump: pcap_loop: The interface disappeared" >&2', `: > ${gone}`, "exit 1");
  const status = await sniff([`tcpdump = ${tcpdump}`], MACHINE, {}, async () => {
    while (!existsSync(gone)) await new Promise((resolve) => setTimeout(resolve, 10));
  });
  assert.equal(status.state, "stopped");
  assert.match(lab.log.join("\n"), /gone before the end: tcpdump: pcap_loop: The interface disappeared/);
});

test("what tcpdump always says is no warning", async () => {
  const remarks = ["dropped privs to root", "4 packets captured", "1 packet received by filter"];
  const more = ["0 packets dropped by kernel", "2 packets dropped by interface"];
  const says = [...remarks, ...more].map((line) => `echo "${line}" >&2`).join("; ");
  const tcpdump = program(EMPTY_PCAP, LISTENS, `trap '${says}; exit 0' TERM; while :; do sleep 0.05; done`);
  await sniff([`tcpdump = ${tcpdump}`]);
  assert.deepEqual(lab.log, []);
});

test("the real tcpdump has the machine's frames, and none of those with agent and result server", async (context) => {
  if (process.getuid!() !== 0) return context.skip("needs root, for a network of its own");
  const network = `rebox-test-${process.pid}`;
  const ip = (...words: string[]) => execFileSync("ip", words, { encoding: "utf8" });
  ip("netns", "add", network);
  try {
    const inside = ["-n", network];
    ip(...inside, "link", "set", "lo", "up");
    ip(...inside, "addr", "add", "192.0.2.1/32", "dev", "lo");
    ip(...inside, "addr", "add", "192.0.2.2/32", "dev", "lo");
    const tcpdump = program(`exec ip netns exec ${network} /usr/bin/tcpdump "$@"`);
    await sniff([`tcpdump = ${tcpdump}`], { ...MACHINE, interface: "lo" }, {}, async () => {
      const send = `
        const socket = require("node:dgram").createSocket("udp4");
        const frames = [["192.0.2.2", 53, "wanted"], ["192.0.2.2", 8000, "agent's"], ["192.0.2.1", 2042, "result's"], ["192.0.2.1", 80, "wanted too"]];
        socket.bind(5000, "192.0.2.2", async () => {
          for (const [host, port, text] of frames) await new Promise((done) => socket.send(text, port, host, done));
          socket.close();
        });`;
      const sender = spawn("ip", ["netns", "exec", network, process.execPath, "-e", send], { stdio: "inherit" });
      assert.deepEqual(await once(sender, "exit"), [0, null]);
    });
  } finally {
    ip("netns", "del", network);
  }
  assert.deepEqual(lab.log, []);
  const shown = execFileSync("tcpdump", ["-A", "-n", "-r", join(lab.path, "analyses", analysisOf(lab), "dump.pcap"), "udp"], { encoding: "latin1", stdio: ["ignore", "pipe", "ignore"] }); // prettier-ignore
  assert.match(shown, /wanted/);
  assert.match(shown, /wanted too/);
  assert.doesNotMatch(shown, /agent's|result's/);
});

/** Returns the number of the only analysis in a lab's folder. */
function analysisOf(folder: AuxiliaryFolder): string {
  return execFileSync("ls", [join(folder.path, "analyses")], { encoding: "utf8" }).trim();
}
