import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findHostProblems, findNamespaceProblem } from "../../src/lab/network/network-host";
import { runRebox, SLOWNESS } from "../kit/guests/guest-run";
import { analyze, findLeft, recordOf } from "../kit/lab/analyze-run";
import type { TestLab } from "../kit/lab/lab-run";
import { NEEDS_DEBIAN, withDebian } from "../kit/lab/ready-debian";

const lack = findHostProblems()[0] ?? findNamespaceProblem();
const skip = lack === undefined ? NEEDS_DEBIAN : `${lack.problem}: ${lack.advice}`;

/** Asks for a name, a page and a page that a certificate is wanted for, all at once, and writes what it gets on the console. */
const TARGET = `#!/usr/bin/python3
import json, socket, subprocess, time, urllib.request
said = {"time": time.time()}
said["name"] = socket.gethostbyname("any.example.com")
said["http"] = urllib.request.urlopen("http://plain.example.com/x.txt", timeout=20).read().decode()
said["https"] = urllib.request.urlopen("https://secret.example.org/", timeout=20).read().decode()
said["address"] = subprocess.check_output(["ip", "-4", "-o", "address", "show", "scope", "global"]).decode()
said["peer"] = subprocess.check_output(["ip", "route", "get", "192.0.2.1"]).decode()
with open("/dev/console", "w") as console:
    console.write("said " + json.dumps(said) + " end\\n")
`;

interface Said {
  /** In seconds since 1970. */
  readonly time: number;
  readonly name: string;
  readonly http: string;
  readonly https: string;
  readonly address: string;
  readonly peer: string;
}

/** Runs the target, and checks that what the guest has seen agrees with the record. */
async function checkAnalysis(lab: TestLab, id: number, ...more: readonly string[]): Promise<string> {
  const target = lab.write("target.py", TARGET);
  const { status, stdout } = await analyze(lab, "--machine", "office", "--target", target, "--timeout", "60", ...more);
  assert.equal(status, 0, stdout);
  const record = recordOf(lab, id);
  const shown = lab.read("state/office/console.log");
  assert.equal(record.reason, "the target ended with status 0", shown.slice(-2000));
  const said = JSON.parse(/said ({.*}) end/.exec(shown.replaceAll(/\r?\n/g, ""))![1]!) as Said;
  assert.equal(said.name, "198.51.100.1");
  assert.match(said.http, /INetSim HTTP server/);
  assert.match(said.https, /INetSim default HTML page/);
  assert.match(said.address, /inet 10\.0\.2\.15\/24/);
  assert.match(said.peer, /via 10\.0\.2\.2 .*src 10\.0\.2\.15/);
  const running = record.phases.find(({ phase }) => phase === "running")!;
  const clock = /^clock=.*$/m.exec(more.join("\n"));
  if (clock === null) assert.ok(Math.abs(said.time - Date.parse(running.began) / 1000) < 10, `${said.time}`);
  assert.deepEqual(record.network!.problems, []);
  assert.equal(record.network!.network, "simulated");
  assert.deepEqual(findLeft(lab), []);
  return record.log.map(({ text }) => text).join("\n");
}

/** Makes a golden state out of the one that stands ready, from which the machine starts from then on. */
async function change(lab: TestLab, name: string, command: string): Promise<void> {
  const args = ["machine", "prepare", "office", "--lab", lab.folder, "--from", "ready", "--as", name];
  const { status, stderr } = await runRebox([...args, "--command", command], 240_000);
  assert.equal(status, 0, stderr);
}

/** In a guest under the sanitizer a network manager takes longer than it is given: its address is set then. */
const FETCHED =
  SLOWNESS === 1 ? /network manager has fetched an address anew/ : /fetched an address anew|address was set/;

describe(
  "a Debian in a simulated network has an address, names, HTTP and HTTPS when its target begins",
  { skip },
  () => {
    test("that was prepared there, today and at another time", async () => {
      await withDebian(["way_in: guest-agent"], async (lab) => {
        assert.doesNotMatch(await checkAnalysis(lab, 1), /address/);
        await checkAnalysis(lab, 2, "--options", "clock=03-04-2031 05:06:07");
      });
    });

    test("that was frozen without an address, and whose network manager cares for its card", async () => {
      await withDebian(["way_in: guest-agent"], async (lab) => {
        await change(lab, "ifupdown", "ifdown eth0; ! ip -4 -o address show scope global | grep .");
        assert.match(await checkAnalysis(lab, 1), FETCHED);
        const networkd =
          "ifdown eth0; rm /etc/network/interfaces; printf '[Match]\\nName=eth0\\n[Network]\\nDHCP=yes\\n' > /etc/systemd/network/all.network; " +
          "systemctl start systemd-networkd; networkctl down eth0; ! ip -4 -o address show scope global | grep .";
        await change(lab, "networkd", networkd);
        assert.match(await checkAnalysis(lab, 2), FETCHED);
      });
    });

    test("that was frozen without an address, and has nothing that would fetch one", async () => {
      await withDebian(["way_in: console"], async (lab) => {
        const nobody = "ifdown eth0; rm -f /etc/network/interfaces /sbin/dhclient /sbin/dhcpcd /etc/resolv.conf";
        await change(lab, "nobody", nobody);
        assert.match(await checkAnalysis(lab, 1), /address was set/);
      });
    });
  },
);
