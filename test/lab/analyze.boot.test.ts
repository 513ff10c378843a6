import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { ReportedProcess } from "../../src/lab/analysis/report/gather-events";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { defaultKit } from "../kit/guests/guest-kits";
import { runRebox } from "../kit/guests/guest-run";
import {
  analyze,
  consoleMachine,
  findLeft,
  makeSnapshot,
  recordOf,
  SAMPLE,
  startAnalyze,
  untilPhase,
  yamlOf,
} from "../kit/lab/analyze-run";
import { NEEDS_QEMU, type TestLab, withTestLab } from "../kit/lab/lab-run";
import { withReadyMachine } from "../kit/lab/ready-lab";
import { PROJECT } from "../kit/project";

const BUILT_QEMU_IMG = join(PROJECT, "build/qemu/qemu-img");
/** The host's clock may be set back between the starts of two analyses, in milliseconds; their commands take longer. */
const CLOCK_MS = 1500;
const NETWORK = "args: -netdev user,id=n -device virtio-net-pci,netdev=n";

/** Tells the processes that begin and end as events of the analysis. */
const PROCESS_SCRIPT = `
  import { CallbackManager, getProcessList } from "rebox";
  let callbacks: CallbackManager;
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    callbacks = new CallbackManager(handle);
    callbacks.addCallback(CallbackManager.CREATEPROC_CB, (pid: number, _pgd: bigint, name: string) => {
      const ppid = getProcessList().find((each) => each.pid === pid)?.ppid;
      print(JSON.stringify({ type: "process.created", pid, ppid, name }));
    });
    callbacks.addCallback(CallbackManager.REMOVEPROC_CB, (pid: number, _pgd: bigint, name: string) =>
      print(JSON.stringify({ type: "process.ended", pid, name })));
    print("the script is there");
  }
  export const clean = (): void => callbacks.clean();
`;

/** Starts a server on this host that answers each connection with a digit; heard is what was said to it. */
async function withServer(use: (port: number, heard: string[]) => Promise<void>): Promise<void> {
  const heard: string[] = [];
  const server: Server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes) => {
      heard.push(String(bytes));
      socket.end("7");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use((server.address() as { port: number }).port, heard);
  } finally {
    server.close();
  }
}

function readReport(lab: TestLab, id = 1): AnalysisReport {
  return JSON.parse(lab.read(`analyses/${id}/report.json`)) as AnalysisReport;
}

/** Finds a process of a report by its name, and those that it started. */
function findNode(processes: readonly ReportedProcess[], name: string) {
  const found = processes.find((process) => process.name === name);
  return found && { ...found, children: processes.filter(({ parent }) => parent === found.id) };
}

describe("a target", () => {
  test("is executed in a guest that boots, by one command, and the report shows its processes", async () => {
    const files = { "conf/machineries/rebox.yaml": yamlOf({ g: consoleMachine([NETWORK]) }) };
    await withTestLab(files, async (lab) => {
      const script = lab.write("it's all processes.ts", PROCESS_SCRIPT);
      await withServer(async (port, heard) => {
        const command = `./sample 10.0.2.2 ${port}`;
        const options = ["--machine", "g", "--target", SAMPLE, "--command", command, "--script", script];
        const { status, stdout, stderr } = await analyze(lab, ...options);
        assert.deepEqual([status, stderr], [0, ""], stdout);
        assert.deepEqual(heard, ["this is sample\n"]);
        assert.match(stdout, /^analysis 1: finished: the command ended with status 7 \(\d+\.\d s, \d+ events\)$/m);
        assert.match(stdout, /^analysis 1: results are in .*\/analyses\/1$/m);
        const { outcome, reason, machine, target } = recordOf(lab);
        assert.deepEqual([outcome, reason, machine?.name], ["finished", "the command ended with status 7", "g"]);
        assert.deepEqual([target?.name, target?.size], ["sample", readFileSync(SAMPLE).length]);
        const { processes, counts } = readReport(lab);
        const sample = findNode(processes, "sample");
        // The child is a copy of the sample until it starts its program.
        assert.deepEqual(sample?.children.map(({ name }) => name), ["sample", "sleep"], JSON.stringify(processes)); // prettier-ignore
        assert.ok([sample, ...sample.children].every(({ ended }) => ended !== undefined));
        assert.equal(counts["script.message"], 1);
        assert.match(lab.read("analyses/1/report.html"), /<b[^>]*>sample<\/b>[^]*<b[^>]*>sleep<\/b>/);
        assert.deepEqual(findLeft(lab), []);
      });
    });
  });

  test("is described in the report by exactly what it did, with the modules that observe it", async () => {
    const files = {
      "conf/machineries/rebox.yaml": yamlOf({ g: consoleMachine([NETWORK]) }),
      "conf/auxiliary.conf": "[processes]\nenabled = yes\n[syscalls]\nenabled = yes\n",
    };
    await withTestLab(files, async (lab) => {
      await withServer(async (port) => {
        const command = `./sample 10.0.2.2 ${port}`;
        const { status, stdout } = await analyze(lab, "--target", SAMPLE, "--command", command);
        assert.equal(status, 0, stdout);
        const { analysis, processes, files: acts, network } = readReport(lab);
        assert.deepEqual(analysis.auxiliary.filter(({ errors }) => errors.length > 0), []); // prettier-ignore
        const sample = findNode(processes, "sample")!;
        assert.deepEqual(sample.children.map(({ name }) => name), ["sleep"], JSON.stringify(processes)); // prettier-ignore
        const child = sample.children[0]!;
        assert.deepEqual([sample.commandLine, child.commandLine], [command, "sleep 0"]);
        assert.ok([sample, child].every(({ ended }) => ended !== undefined));
        const ofSample = [...acts, ...network].filter(({ pid }) => pid === sample.pid || pid === child.pid);
        const orders = acts.map(({ sequence }) => Number(sequence));
        assert.deepEqual(
          orders,
          orders.toSorted((one, other) => one - other),
        );
        const shown = ofSample.map(({ time: _time, sequence: _sequence, process: _process, origin: _origin, ...act }) => act); // prettier-ignore
        assert.ok([sample, child, ...ofSample].every(({ origin }) => origin === "target"));
        // All else is folded away.
        const others = acts.filter(({ origin }) => origin !== "rebox" && origin !== "system");
        assert.deepEqual(
          others,
          acts.filter((act) => ofSample.includes(act)),
        );
        assert.deepEqual(shown, [
          { pid: sample.pid, path: "/tmp/sample-draft", type: "file.written" },
          { pid: sample.pid, path: "/tmp/sample-draft", to: "/tmp/sample-notes", type: "file.renamed" },
          { pid: child.pid, path: "/tmp/sample-child", type: "file.written" },
          { pid: sample.pid, path: "/tmp/sample-trace", type: "file.written" },
          { pid: sample.pid, path: "/tmp/sample-trace", type: "file.removed" },
          { pid: sample.pid, protocol: "tcp", address: "10.0.2.2", port, type: "network.connected" },
        ]);
        const page = lab.read("analyses/1/report.html");
        assert.match(page, /<b[^>]*>sample<\/b>[^]*<b[^>]*>sleep<\/b>/);
        for (const part of ["path=/tmp/sample-child", "to=/tmp/sample-notes", `address=10.0.2.2  port=${port}`])
          assert.ok(page.includes(part), part);
      });
    });
  });

  test("is executed by itself without a command, and may be a script with an odd name", async () => {
    await withReadyMachine({}, async (lab) => {
      const target = lab.path("-it's a $(target).sh");
      writeFileSync(target, '#!/bin/sh\necho "I am $0 in $(pwd), with $TARGET"\nread line || exit 42\n');
      const { status, stdout } = await analyze(lab, "--machine", "g", `--target=${target}`);
      assert.equal(status, 0, stdout);
      assert.equal(recordOf(lab).reason, "the target ended with status 42");
      assert.match(
        lab.read("state/g/console.log"),
        /^I am \.\/(_-it_s_a___target_\.sh) in (\/tmp\/rebox-\w+), with \2\/\1\r$/m,
      );
    });
  });

  test("is executed in a guest that continues from a snapshot", { skip: NEEDS_QEMU }, async () => {
    const machine = consoleMachine(["snapshot_path: memory.snapshot"]);
    await withTestLab({ "conf/machineries/rebox.yaml": yamlOf({ g: machine }) }, async (lab) => {
      await makeSnapshot(lab, "g", "memory.snapshot");
      const target = lab.write("target.sh", "#!/bin/sh\ncut -d. -f1 /proc/uptime > /dev/console\n");
      const { status, stdout } = await analyze(lab, "--machine", "g", "--target", target);
      assert.equal(status, 0, stdout);
      assert.equal(recordOf(lab).reason, "the target ended with status 0");
      const console = lab.read("state/g/console.log");
      assert.ok(!console.includes("rebox-guest: ready"), "it has not booted");
    });
  });
});

describe("a command", () => {
  test("arrives as it is, whatever is in it, in a machine of an ordinary QEMU", { skip: NEEDS_QEMU }, async () => {
    const machine = consoleMachine(["ip: 10.0.0.1"]);
    await withTestLab({ "conf/machineries/qemu.yaml": yamlOf({ m: machine }) }, async (lab) => {
      const text = `it's "quoted" \\ $HOME \`id\` ! % é\ttab ${"long ".repeat(400)}end`;
      const quoted = `'${text.replaceAll("'", "'\\''")}'`;
      const command = `printf '<%s>' ${quoted} | md5sum\nfalse`;
      const { status, stdout } = await analyze(lab, "--machine", "m", "--command", command);
      assert.equal(status, 0, stdout);
      assert.equal(recordOf(lab).reason, "the command ended with status 1");
      const { createHash } = await import("node:crypto");
      const expected = createHash("md5").update(`<${text}>`).digest("hex");
      assert.match(lab.read("state/m/console.log"), new RegExp(`^${expected}  -\\r$`, "m"));
      assert.deepEqual(findLeft(lab), []);
    });
  });

  test("that the shell cannot parse, that continues behind, that takes too long, that ends the machine", async () => {
    await withReadyMachine({}, async (lab) => {
      const expected: readonly (readonly [string, number, string, string])[] = [
        ["echo 'open", 0, "finished", "the command ended with status 2"],
        ["(sleep 3; echo behind > /dev/console) > /dev/null 2>&1 &", 0, "finished", "the command ended with status 0"],
        ["sleep 1000", 0, "finished", "the time of 5 s was over"],
        ["poweroff -f; sleep 1000", 0, "finished", "the machine went off by itself"],
      ];
      for (const [index, [command, status, outcome, reason]] of expected.entries()) {
        // Only one command is to be cut off, however busy the host is.
        const timeoutS = reason.includes("5 s") ? "5" : "60";
        const run = await analyze(lab, "--machine", "g", "--command", command, "--timeout", timeoutS);
        const record = recordOf(lab, index + 1);
        assert.deepEqual([record.outcome, record.reason, run.status], [outcome, reason, status], run.stdout);
        if (command.includes("behind")) assert.match(lab.read("state/g/console.log"), /behind\r$/m);
      }
      assert.deepEqual(findLeft(lab), []);
    });
  });
});

describe("several analyses", () => {
  test("run at once on machines of their own, up to the limit, and each is reported as JSON", async () => {
    const machines = { one: consoleMachine(), two: consoleMachine() };
    await withTestLab({ "conf/machineries/rebox.yaml": yamlOf(machines) }, async (lab) => {
      const { status, stdout, stderr } = await analyze(
        ...([lab, "--command", "sleep 2", "--runs", "3", "--parallel", "2", "--json"] as const),
      );
      assert.equal(status, 0, stderr);
      const entries = stdout.trim().split("\n").map((line) => JSON.parse(line) as { id: number; outcome: string; folder: string }); // prettier-ignore
      assert.deepEqual(entries.map(({ id, outcome, folder }) => [id, outcome, folder]), [1, 2, 3].map((id) => [id, "finished", lab.path(`analyses/${id}`)])); // prettier-ignore
      const times = [1, 2, 3].map((id) => {
        const { phases } = recordOf(lab, id);
        const of = (name: string) => Date.parse(phases.find(({ phase }) => phase === name)!.began);
        return [of("waiting for a machine"), of("ended")] as const;
      });
      assert.ok(times[1]![0] < times[0]![1] && times[0]![0] < times[1]![1], "the first two ran at once");
      assert.ok(times[2]![0] >= Math.min(times[0]![1], times[1]![1]) - CLOCK_MS, "the third waited");
      const list = await runRebox(["analyses", "list", "--lab", lab.folder], 60_000);
      assert.match(
        list.stdout,
        /^id +created[^\n]*\n3 +[-0-9: ]+finished +any +sleep 2 +the command ended with status 0$/m,
      );
      const show = await runRebox(["analyses", "show", "2", "--lab", lab.folder], 60_000);
      assert.match(show.stdout, /^state +finished$[^]*^results +.*analyses\/2\/analysis\.json$/m);
    });
  });

  test("two that want one machine have it one after the other, also in two commands", async () => {
    await withReadyMachine({}, async (lab) => {
      const one = startAnalyze(lab, "--machine", "g", "--command", "sleep 2");
      await untilPhase(lab, "running");
      const two = await analyze(lab, "--machine", "g", "--command", "true");
      assert.deepEqual([(await one.ended).end, two.status], [0, 0], two.stdout);
      const began = (id: number, name: string) =>
        Date.parse(recordOf(lab, id).phases.find(({ phase }) => phase === name)!.began);
      assert.ok(began(2, "starting machine") > began(1, "stopping machine") - CLOCK_MS);
    });
  });
});

test("what cannot be done is reported, by the exit status and in the record", async () => {
  await withTestLab({ "conf/machineries/rebox.yaml": yamlOf({ g: consoleMachine() }) }, async (lab) => {
    const refused = [
      [[], /there is nothing to analyse: name a file by --target/],
      [["--target", "/nonexistent"], /--target \/nonexistent: there is no such file/],
      [["--command", "id", "--script", "/nonexistent.ts"], /--script \/nonexistent\.ts: there is no such file/],
      [["--command", "id", "--options", "x"], /It must be NAME=VALUE/],
      [["--command", "id", "--timeout", "0"], /It must be a number of seconds/],
    ] as const;
    for (const [args, message] of refused) {
      const { status, stderr } = await analyze(lab, ...args);
      assert.equal(status, 1);
      assert.match(stderr, message);
    }
    assert.ok(!existsSync(lab.path("analyses/1")));
    const missing = await analyze(lab, "--machine", "h", "--command", "id");
    assert.equal(missing.status, 1);
    assert.match(recordOf(lab).reason!, /Machine with name h does not exist/);
    const { manager } = await lab.open();
    await manager.request("restoreStart", "g");
    const busy = await analyze(lab, "--machine", "g", "--command", "id");
    assert.deepEqual([busy.status, recordOf(lab, 2).reason], [1, "g is running; stop it first: rebox machine stop g"]);
    assert.equal((await manager.readState("g")).state, "running", "it is somebody else's");
    await manager.request("stop", "g");
    const script = lab.write("broken.ts", "export const clean = (;\n");
    const broken = await analyze(lab, "--machine", "g", "--command", "id", "--script", script);
    assert.equal(broken.status, 1);
    assert.match(recordOf(lab, 3).reason!, /broken\.ts:1:\d+/);
    assert.deepEqual(findLeft(lab), []);
  });
});

test("a target comes to a machine without a CD drive on a drive that is plugged in, and its own start arguments say where the console is", async () => {
  const { kernel, initramfs } = defaultKit();
  const append = "console=ttyS0 quiet no_timer_check panic=-1 rebox.run=console";
  const args = [
    ...["-machine", "pc", "-nodefaults", "-m", "256", "-display", "none"],
    ...["-kernel", kernel, "-initrd", initramfs, "-append", append],
    ...["-serial", "unix:%CONSOLE_SOCKET%,server=on,wait=off"],
    ...["-drive", "if=none,id=unused,format=qcow2,file=%DISPOSABLE_DISK_PATH%"],
  ];
  const settings = ["platform: linux", "machineinfo_path: machine.json", "qcow2_path: disk.qcow2"];
  await withTestLab({ "conf/machineries/rebox.yaml": yamlOf({ g: settings }) }, async (lab) => {
    lab.write("machine.json", JSON.stringify({ machine: { start_args: args } }));
    execFileSync(BUILT_QEMU_IMG, ["create", "-q", "-f", "qcow2", lab.path("disk.qcow2"), "1M"]);
    const target = lab.write("target.sh", "#!/bin/sh\nexit 5\n");
    const { status, stdout } = await analyze(lab, "--machine", "g", "--target", target);
    assert.equal(status, 0, stdout);
    assert.equal(recordOf(lab).reason, "the target ended with status 5");
    assert.deepEqual(findLeft(lab), []);
  });
});
