import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { findHostProblems, findNamespaceProblem } from "../../src/lab/network/network-host";
import { runRebox } from "../kit/guests/guest-run";
import {
  analyze,
  consoleMachine,
  findLeft,
  processesOf,
  recordOf,
  startAnalyze,
  untilPhase,
  yamlOf,
} from "../kit/lab/analyze-run";
import { NEEDS_QEMU, type TestLab, untilTrue, withTestLab } from "../kit/lab/lab-run";
import { giveReady } from "../kit/lab/ready-lab";
import { readPcapng } from "../kit/lab/pcapng";

const lack = findHostProblems()[0] ?? findNamespaceProblem();
const skip = lack === undefined ? false : `${lack.problem}: ${lack.advice}`;

/** Gives the guest kit's card its driver, and has it ask for an address. */
const UP = [
  "for module in $(cat /modules/order); do insmod /modules/$module.ko; done 2>/dev/null",
  "printf '#!/bin/sh\\n[ \"$1\" = bound ] || exit 0\\nip address add $ip/24 dev eth0\\nip route add default via $router\\necho nameserver $dns > /etc/resolv.conf\\n' > /tmp/dhcp",
  "mkdir -p /etc; chmod +x /tmp/dhcp; ip link set lo up; ip link set eth0 up",
  "udhcpc -i eth0 -n -q -t 5 -T 1 -s /tmp/dhcp > /dev/null 2>&1",
].join("; ");

/** Makes a lab with a machine that begins, but for one of `qemu`, where its guest waits at its prompt. */
function withMachine(
  more: readonly string[],
  use: (lab: TestLab) => Promise<void>,
  machinery = "rebox",
): Promise<void> {
  const base = consoleMachine(["network_card: virtio-net-pci"]);
  const settings = [...base, ...more];
  const files = {
    [`conf/machineries/${machinery}.yaml`]: yamlOf({ g: settings }),
    "conf/auxiliary.conf": "[netcapture]\nenabled = yes\n",
  };
  return withTestLab(files, async (lab) => {
    if (machinery === "rebox") await giveReady(lab, { name: "g", settings: [...base, "network: none"] });
    await use(lab);
  });
}

/** Has machine g execute a command, and returns what it writes. */
async function ask(lab: TestLab, network: string | undefined, command: string, id = 1): Promise<string> {
  const chosen = network === undefined ? [] : ["--network", network];
  const line = `(${command}) > /dev/console 2>&1`;
  const { status, stdout } = await analyze(lab, "--machine", "g", ...chosen, "--command", line, "--timeout", "100");
  assert.equal(status, 0, `${stdout}\n${recordOf(lab, id).reason}`);
  return lab.read("state/g/console.log").replaceAll("\r", "");
}

/** Records all that passes any interface of this host in the meantime. */
async function withHostCapture(lab: TestLab, use: () => Promise<void>): Promise<Buffer> {
  const file = lab.path("host.pcap");
  const child = spawn("tcpdump", ["-i", "any", "-U", "-s", "0", "--immediate-mode", "-Z", "root", "-w", file], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  await once(child.stderr, "data");
  await use();
  child.kill("SIGINT");
  await once(child, "close");
  return readFileSync(file);
}

/** The requests of the guest to a server of this host: all of them have the word. */
const send = (word: string, port: number) =>
  `${UP}; echo ${word} | nc -w 3 10.0.2.2 ${port}; echo ${word} | nc -u -w 1 10.0.2.2 ${port}; nslookup ${word}.example.com; true`;

/** Lists the processes in the namespaces of an analysis. INetSim writes its names over its environment, so no mark is there. */
function listServers(lab: TestLab): { readonly pid: number; readonly name: string }[] {
  const holder = processesOf(lab).find(({ line }) => line.includes("namespace-main"))?.pid;
  const namespaceOf = (pid: number | string | undefined) => {
    try {
      return readlinkSync(`/proc/${pid}/ns/net`);
    } catch {
      return undefined;
    }
  };
  const own = namespaceOf(holder);
  if (own === undefined) return [];
  return readdirSync("/proc").flatMap((pid) =>
    /^\d+$/.test(pid) && namespaceOf(pid) === own
      ? [{ pid: Number(pid), name: readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0")[0]! }]
      : [],
  );
}

describe("a simulated network", { skip }, () => {
  test("gives the guest an address, answers every name, address and port, and keeps what was asked with the analysis", async () => {
    await withMachine(["network: none"], async (lab) => {
      const command = [
        UP,
        "echo address $(ip -4 -o address show eth0 | sed 's/.*inet \\([^ ]*\\).*/\\1/')",
        "nslookup c2.example.com | tail -3; wget -qO- http://c2.example.com/x.txt | head -3",
        "echo odd port $(wget -qO- http://203.0.113.9:8080/ | grep -c INetSim)",
        "echo closed port $(sleep 5 | nc -w 8 192.0.2.99 4444 | wc -c)",
        "ping -c 1 -W 5 192.0.2.77 | grep received",
        "(sleep 1; echo QUIT) | nc -w 5 mx.example.org 25 | head -1",
      ].join("; ");
      const said = await ask(lab, "simulated", command);
      assert.match(said, /^address 10\.0\.2\.15\/24$/m);
      assert.match(said, /Address.*198\.51\.100\.1/);
      assert.match(said, /INetSim HTTP server/);
      assert.match(said, /^odd port [1-9]/m);
      assert.match(said, /^closed port [1-9]/m);
      assert.match(said, /1 packets received/);
      assert.match(said, /^220 .*INetSim/m);
      const record = recordOf(lab);
      const { names, ...network } = record.network!;
      assert.deepEqual(network, { network: "simulated", isOpen: false, isAsked: true, problems: [] });
      const asked = names!.map(({ name, type, process }) => [name, type, process?.replace(/\d+/, "PID")].join(" "));
      // On a busy host a socket may be closed before the first look at the guest's sockets is over.
      assert.match(asked.join("\n"), /^c2\.example\.com A( \w+ \(PID\)| ?)$/m);
      assert.ok(asked.includes("mx.example.org A nc (PID)"), asked.join("\n"));
      const [report] = readdirSync(lab.path("analyses/1/network/report"));
      const text = lab.read(`analyses/1/network/report/${report}`);
      assert.match(text, /HTTP connection, method: GET, URL: http:\/\/c2\.example\.com\/x\.txt/);
      assert.match(text, /URL: http:\/\/203\.0\.113\.9:8080\//);
      const frames = readPcapng(lab.path("analyses/1/network.pcapng"));
      assert.ok(frames.some(({ comment }) => /^process wget \(\d+\)$/.test(comment ?? "")));
      const page = lab.read("analyses/1/report.html");
      assert.match(page, /simulated, nothing leaves the lab/);
      assert.match(page, /c2\.example\.com/);
      const { modules } = JSON.parse(lab.read("analyses/1/report.json")) as AnalysisReport;
      assert.deepEqual(
        modules.webRequests.filter(({ url }) => url === "http://c2.example.com/x.txt"),
        [{ method: "GET", url: "http://c2.example.com/x.txt", count: 1 }],
      );
      assert.deepEqual(findLeft(lab), []);
    });
  });

  test("lets nothing out, nor does none; the user network does, and the record, the report and the log say so", async () => {
    await withMachine(["network: none"], async (lab) => {
      const heard: string[] = [];
      const server = createServer((socket) =>
        socket.on("error", () => {}).on("data", (text) => heard.push(String(text))),
      );
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as { port: number };
      try {
        for (const [index, network] of ["none", "simulated", "user"].entries()) {
          const word = `word${network}${process.pid}`;
          const all = await withHostCapture(
            lab,
            async () => void (await ask(lab, network, send(word, port), index + 1)),
          );
          const isOut = network === "user";
          assert.equal(all.includes(word), isOut, `${network}: ${isOut ? "the capture sees nothing" : "it got out"}`);
          assert.equal(heard.join().includes(word), isOut, network);
          const { network: recorded, log } = recordOf(lab, index + 1);
          assert.deepEqual([recorded?.network, recorded?.isOpen, recorded?.isAsked], [network, isOut, true]);
          assert.equal(
            log.some(({ level, text }) => level === "warn" && /network is open \(user\)/.test(text)),
            isOut,
          );
          assert.equal(/user, <span class="bad">open/.test(lab.read(`analyses/${index + 1}/report.html`)), isOut);
        }
      } finally {
        server.close();
      }
    });
  });

  test("is where a machine with that setting is prepared and its clones run: each with the same address, at the same time", async () => {
    await withMachine(["network: simulated", "max: 2"], async (lab) => {
      const prepared = await runRebox(
        ["machine", "prepare", "g", "--lab", lab.folder, "--from", "ready", "--as", "up", "--command", UP],
        240_000,
      );
      assert.equal(prepared.status, 0, prepared.stderr);
      assert.deepEqual(findLeft(lab), []);
      assert.ok(!existsSync(lab.path("state/g/network")));
      const command = "ip -4 -o address show eth0 > /dev/console; wget -qO- http://one.example.com/ > /dev/console";
      const { status, stdout } = await analyze(lab, "--machine", "g", "--command", command, "--runs", "2", "--parallel", "2"); // prettier-ignore
      assert.equal(status, 0, stdout);
      for (const id of [1, 2]) {
        const { machine, network } = recordOf(lab, id);
        assert.deepEqual([network?.network, network?.isAsked], ["simulated", false]);
        const said = lab.read(`state/${machine!.name}/console.log`);
        assert.match(said, /inet 10\.0\.2\.15\/24/);
        assert.match(said, /INetSim default HTML page/);
      }
      assert.notEqual(recordOf(lab, 1).machine!.name, recordOf(lab, 2).machine!.name);
      // The same state in another network.
      assert.equal((await analyze(lab, "--machine", "g", "--network", "none", "--command", "wget -T 2 -qO- http://198.51.100.1/ || exit 7")).status, 0); // prettier-ignore
      assert.match(recordOf(lab, 3).reason!, /status 7/);
      assert.deepEqual(findLeft(lab), []);
    });
  });

  test("that breaks while the target runs is told, and the analysis goes on", async () => {
    await withMachine(["network: simulated"], async (lab) => {
      const { ended } = startAnalyze(lab, "--machine", "g", "--command", "sleep 20");
      await untilPhase(lab, "running");
      const isMain = ({ name }: { readonly name: string }) => name === "inetsim_main";
      await untilTrue(async () => listServers(lab).some(isMain));
      process.kill(listServers(lab).find(isMain)!.pid, "SIGKILL");
      const { end, output } = await ended;
      assert.equal(end, 0, output);
      assert.match(output, /error: network: INetSim is gone: it ended with SIGKILL/);
      const { outcome, network } = recordOf(lab);
      assert.deepEqual([outcome, network!.problems.length], ["finished", 1]);
      assert.match(lab.read("analyses/1/events.jsonl"), /"type":"network.broken"/);
      assert.match(lab.read("analyses/1/report.html"), /INetSim is gone/);
      assert.deepEqual(findLeft(lab), []);
    });
  });

  test("leaves nothing when the analysis is killed", async () => {
    await withMachine(["network: simulated"], async (lab) => {
      const { ended } = startAnalyze(lab, "--machine", "g", "--command", "sleep 60");
      await untilPhase(lab, "running");
      const marked = processesOf(lab);
      const all = [...listServers(lab), ...marked];
      assert.ok(
        listServers(lab).some(({ name }) => name.startsWith("inetsim_http")),
        JSON.stringify(all),
      );
      process.kill(marked.find(({ line }) => line.includes("analysis-worker"))!.pid, "SIGKILL");
      await ended;
      assert.equal(recordOf(lab).outcome, "lost");
      await untilTrue(async () => all.every(({ pid }) => !existsSync(`/proc/${pid}/exe`)));
      assert.deepEqual(findLeft(lab), []);
      assert.doesNotMatch(readFileSync("/proc/mounts", "utf8"), /inetsim/);
      assert.doesNotMatch(readFileSync("/proc/net/dev", "utf8"), /tap/);
    });
  });

  test("that this host forbids fails the analysis with what to do, and never becomes another network", async () => {
    await withMachine(["network: simulated"], async (lab) => {
      lab.write("bin/unshare", "#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n");
      chmodSync(lab.path("bin/unshare"), 0o755);
      const env = { PATH: `${lab.path("bin")}:${process.env.PATH}` };
      const { status } = await runRebox(["analyze", "--lab", lab.folder, "--machine", "g", "--command", "id"], 120_000, undefined, env); // prettier-ignore
      assert.equal(status, 1);
      const { outcome, reason } = recordOf(lab);
      assert.equal(outcome, "failed");
      assert.match(reason!, /no simulated network can be made here: .*Operation not permitted.*allow user namespaces/);
      assert.deepEqual(findLeft(lab), []);
    });
  });

  test("is there for machines of an ordinary QEMU, too", { skip: NEEDS_QEMU }, async () => {
    await withMachine(
      ["network: simulated", "ip: 10.0.2.15"],
      async (lab) => {
        const said = await ask(lab, undefined, `${UP}; wget -qO- http://plain.example.com/x.txt | head -3`);
        assert.match(said, /INetSim HTTP server/);
        assert.deepEqual(findLeft(lab), []);
      },
      "qemu",
    );
  });
});

test("a network that the machine cannot have ends the analysis before the machine starts", async () => {
  await withTestLab({ "conf/machineries/rebox.yaml": yamlOf({ g: consoleMachine() }) }, async (lab) => {
    const { status } = await analyze(lab, "--machine", "g", "--network", "user", "--command", "id");
    assert.equal(status, 1);
    assert.match(recordOf(lab).reason!, /g cannot be given the network user: it has no network card; set network/);
    assert.ok(!existsSync(lab.path("state/g/console.log")));
  });
});
