import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { describe, test } from "node:test";
import { getProcessMark } from "../../src/lab/analysis/analysis-places";
import { findMarked } from "../../src/lab/analysis/marked-processes";
import { findProcess } from "../../src/lab/machinery/processes/process-identity";
import { runRebox } from "../kit/guests/guest-run";
import {
  analyze,
  findLeft,
  processesOf,
  recordOf,
  startAnalyze,
  untilPhase,
  untilProcess,
} from "../kit/lab/analyze-run";
import { type TestLab, untilTrue, withTestLab } from "../kit/lab/lab-run";
import { withReadyMachine } from "../kit/lab/ready-lab";
import { quickLab } from "../kit/lab/quick-machinery";

const WORKER = "analysis-worker";

/** An auxiliary module that starts a program beside the analysis, and waits in a method as long as there is a file hold.METHOD. */
const HELPER = {
  "conf/auxiliary.conf": "[helper]\nenabled = yes\n",
  "modules/auxiliary/helper.ts": `
    import { spawn } from "node:child_process";
    import { existsSync, writeFileSync } from "node:fs";
    import { Auxiliary } from "rebox/lab";
    export default class extends Auxiliary {
      async hold(what: string) {
        const file = this.run.folder + "/../../hold." + what;
        if (existsSync(file)) writeFileSync(file.replace("hold.", "held."), "");
        while (existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 10));
      }
      async start() {
        // In a session of its own, as daemons are.
        spawn("sleep", ["1234"], { stdio: "ignore", detached: true }).unref();
        await this.hold("start");
      }
      machineStarted() { return this.hold("machineStarted"); }
      stop() { return this.hold("stop"); }
    }`,
};

/** Where an analysis can be held, the phase that this is, and the file that tells that it is there. */
const HOLDS = [
  ["hold.start", "starting helpers", "held.start"],
  ["state/q/hold.restoreStart", "starting machine", "state/q/held.restoreStart"],
  ["hold.machineStarted", "starting machine", "held.machineStarted"],
  ["state/q/hold.openConsole", "delivering target", "state/q/held.openConsole"],
  ["hold.stop", "stopping helpers", "held.stop"],
  ["state/q/hold.dumpMemory", "dumping memory", "state/q/held.dumpMemory"],
  ["state/q/hold.stop", "stopping machine", "state/q/held.stop"],
] as const;

const OPTIONS = ["--machine", "q", "--command", "true", "--options", "memory=yes"];

function withQuickLab(use: (lab: TestLab) => Promise<void>): Promise<void> {
  return withTestLab({ ...quickLab("q"), ...HELPER }, async (lab) => {
    mkdirSync(lab.path("state/q"), { recursive: true });
    await use(lab);
  });
}

/** Checks that nothing goes on in the lab, and that its machine is off and free. */
async function checkClean(lab: TestLab): Promise<void> {
  assert.deepEqual(findLeft(lab), []);
  const { manager } = await lab.open();
  const machine = manager.machines.get("q");
  assert.deepEqual([(await manager.readState("q")).state, machine.isAvailable], ["poweroff", true]);
}

/** Checks the same, and that the next analysis finishes. */
async function checkUsable(lab: TestLab): Promise<void> {
  await checkClean(lab);
  const { status, stdout } = await analyze(lab, ...OPTIONS);
  assert.equal(status, 0, stdout);
  assert.deepEqual(findLeft(lab), []);
}

describe("when it is killed in the middle", () => {
  for (const [hold, phase, held] of HOLDS) {
    test(`an analysis held at ${hold} is lost, says so, and leaves nothing`, async () => {
      await withQuickLab(async (lab) => {
        lab.write(hold, "");
        const { ended } = startAnalyze(lab, ...OPTIONS);
        await untilTrue(() => existsSync(lab.path(held)));
        process.kill(await untilProcess(lab, WORKER), "SIGKILL");
        rmSync(lab.path(hold));
        const { end, output } = await ended;
        assert.equal(end, 1, output);
        const { outcome, reason, ended: when } = recordOf(lab);
        assert.deepEqual([outcome, reason], ["lost", `its process was killed (SIGKILL) while: ${phase}`]);
        assert.ok(when !== undefined && existsSync(lab.path("analyses/1/report.html")));
        await checkClean(lab);
      });
    });
  }

  for (const [hold, phase, held] of HOLDS.filter(([, , file]) => file !== "held.start")) {
    test(`an analysis whose machine is killed while held at ${hold} ends, says so, and leaves nothing`, async () => {
      await withQuickLab(async (lab) => {
        lab.write(hold, "");
        const { ended } = startAnalyze(lab, ...OPTIONS);
        await untilTrue(() => existsSync(lab.path(held)));
        process.kill(Number(lab.read("state/q/pid")), "SIGKILL");
        rmSync(lab.path(hold));
        const { end, output } = await ended;
        const { outcome, reason } = recordOf(lab);
        // What the target did was over by then.
        const isOver = ["stopping helpers", "dumping memory", "stopping machine"].includes(phase);
        assert.deepEqual([outcome, end], isOver ? ["finished", 0] : ["failed", 1], output);
        assert.notEqual(reason, undefined);
        if (phase === "starting machine" && hold.startsWith("state")) {
          assert.equal((await runRebox(["machine", "enable", "q", "--lab", lab.folder], 60_000)).status, 0, reason);
        }
        await checkClean(lab);
      });
    });
  }

  test("a supervisor that is killed leaves an analysis that ends itself", async () => {
    await withQuickLab(async (lab) => {
      const { child, ended } = startAnalyze(lab, "--machine", "q", "--command", "sleep 1000");
      await untilPhase(lab, "running");
      child.kill("SIGKILL");
      await ended;
      await untilTrue(() => recordOf(lab).outcome !== undefined && processesOf(lab).length === 0);
      const { outcome, reason } = recordOf(lab);
      assert.deepEqual([outcome, reason], ["cancelled", "the process that supervised it is gone"]);
      await checkClean(lab);
    });
  });

  for (const phase of ["starting machine", "running"] as const) {
    test(`a supervisor that is killed when its lab's folder goes, while ${phase}, leaves no process`, async () => {
      await withQuickLab(async (lab) => {
        if (phase !== "running") lab.write("state/q/hold.restoreStart", "");
        const { child, ended } = startAnalyze(lab, "--machine", "q", "--command", "sleep 1000");
        await untilPhase(lab, phase);
        await untilProcess(lab, "1234");
        const mark = getProcessMark(lab.folder, 1);
        child.kill("SIGKILL");
        renameSync(lab.folder, `${lab.folder}.gone`);
        try {
          await ended;
          await untilTrue(() => findMarked(mark).length === 0);
          // Where the machine's module is held by a file, it has gone on by then.
          if (phase === "running") assert.equal(existsSync(lab.folder), false);
        } finally {
          rmSync(lab.folder, { recursive: true, force: true });
          renameSync(`${lab.folder}.gone`, lab.folder);
        }
      });
    });
  }

  test("what a supervisor and its analysis leave when both are killed is ended by the next command on the lab", async () => {
    await withQuickLab(async (lab) => {
      const { child, ended } = startAnalyze(lab, "--machine", "q", "--command", "sleep 1000");
      await untilPhase(lab, "running");
      const worker = await untilProcess(lab, WORKER);
      child.kill("SIGSTOP");
      process.kill(worker, "SIGKILL");
      child.kill("SIGKILL");
      await ended;
      assert.ok(processesOf(lab).length > 0, "a machine and a helper are left");
      const { stdout, stderr } = await runRebox(["machine", "list", "--lab", lab.folder], 60_000);
      assert.match(stderr, /^rebox: analysis 1 was lost: rebox was gone while: running$/m);
      assert.match(stdout, /^q +quick +q +linux +poweroff$/m);
      assert.deepEqual([recordOf(lab).outcome, recordOf(lab).reason], ["lost", "rebox was gone while: running"]);
      await checkUsable(lab);
    });
  });
});

describe("when it is told to end", () => {
  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    // prettier-ignore
    test(`by ${signal}, it is cancelled with all that waits, and ends with ${status}`, async () => {
      await withQuickLab(async (lab) => {
        const two = ["--runs", "2", "--parallel", "1"];
        const { child, ended } = startAnalyze(lab, "--machine", "q", "--command", "sleep 1000", ...two);
        await untilPhase(lab, "running");
        child.kill(signal);
        const { end, output } = await ended;
        assert.equal(end, status, output);
        const reason = signal === "SIGINT" ? "cancelled by Ctrl-C" : `cancelled by ${signal}`;
        assert.deepEqual([recordOf(lab).outcome, recordOf(lab).reason], ["cancelled", reason]);
        assert.match(output, new RegExp(`^analysis 2: cancelled: ${reason}`, "m"));
        await checkClean(lab);
      });
    });
  }
});

describe("a module that is broken", () => {
  const broken: readonly (readonly [string, string, string, RegExp])[] = [
    ["an auxiliary module that does not compile", "modules/auxiliary/helper.ts", "export const = ;", /helper\.ts:1/],
    ["one that exports nothing of use", "modules/auxiliary/helper.ts", "export const x = 1;", /exports no class/],
    [
      "one that throws in every method, and in a timer",
      "modules/auxiliary/helper.ts",
      `import { Auxiliary } from "rebox/lab";
       export default class extends Auxiliary {
         start() { setTimeout(() => { throw new Error("in a timer"); }, 0); }
         machineStarted() { throw new Error("in machineStarted"); }
         stop() { throw new Error("in stop"); }
         finish() { throw new Error("in finish"); }
       }`,
      /in a timer[^]*in machineStarted[^]*in stop[^]*in finish/,
    ],
    ["a machinery module that does not compile", "modules/machinery/other.ts", "export const = ;", /other\.ts:1/],
    ["a private configuration that throws", "data/auxiliary/helper.ts", "throw new Error('private');", /private/],
  ];
  for (const [what, file, text, message] of broken) {
    test(`${what} is reported in the record, and the analysis finishes`, async () => {
      await withQuickLab(async (lab) => {
        lab.write(file, text);
        const { status, stdout } = await analyze(lab, ...OPTIONS);
        assert.equal(status, 0, stdout);
        const { log, auxiliary } = recordOf(lab);
        assert.match(log.map(({ text: line }) => line).join("\n") + JSON.stringify(auxiliary), message);
        assert.deepEqual(findLeft(lab), []);
      });
    });
  }

  for (const what of ["restoreStart", "stop", "openConsole", "dumpMemory"] as const) {
    test(`a machinery that fails in ${what} is reported in the record`, async () => {
      await withQuickLab(async (lab) => {
        lab.write(`state/q/fail.${what}`, "");
        const { status } = await analyze(lab, ...OPTIONS);
        const { outcome, reason, log } = recordOf(lab);
        assert.match(`${reason}${JSON.stringify(log)}`, new RegExp(`the test says so: ${what}`));
        assert.deepEqual([outcome, status], what === "dumpMemory" ? ["finished", 0] : ["failed", 1]);
        rmSync(lab.path(`state/q/fail.${what}`));
        await runRebox(["machine", "enable", "q", "--lab", lab.folder], 60_000);
        await runRebox(["machine", "stop", "q", "--lab", lab.folder], 60_000);
        await checkUsable(lab);
      });
    });
  }
});

test("fifty analyses in a row leave nothing but their results, and lose none", async () => {
  await withTestLab({ ...quickLab("one", "two"), ...HELPER }, async (lab) => {
    const { status, stdout } = await analyze(lab, "--command", "true", "--runs", "50", "--parallel", "2");
    assert.equal(status, 0, stdout);
    for (let id = 1; id <= 50; id++) {
      assert.equal(recordOf(lab, id).reason, "the command ended with status 0");
      const files = readdirSync(lab.path(`analyses/${id}`)).toSorted();
      assert.deepEqual(files, ["analysis.json", "events.jsonl", "report.html", "report.json", "summary.json"]);
    }
    assert.deepEqual(findLeft(lab), []);
  });
});

test("a disk that is full is reported in the record and by the exit status, and nothing is left", async (context) => {
  if (process.getuid!() !== 0) return context.skip("needs root, for a disk of its own");
  await withQuickLab(async (lab) => {
    mkdirSync(lab.path("analyses"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", lab.path("analyses")]);
    try {
      lab.write(
        "modules/auxiliary/helper.ts",
        `
        import { writeFileSync } from "node:fs";
        import { Auxiliary } from "rebox/lab";
        export default class extends Auxiliary {
          machineStarted() {
            try {
              writeFileSync(this.run.folder + "/large", Buffer.alloc(4 << 20));
            } finally {
              for (let n = 0; n < 10_000; n++) this.run.addEvent("helper.event", { n });
            }
          }
        }`,
      );
      const { status, stdout } = await analyze(lab, ...OPTIONS);
      assert.equal(status, 1, stdout);
      const { outcome, reason } = recordOf(lab);
      assert.equal(outcome, "failed");
      assert.match(reason!, /^the results are incomplete: .*ENOSPC/);
      rmSync(lab.path("analyses/1/large"));
      lab.write("modules/auxiliary/helper.ts", HELPER["modules/auxiliary/helper.ts"]);
      await checkUsable(lab);
    } finally {
      execFileSync("umount", [lab.path("analyses")]);
    }
  });
});

test("an engine of rebox that is killed while the target runs is reported with its signal", async () => {
  await withReadyMachine({}, async (lab) => {
    const { ended } = startAnalyze(lab, "--machine", "g", "--command", "sleep 1000");
    await lab.until("analyses/1/events.jsonl", /"type":"target\.started"/);
    const { pid } = JSON.parse(lab.read("state/g/process.json")) as { pid: number };
    process.kill(pid, "SIGKILL");
    assert.equal((await ended).end, 1);
    assert.match(recordOf(lab).reason!, /^the machine is gone: its process ended with SIGKILL/);
    assert.equal(findProcess(pid), undefined);
    assert.deepEqual(findLeft(lab), []);
  });
});

test("a machine whose QMP socket is gone is ended all the same", async () => {
  await withReadyMachine({}, async (lab) => {
    const { ended } = startAnalyze(lab, "--machine", "g", "--command", "sleep 1000", "--timeout", "10");
    await lab.until("analyses/1/events.jsonl", /"type":"target\.started"/);
    rmSync(lab.path("state/g/qmp.sock"));
    const { end, output } = await ended;
    assert.deepEqual([end, recordOf(lab).reason], [0, "the time of 10 s was over"], output);
    assert.deepEqual(findLeft(lab), []);
  });
});

test("a virsh that hangs ends in the record, with what was asked, and nothing of it is left", async () => {
  const conf = "dsn: qemu:///system\nmachines:\n  v:\n    platform: linux\n    ip: 10.0.0.1\n    label: v\n";
  await withTestLab({ "conf/machineries/libvirt.yaml": conf }, async (lab) => {
    const virsh = lab.write(
      "bin/virsh",
      '#!/bin/sh\ncase "$*" in\n-V) printf "Virsh command line tool of libvirt 9.0.0\\n\\nCompiled with support for:\\n Hypervisors: QEMU/KVM Test\\n";;\n*uri) echo qemu:///system;;\n*) [ -e "$0.hangs" ] && exec sleep 4321; echo "shut off";;\nesac\n',
    );
    chmodSync(virsh, 0o755);
    lab.write("bin/virsh.hangs", "");
    const env = { PATH: `${lab.path("bin")}:${process.env.PATH}` };
    const args = ["analyze", "--lab", lab.folder, "--machine", "v", "--command", "id"];
    const { status, stdout } = await runRebox(args, 120_000, undefined, env);
    assert.equal(status, 1, stdout);
    assert.match(recordOf(lab).reason!, /virsh .*domstate.*v.* (15|20) s/);
    assert.deepEqual(findLeft(lab), []);
    // What ends the test looks at the machine as well, with a virsh of its own.
    rmSync(lab.path("conf/machineries/libvirt.yaml"));
  });
});
