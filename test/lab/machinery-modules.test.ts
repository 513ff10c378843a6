import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { doors } from "../../src/doors/doors";
import { Lab } from "../../src/lab/lab";
import { LabMachinePool } from "../../src/lab/analysis/leased-machine";
import { MODULE, withFolder } from "../kit/lab/lab-folder";

const CONF = "machines = a\n[a]\nlabel = A\nplatform = linux\nip = 10.0.0.1\n";

/** Returns why a module cannot be used. */
async function findFailure(source: string): Promise<string> {
  let failure = "";
  await withFolder({ "modules/machinery/mine.ts": source }, async (lab) => {
    failure = (await lab.check()).failures.join("\n");
  });
  return failure;
}

describe("a module of the user's", () => {
  test("one file and one configuration make a machinery, with settings of its own", async () => {
    await withFolder(
      { "modules/machinery/mine.ts": MODULE, "conf/mine.conf": `[mine]\npower = 9\n${CONF}` },
      async (lab) => {
        assert.match(
          (await lab.check()).errors.join(),
          /conf\/mine.conf:2: "power" is "9"; it must be a whole number from 1 to 5/,
        );
        const broken = await lab.open();
        assert.match(broken.failures[0]!, /machinery mine is not used: .*"power"/);
        lab.write("conf/mine.conf", `[mine]\npower = 4\n${CONF}`);
        const { manager, failures } = await lab.open();
        assert.deepEqual(failures, []);
        assert.equal((await manager.request("restoreStart", "a")).state, "running");
        assert.equal((await manager.request("stop", "a")).state, "poweroff");
      },
    );
  });

  test("in Cuckoo's style it needs start() and stop(), and throws CuckooMachineError", async () => {
    const source = `
      import { CuckooMachineError, CuckooMachinery } from "rebox/lab";
      export class MyMachinery extends CuckooMachinery {
        async start(label: string): Promise<void> {
          if (label === "B") throw new CuckooMachineError("OPS!");
        }
        async stop(label: string): Promise<void> {}
      }`;
    const conf = `[mine]\nmachines = a, b\n[a]\nlabel = A\nplatform = linux\nip = 10.0.0.1\n[b]\nlabel = B\nplatform = linux\nip = 10.0.0.2\n`;
    await withFolder({ "modules/machinery/mine.ts": source, "conf/mine.conf": conf }, async (lab) => {
      const { manager, failures } = await lab.open();
      assert.deepEqual(failures, []);
      assert.equal((await manager.request("restoreStart", "a")).state, "running");
      const refused = await manager.request("restoreStart", "b");
      assert.deepEqual([refused.reason, refused.isQuarantined], ["OPS!", true]);
      assert.match((await manager.request("dumpMemory", "a", { path: "/x" })).reason!, /does not support dumpMemory/);
      const again = await lab.open();
      assert.equal((await again.manager.readState("a")).state, "running", "the next process knows it");
      assert.equal((await again.manager.request("stop", "a")).state, "poweroff");
    });
    assert.match(
      await findFailure(source.replace(/async stop[^]*?\{\}/, "")),
      /mine\.ts: MyMachinery has no stop\(\)$/,
    );
    assert.match(await findFailure(source.replace("async start(", "async begin(")), /MyMachinery has no start\(\)/);
  });

  const OWN_LAYOUT = `
      import { existsSync, readdirSync } from "node:fs";
      import { join } from "node:path";
      import { CuckooMachinery, type MachineFacts } from "rebox/lab";
      export class MyMachinery extends CuckooMachinery {
        initialize(): MachineFacts[] {
          const { content, labFolder, configFiles } = this.context;
          const folder = (content.mine as { vms_dir?: string } | undefined)?.vms_dir ?? "vms";
          const path = join(labFolder, folder);
          this.context.log(\`\${configFiles.length} files, \${configFiles[0]?.text.length ?? 0} letters\`);
          return (existsSync(path) ? readdirSync(path) : []).map((name) =>
            this.context.makeMachine(name, { label: name.toUpperCase(), platform: "linux", ip: "10.0.0.1", tags: ["a,b"] }),
          );
        }
        start(): void {}
        stop(): void {}
      }`;

  test("initialize() reads another layout: the file need not have a machine, nor the usual sections, nor be there", async () => {
    for (const [conf, folder] of [
      ["[mine]\nvms_dir = boxes\n", "boxes"],
      ["[elsewhere]\nx = 1\n", "vms"],
      ["[mine]\nmachines = gone\nvms_dir = boxes\nno value\n", "boxes"],
      [undefined, "vms"],
    ] as const) {
      const files = { "modules/machinery/mine.ts": OWN_LAYOUT, [`${folder}/one`]: "", [`${folder}/two`]: "" };
      await withFolder(conf === undefined ? files : { ...files, "conf/mine.conf": conf }, async (lab) => {
        const lines: string[] = [];
        const { manager, failures, problems } = await Lab.open(lab.folder, {
          api: doors,
          log: (line) => void lines.push(line),
        });
        assert.deepEqual([failures, problems.errors], [[], []], conf);
        assert.deepEqual(lines, [`mine: ${conf === undefined ? 0 : 1} files, ${conf?.length ?? 0} letters`]);
        assert.deepEqual([...manager.machines].map(({ name, label }) => `${name} ${label}`).toSorted(), ["one ONE", "two TWO"]); // prettier-ignore
        assert.deepEqual([...manager.machines.get("one").facts.tags], ["a,b"]);
        assert.equal((await manager.request("restoreStart", "one")).success, true);
        const check = await lab.check();
        assert.deepEqual([check.errors, check.failures], [[], []]);
        assert.equal(check.warnings.length, conf?.includes("gone") === true ? 2 : 0, check.warnings.join("\n"));
      });
    }
  });

  test("loadMachines() brings machines from elsewhere, from nothing; none at all is told, and what is no machine too", async () => {
    const module = (body: string) =>
      MODULE.replace("async restoreStart", `async loadMachines() { ${body} }\n  async restoreStart`);
    const load = async (body: string) => {
      const lines: string[] = [];
      let result: unknown;
      await withFolder({ "modules/machinery/mine.ts": module(body) }, async (lab) => {
        const { manager, failures } = await Lab.open(lab.folder, { api: doors, log: (line) => void lines.push(line) });
        result = [[...manager.machines].map(({ name }) => name), failures, lines];
      });
      return result;
    };
    const good = 'return [this.context.makeMachine("far", { platform: "linux", ip: "10.0.0.9" })];';
    assert.deepEqual(await load(good), [["far"], [], []]);
    assert.deepEqual(await load("return [];"), [[], [], ["mine: its module has made no machines"]]);
    const bad = 'return [this.context.makeMachine("far", { platform: "beos", ipp: "1" })];';
    const [, [failure], [line]] = (await load(bad)) as [unknown, [string], [string]];
    assert.equal(
      failure,
      'machinery mine is not used: machine far of mine: "ip" is missing; it must be an IP address such as 192.168.30.101; "platform" is "beos"; it must be one of windows, darwin, linux',
    );
    assert.equal(line, 'mine: far: "ipp" is no known setting here and is ignored; did you mean "ip"?');
    assert.match(String((await load("return 5;") as unknown[])[1]), /machinery mine is not used: its loadMachines\(\) .* returns no list/); // prettier-ignore
    assert.match(String((await load('return [{ name: "../x" }];') as unknown[])[1]), /a machine named "\.\.\/x": letters, digits/); // prettier-ignore
    assert.match(String((await load('return [{ name: "x" }];') as unknown[])[1]), /the machine x without a label or a platform/); // prettier-ignore
  });

  test("a machine that cannot be given a target is refused before it is started, with the reason", async () => {
    const text = "[mine]\nmachines = a, b\n[a]\nlabel = A\nplatform = linux\nip = 10.0.0.1\nway_in = console\n[b]\nlabel = B\nplatform = windows\nip = 10.0.0.2\nway_in = console\n"; // prettier-ignore
    await withFolder({ "modules/machinery/mine.ts": MODULE, "conf/mine.conf": text }, async (lab) => {
      const opened = await lab.open();
      const use = {
        id: 1,
        folder: lab.folder,
        scripts: [],
        hasTarget: true,
        addEvent: () => undefined,
        warn: () => undefined,
      };
      const acquire = (name: string | undefined, needs = {}) =>
        new LabMachinePool(opened, { ...use, ...needs }).acquire(name, AbortSignal.timeout(5000));
      const reason = "a cannot be given a target: the machinery mine has no serial console (openConsole); give it another way_in"; // prettier-ignore
      await assert.rejects(acquire("a"), { name: "MachineUnserviceableError", message: reason });
      await assert.rejects(acquire(undefined), /a cannot be given a target: .*; b cannot be given a target: /);
      lab.write("conf/mine.conf", text.replaceAll("way_in = console", "way_in = guest-agent"));
      const other = new LabMachinePool(await lab.open(), use).acquire("a", AbortSignal.timeout(5000));
      await assert.rejects(other, /the machinery mine cannot call QEMU's guest agent/);
      lab.write("conf/mine.conf", text.replaceAll("way_in = console", "way_in = agent"));
      const reached = await new LabMachinePool(await lab.open(), use).acquire("a", AbortSignal.timeout(5000));
      await reached.release(undefined);
      lab.write("conf/mine.conf", text);
      const console = MODULE.replace("async state", "async openConsole() {}\n  async state");
      lab.write("modules/machinery/mine.ts", console);
      const second = await lab.open();
      const pool = (hasTarget: boolean) => new LabMachinePool(second, { ...use, hasTarget });
      await assert.rejects(pool(true).acquire("a", AbortSignal.timeout(5000)), /has no disc \(insertDisc\)/);
      await assert.rejects(
        pool(false).acquire("b", AbortSignal.timeout(5000)),
        /b cannot be given a target: way_in = console leads into Linux guests only; set it to agent/,
      );
      const machine = await pool(false).acquire(undefined, AbortSignal.timeout(5000));
      assert.equal(machine.name, "a", "of several, one that can is taken");
      await machine.release(undefined);
    });
  });

  test("what is no machinery, has no name, or is missing something is reported with its file", async () => {
    assert.match(
      await findFailure("export class Other {}"),
      /mine\.ts: it must export a class that extends Machinery.*only Other/,
    );
    assert.match(await findFailure("export const x = 1;"), /mine\.ts: .*exports no class/);
    assert.match(
      await findFailure(MODULE.replace('"mine"', '""')),
      /Mine has no name, so it is not loaded; give it name = "mine"/,
    );
    assert.match(await findFailure(MODULE.replace("async state", "async status")), /Mine has no state\(\)/);
    assert.match(
      await findFailure(MODULE.replace("async restoreStart", "async restore_start")),
      /Mine has no restoreStart\(\); restore_start\(\) is restoreStart\(\) here$/,
    );
    assert.match(
      await findFailure(MODULE.replace("async state", "async acpi_stop() {}\n async dump_memory() {}\n async state")),
      /Mine: acpi_stop\(\) is acpiStop\(\) here; dump_memory\(\) is dumpMemory\(\) here$/,
      "a method that nobody would call is not passed over",
    );
    assert.match(
      await findFailure(MODULE.replace("async restoreStart", "async start")),
      /Mine has no restoreStart\(\); a class with start\(label\) and stop\(label\) extends CuckooMachinery$/,
    );
    assert.match(
      await findFailure(`${MODULE} export class Two extends Mine {}`),
      /exports Mine and Two; one is wanted/,
    );
    assert.match(await findFailure("export class {"), /mine\.ts:1:\d+: Expected identifier/);
    assert.match(await findFailure("throw new Error('at once');"), /mine\.ts:1:7: its top level threw Error: at once/);
    assert.match(await findFailure(MODULE.replace('"mine"', '"kvm"')), /the name kvm is taken by rebox itself/);
  });

  test("a broken module takes no other with it", async () => {
    const files = {
      "modules/machinery/a_broken.ts": "export class {",
      "modules/machinery/mine.ts": MODULE,
      "conf/mine.conf": `[mine]\n${CONF}`,
    };
    await withFolder(files, async (lab) => {
      const { manager, failures } = await lab.open();
      assert.match(failures.join(), /a_broken\.ts:1/);
      assert.equal((await manager.request("restoreStart", "a")).success, true);
    });
  });

  test("machines of two machineries are in one lab, and their names must differ", async () => {
    const second = MODULE.replace('"mine"', '"second"');
    const files = {
      "modules/machinery/mine.ts": MODULE,
      "modules/machinery/second.ts": second,
      "conf/mine.conf": `[mine]\n${CONF}`,
      "conf/second.conf": `[second]\n${CONF}`,
    };
    await withFolder(files, async (lab) => {
      assert.match(
        (await lab.check()).errors.join(),
        /second.conf:3: a machine of mine is named a as well; rename one/,
      );
      assert.match(
        (await lab.open()).failures.join(),
        /machinery second is not used: two machines are named a, of mine and second/,
      );
      lab.write("conf/second.conf", `[second]\n${CONF.replace("= a", "= b").replace("[a]", "[b]")}`);
      const { manager, failures } = await lab.open();
      assert.deepEqual(failures, []);
      await manager.request("restoreStart", "b");
      assert.deepEqual(
        [(await manager.readState("a")).state, (await manager.readState("b")).state],
        ["poweroff", "running"],
      );
    });
  });

  test("what a machinery needs is checked when it has machines, and only then", async () => {
    const yaml = "binaries: {qemu_img: /nonexistent/qemu-img}\n";
    await withFolder({ "conf/machineries/qemu.yaml": yaml }, async (lab) => {
      assert.deepEqual((await lab.open()).failures, []);
    });
    const source = MODULE.replace(
      "async restoreStart",
      'async verifyDependencies(): Promise<void> {\n    throw new MachineryDependencyError("tool is not there; install it: apt install tool");\n  }\n  async restoreStart',
    ).replace("Machinery,", "Machinery, MachineryDependencyError,");
    await withFolder({ "modules/machinery/mine.ts": source, "conf/mine.conf": `[mine]\n${CONF}` }, async (lab) => {
      assert.deepEqual((await lab.open()).failures, [
        "machinery mine is not used: tool is not there; install it: apt install tool",
      ]);
    });
  });

  test("machines that are found running are stopped when that is asked for", async () => {
    const source = MODULE.replace("new Set<string>()", 'new Set<string>(["A"])');
    await withFolder({ "modules/machinery/mine.ts": source, "conf/mine.conf": `[mine]\n${CONF}` }, async (lab) => {
      const opened = await lab.open();
      assert.equal((await opened.manager.readState("a")).state, "running");
      assert.deepEqual([...(await opened.stopRunning())], []);
      assert.equal((await opened.manager.readState("a")).state, "poweroff");
    });
    const stuck = source.replace("this.on.delete(machine.label);", 'throw new Error("stuck");');
    await withFolder({ "modules/machinery/mine.ts": stuck, "conf/mine.conf": `[mine]\n${CONF}` }, async (lab) => {
      const failed = await (await lab.open()).stopRunning();
      assert.match(failed.get("a")!, /found running and cannot be stopped: .*stuck[^]*check its configuration/);
    });
  });

  test("a machine is one run's at a time, in whatever process, and a quarantined one is nobody's", async () => {
    const two = `[mine]\nmachines = a, b\n[a]\nlabel = A\nplatform = linux\nip = 10.0.0.1\n[b]\nlabel = B\nplatform = linux\nip = 10.0.0.2\n`;
    await withFolder({ "modules/machinery/mine.ts": MODULE, "conf/mine.conf": two }, async (lab) => {
      // Two labs opened on one folder know of each other by the locks alone, as two processes do.
      const [first, second] = [await lab.open(), await lab.open()];
      const one = await first.take("run 1", { platform: "linux" });
      const other = await second.take("run 2", { platform: "linux" });
      assert.deepEqual([one.machine.name, other.machine.name], ["a", "b"]);
      const controller = new AbortController();
      const third = second.take("run 3", {}, controller.signal);
      await one.release();
      assert.equal((await third).machine.name, "a");
      const fourth = first.take("run 4", {}, controller.signal);
      controller.abort();
      await assert.rejects(fourth, /waiting for a machine for run 4 was cancelled/);
      await assert.rejects(first.take("run 5", { platform: "windows" }), /no machine for windows is configured/);
      first.manager.machines.get("b").disable("broken");
      await other.release();
      await (await third).release();
      assert.equal((await first.take("run 6", {})).machine.name, "a");
    });
  });

  test("a quarantined machine is looked at again when its time has come", async () => {
    const files = {
      "modules/machinery/mine.ts": MODULE,
      "conf/mine.conf": `[mine]\n${CONF}`,
      "conf/lab.yaml": "timeouts: {recheck: 1}\n",
    };
    await withFolder(files, async (lab) => {
      const opened = await lab.open();
      const machine = opened.manager.machines.get("a");
      machine.disable("it burned");
      assert.deepEqual(await opened.recheck(), [], "it is too early");
      machine.quarantine = { ...machine.quarantine!, sinceMs: Date.now() - 1500 };
      assert.deepEqual(await opened.recheck(), ["a"]);
      assert.equal(machine.isAvailable, true);
    });
  });
});
