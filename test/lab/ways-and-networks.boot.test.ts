import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findLeft, recordOf } from "../kit/lab/analyze-run";
import { analyzeOnHost, BRIDGE, NEEDS_BRIDGE } from "../kit/lab/host-namespace";
import type { TestLab } from "../kit/lab/lab-run";
import { readPcapng } from "../kit/lab/pcapng";
import { withDebian } from "../kit/lab/ready-debian";

const NETCAPTURE = "[netcapture]\nenabled = yes\n";

/** Writes what the guest's own programs say, while it has a connection to the router. */
const TARGET = `#!/usr/bin/python3
import json, os, socket, subprocess, syslog, time
def run(*words): return subprocess.run(words, capture_output=True, text=True).stdout.strip()
said = {"pid": os.getpid(), "seconds": int(run("date", "+%s")), "address": run("ip", "-4", "-o", "address", "show", "scope", "global")}
syslog.openlog("own")
syslog.syslog("the target runs")
run("journalctl", "--sync")
entry = json.loads(run("journalctl", "--boot", "--identifier", "own", "--output", "json", "--lines", "1"))
said["journal"] = {"pid": int(entry["_PID"]), "name": entry["_COMM"], "seconds": int(entry["__REALTIME_TIMESTAMP"]) // 1000000}
try:
    connection = socket.create_connection(("10.0.2.2", 80), timeout=10)
    said["sockets"] = run("ss", "-Htnp", "dst", "10.0.2.2")
    said["port"] = connection.getsockname()[1]
    connection.sendall(b"GET /page HTTP/1.0\\r\\n\\r\\n")
    said["page"] = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
except OSError as error:
    said["failure"] = str(error)
# The kernel and the shell may write in between.
for _ in range(5):
    with open("/dev/console", "w") as console:
        console.write("said " + json.dumps(said) + " end\\n")
    time.sleep(0.2)
`;

/** As frames have it. */
const REQUEST = Buffer.from("GET /page").toString("hex");

interface Said {
  readonly pid: number;
  /** Since 1970. */
  readonly seconds: number;
  readonly address: string;
  /** The entry of the target itself. */
  readonly journal: { readonly pid: number; readonly name: string; readonly seconds: number };
  readonly sockets?: string;
  /** Of the guest's end of the connection. */
  readonly port?: number;
  readonly page?: string;
  readonly failure?: string;
}

/** Reads the words of the guest, of which two copies are the same. @throws AssertionError when none are */
function parseSaid(shown: string): Said {
  const copies = [...shown.replaceAll(/\r?\n/g, "").matchAll(/said ({.*?}) end/g)].map(([, words]) => words!);
  const whole = copies.find((words, index) => copies.indexOf(words) < index);
  return whole === undefined ? assert.fail(shown.slice(-2000)) : (JSON.parse(whole) as Said);
}

/** The pages that the guest gets at the router's address. */
const PAGES = { none: undefined, simulated: /INetSim/, user: /from the host/, [BRIDGE]: /from the host/ };

/** How far the guest's clock may be from this host's, in seconds: a busy host needs that to start a program. */
const CLOCK_LIMIT = 15;

/** Analyses the target, and compares what the record says of the guest with what the guest says. */
function checkAnalysis(lab: TestLab, id: number, way: string, network: keyof typeof PAGES): void {
  const target = lab.write("target.py", TARGET);
  const { status, stdout, stderr } = analyzeOnHost(
    lab,
    "--machine",
    "office",
    "--network",
    network,
    "--target",
    target,
  );
  const which = `${way} in ${network}`;
  assert.equal(status, 0, `${which}: ${stdout}${stderr}`);
  const record = recordOf(lab, id);
  const shown = lab.read("state/office/console.log");
  assert.equal(record.reason, "the target ended with status 0", `${which}: ${shown.slice(-2000)}`);
  assert.match(lab.read(`analyses/${id}/events.jsonl`), new RegExp(`"wayIn":"${way}","type":"target.started"`));
  const { network: recorded } = record;
  const isOpen = network === "user" || network === BRIDGE;
  assert.deepEqual([recorded!.network, recorded!.isOpen, recorded!.problems], [network, isOpen, []], which);

  const said = parseSaid(shown);
  const running = Date.parse(record.phases.find(({ phase }) => phase === "running")!.began) / 1000;
  assert.ok(
    Math.abs(said.seconds - running) < CLOCK_LIMIT,
    `${which}: date says ${said.seconds}, the record ${running}`,
  );
  const { pid, name, seconds } = said.journal;
  assert.deepEqual([pid, name], [said.pid, "target.py"], which);
  assert.ok(Math.abs(seconds - running) < CLOCK_LIMIT, `${which}: the journal says ${seconds}, the record ${running}`);
  assert.match(said.address, /inet 10\.0\.2\.15\/24/, which);
  const frames = readPcapng(lab.path(`analyses/${id}/network.pcapng`));
  const own = frames.filter(({ comment }) => comment === `process target.py (${said.pid})`);
  const page = PAGES[network];
  if (page === undefined) {
    assert.ok(said.failure !== undefined, `${which}: ${JSON.stringify(said)}`);
    assert.equal(said.page, undefined);
  } else {
    assert.match(said.page ?? said.failure!, page, which);
    assert.match(
      said.sockets!,
      new RegExp(`10\\.0\\.2\\.15:${said.port} +10\\.0\\.2\\.2:80 .*pid=${said.pid},`),
      which,
    );
    // The frames of that connection are those of the process that ss names.
    assert.ok(own.length > 0, `${which}: ${frames.map(({ comment }) => comment).join()}`);
    assert.ok(
      own.some(({ frame }) => frame.includes(REQUEST)),
      which,
    );
  }
  // None of the bridge's devices is left.
  assert.doesNotMatch(stdout, /tap\d/, which);
  assert.deepEqual(findLeft(lab), [], which);
}

describe(
  "the record of a clone of a Debian agrees with ip, ss, date and journal in it, in each network",
  { skip: NEEDS_BRIDGE },
  () => {
    const all = ["none", "simulated", "user", BRIDGE] as const;
    for (const way of ["guest-agent", "console", "keyboard"] as const) {
      test(`whose way in is ${way}`, async () => {
        await withDebian([`way_in: ${way}`, "console_user: root"], async (lab) => {
          lab.write("conf/auxiliary.conf", NETCAPTURE);
          for (const [index, network] of all.entries()) checkAnalysis(lab, index + 1, way, network);
        });
      });
    }

    test("whose way in is an agent that speaks CAPE's protocol, which a network without neighbours does not lead to", async () => {
      await withDebian(["way_in: agent", "ip: 10.0.2.15"], async (lab) => {
        lab.write("conf/auxiliary.conf", NETCAPTURE);
        for (const [index, network] of (["simulated", "user", BRIDGE] as const).entries()) {
          checkAnalysis(lab, index + 1, "agent", network);
        }
      });
    });
  },
);
