import assert from "node:assert/strict";
import { chmodSync, readdirSync, rmSync } from "node:fs";
import { describe, test } from "node:test";
import { doors } from "../../src/doors/doors";
import { readMachineryConfig } from "../../src/lab/machinery/config/read-machinery-config";
import { listUsable } from "../../src/lab/machinery/config/read-machine";
import { checkLab } from "../../src/lab/check-lab";
import { findMachineries } from "../../src/lab/find-machineries";
import { initLab } from "../../src/lab/init-lab";
import { renderIniTemplate, renderYamlTemplate } from "../../src/lab/machinery/config/template";
import type { MachineFacts } from "../../src/lab/machinery/records/lab-machine";
import { type FolderLab, MODULE, withFolder } from "../kit/lab/lab-folder";

/** The example of Cuckoo's documentation, as it stands there. */
const SEED = `[kvm]
# Specify a comma-separated list of available machines to be used. For each
# specified ID you have to define a dedicated section containing the details
# on the respective machine. (E.g. cuckoo1,cuckoo2,cuckoo3)
machines = cuckoo1

[cuckoo1]
# Specify the label name of the current machine as specified in your
# libvirt configuration.
label = cuckoo1

# Specify the operating system platform used by current machine
# [windows/darwin/linux].
platform = windows

# Specify the IP address of the current machine. Make sure that the IP address
# is valid and that the host machine is able to reach it. If not, the analysis
# will fail.
ip = 192.168.122.105
`;

async function load(lab: FolderLab, name: string): Promise<Map<string, MachineFacts>> {
  const { machineries } = await findMachineries(lab.folder, doors);
  const config = readMachineryConfig(machineries.get(name)!, lab.folder)!;
  return new Map(listUsable(config.machines).map((facts) => [facts.name, facts]));
}

const ini = (more: string) => ({
  "conf/kvm.conf": `[kvm]\nmachines = a\n[a]\nlabel = A\nplatform = linux\nip = 10.0.0.1\n${more}`,
});
const yaml = (more: string) => ({
  "conf/machineries/kvm.yaml": `machines:\n  a:\n    label: A\n    platform: linux\n    ip: 10.0.0.1\n${more}`,
});

describe("INI", () => {
  test("the example of Cuckoo's documentation loads as it is", async () => {
    await withFolder({ "conf/kvm.conf": SEED }, async (lab) => {
      assert.deepEqual(await lab.check(), { errors: [], warnings: [], failures: [] });
      const { label, platform, ip, architecture } = (await load(lab, "kvm")).get("cuckoo1")!;
      assert.deepEqual([label, platform, ip, architecture], ["cuckoo1", "windows", "192.168.122.105", undefined]);
    });
  });

  test("machines come in their order, with blanks stripped, and take the main part's interface", async () => {
    const text = `[kvm]
machines = b ,  a
interface = lo
[a]
label = A
platform = Linux
ip = 10.0.0.1
interface = lo
[b]
LABEL : B
platform: windows
ip = 10.0.0.2
arch = AMD64
tags = office,  pdf ,x
snapshot = clean
resultserver_ip = 10.0.0.9
resultserver_port = 2042
reserved = yes
mac = 52:54:00:AA:BB:CC
`;
    await withFolder({ "conf/kvm.conf": text }, async (lab) => {
      assert.deepEqual((await lab.check()).errors, []);
      const machines = await load(lab, "kvm");
      assert.deepEqual([...machines.keys()], ["b", "a"]);
      const { settings, ...facts } = machines.get("b")!;
      assert.deepEqual(settings, {});
      assert.deepEqual(facts, {
        ...{
          name: "b",
          label: "B",
          ip: "10.0.0.2",
          platform: "windows",
          osVersion: undefined,
          agentPort: 8000,
          pinsAgent: false,
          wayIn: "auto",
        },
        ...{ tags: new Set(["office", "pdf", "x"]), snapshot: "clean", macAddress: "52:54:00:aa:bb:cc" },
        ...{ architecture: "x64", interface: "lo", resultServerIp: "10.0.0.9", resultServerPort: 2042 },
        ...{ isReserved: true, machineryName: "kvm" },
      });
      assert.equal(machines.get("a")!.platform, "linux");
    });
  });

  test("a machine that lacks something is left out with its line; the others load", async () => {
    for (const key of ["label", "platform", "ip"]) {
      const bad = ["label = B", "platform = linux", "ip = 10.0.0.2"].filter((line) => !line.startsWith(key)).join("\n");
      const text = `[kvm]\nmachines = a, b\n[b]\n${bad}\n[a]\nlabel = A\nplatform = linux\nip = 10.0.0.1\n`;
      await withFolder({ "conf/kvm.conf": text }, async (lab) => {
        const { errors } = await lab.check();
        assert.equal(errors.length, 1);
        assert.match(errors[0]!, new RegExp(`^conf/kvm.conf:3: "${key}" is missing; it must be `));
        assert.deepEqual([...(await load(lab, "kvm")).keys()], ["a"]);
      });
    }
  });

  test("without any machine that can be used, the lab says what is wrong", async () => {
    await withFolder({ "conf/kvm.conf": "[kvm]\nmachines = a\n[a]\nlabel = A\n" }, async (lab) => {
      const opened = await lab.open();
      assert.throws(() => opened.checkHasMachines(), /No machines available in .*"platform" is missing/s);
    });
  });

  test("sections that are not there, machines that are named twice, and commas with nothing behind them are reported", async () => {
    const text = "[kvm]\nmachines = a, a, gone,\n[a]\nlabel = A\nplatform = linux\nip = 10.0.0.1\n[b]\nlabel = x\n";
    await withFolder({ "conf/kvm.conf": text }, async (lab) => {
      const { errors, warnings } = await lab.check();
      assert.deepEqual(errors, [
        'conf/kvm.conf:2: "machines" names a twice; remove one',
        'conf/kvm.conf:2: "machines" names gone, but there is no section [gone]',
      ]);
      assert.match(warnings.join("\n"), /kvm.conf:2: warning: a comma has nothing behind or before it/);
      assert.match(warnings.join("\n"), /kvm.conf:7: warning: \[b\] is not in "machines" of \[kvm\]/);
    });
  });

  test("wrong platforms and addresses, and labels and addresses of two machines, are reported with their lines", async () => {
    const text = `[kvm]
machines = a, b, c, d
[a]
label = A
platform = beos
ip = 10.0.0.1
[b]
label = B
platform = linux
ip = 10.0.0.999
[c]
label = C
platform = linux
ip = 10.0.0.3
[d]
label = C
platform = linux
ip = 10.0.0.3
`;
    await withFolder({ "conf/kvm.conf": text }, async (lab) => {
      assert.deepEqual((await lab.check()).errors, [
        'conf/kvm.conf:5: "platform" is "beos"; it must be one of windows, darwin, linux',
        'conf/kvm.conf:10: "ip" is "10.0.0.999"; it must be an IP address such as 192.168.30.101',
        "conf/kvm.conf:15: d and c have the same label (C); each needs its own",
        "conf/kvm.conf:15: d and c have the same ip (10.0.0.3); each needs its own",
      ]);
    });
  });

  test("a value goes to the end of its line, as in CAPE, with a warning where that looks unmeant; switches are as in Cuckoo", async () => {
    const more = 'snapshot = "clean # 1"\ntags = x # y\nreserved: on\nagent_port = 0x50\n';
    await withFolder(ini(more), async (lab) => {
      assert.match(
        (await lab.check()).errors.join(),
        /^conf\/kvm.conf:10: "agent_port" is "0x50"; it must be a whole number from 1 to 65535$/,
      );
      lab.write("conf/kvm.conf", ini(more.replace("0x50", "1"))["conf/kvm.conf"]);
      const machine = (await load(lab, "kvm")).get("a")!;
      assert.deepEqual(
        [machine.snapshot, [...machine.tags], machine.isReserved, machine.agentPort],
        ['"clean # 1"', ["x # y"], true, 1],
      );
      assert.deepEqual((await lab.check()).warnings, [
        'conf/kvm.conf:7: warning: the quotes are part of "snapshot", as in CAPE; leave them out',
        'conf/kvm.conf:8: warning: the "#" behind a blank is part of "tags", as in CAPE; put a comment on a line of its own',
      ]);
    });
  });

  test("later files lie over earlier ones, and variables of the environment are put in", async () => {
    process.env.REBOX_TEST_SNAPSHOT = "from-env";
    await withFolder(
      {
        "conf/default/kvm.conf.default": ini("snapshot = lowest\nos_version = 1\n")["conf/kvm.conf"],
        "conf/kvm.conf": "[a]\nsnapshot = own\nos_version = 2\n",
        "conf/kvm.conf.d/10.conf": "[a]\nos_version = 3\n",
        "conf/kvm.conf.d/20.conf": "[a]\nos_version = 4\n",
        "custom/conf/kvm.conf": "[a]\nsnapshot = %(ENV:REBOX_TEST_SNAPSHOT)s-1\n",
      },
      async (lab) => {
        const { snapshot, osVersion, label } = (await load(lab, "kvm")).get("a")!;
        assert.deepEqual([snapshot, osVersion, label], ["from-env-1", "4", "A"]);
        lab.write("custom/conf/kvm.conf", "[a]\n\nsnapshot = %(ENV:REBOX_NO_SUCH)s\n");
        assert.match(
          (await lab.check()).errors.join(),
          /custom\/conf\/kvm.conf:3: the environment has no variable REBOX_NO_SUCH/,
        );
      },
    );
  });

  test("double sections, double keys, and files that are not UTF-8 are reported with their lines; a BOM is no mistake", async () => {
    await withFolder({ "conf/kvm.conf": `\uFEFF${SEED}` }, async (lab) => {
      assert.deepEqual((await lab.check()).errors, []);
      lab.write("conf/kvm.conf", `${SEED}label = again\n[cuckoo1]\nip = 1.2.3.4\n`);
      assert.deepEqual(
        (await lab.check()).errors,
        [
          'conf/kvm.conf:20: "label" is set twice in [cuckoo1]',
          "conf/kvm.conf:21: [cuckoo1] stands in line 7 already; put its settings there",
          'conf/kvm.conf:22: "ip" is set twice in [cuckoo1]',
        ].toSorted(),
      );
      lab.write("conf/kvm.conf", Buffer.concat([Buffer.from("[kvm]\n# "), Buffer.from([0xe4, 0x0a])]));
      assert.match((await lab.check()).errors.join(), /conf\/kvm.conf:2: this is not UTF-8/);
      lab.write("conf/kvm.conf", "[win10\nlabel = x\n");
      assert.match((await lab.check()).errors.join(), /conf\/kvm.conf:1: "\[win10" stands before any section/);
      lab.write("conf/kvm.conf", "[kvn]\nmachines =\n");
      assert.match((await lab.check()).errors.join(), /Missing configuration section: \[kvm\]/);
    });
  });

  test("[DEFAULT] gives every section what it does not have, and a name of it that means nothing anywhere is a warning", async () => {
    const text = `[DEFAULT]\ninterface = lo\nplatform = linux\nsnapshto = x\n${ini("")["conf/kvm.conf"].replace("linux", "windows")}`;
    await withFolder(
      { "conf/kvm.conf": text.replace("= a", "= a, b") + "[b]\nlabel = B\nip = 10.0.0.2\n" },
      async (lab) => {
        const { errors, warnings } = await lab.check();
        assert.deepEqual(errors, []);
        assert.deepEqual(warnings, [
          'conf/kvm.conf:4: warning: "snapshto" of [DEFAULT] is no setting of any section; did you mean "snapshot"?',
        ]);
        const machines = [...(await load(lab, "kvm")).values()];
        assert.deepEqual(machines.map((each) => [each.name, each.platform, each.interface]), [["a", "windows", "lo"], ["b", "linux", "lo"]]); // prettier-ignore
      },
    );
  });

  test("a module may keep the label elsewhere", async () => {
    await withFolder(
      {
        "modules/machinery/mine.ts": MODULE.replace(
          "private readonly on",
          'readonly labelKey = "vmx_path";\n  private readonly on',
        ),
        "conf/mine.conf": "[mine]\nmachines = a\n[a]\nvmx_path = /vms/a.vmx\nplatform = linux\nip = 10.0.0.1\n",
      },
      async (lab) => {
        assert.deepEqual((await lab.check()).errors, []);
        assert.equal((await load(lab, "mine")).get("a")!.label, "/vms/a.vmx");
      },
    );
  });
});

describe("YAML", () => {
  test("every kind of mistake is reported with file and line", async () => {
    const cases: [string, RegExp][] = [
      ["    agent_port: 0\n", /:6: "agent_port" is "0"; it must be a whole number from 1 to 65535/],
      ["    agent_port: 65536\n", /:6: "agent_port" is "65536"/],
      ["    agent_port: eighty\n", /:6: "agent_port" is "eighty"/],
      ["    agent_port: [1]\n", /:6: "agent_port" is a list; it must be a whole number/],
      ["    agent_port:\n", /:6: "agent_port" has no value; it must be/],
      ["    mac_address: 52:54:00:12:34\n", /:6: "mac_address" is "52:54:00:12:34"; it must be a MAC address/],
      ["    interface: a/b\n", /:6: "interface" is "a\/b"; it must be the name of a network interface/],
      ["    reserved: maybe\n", /:6: "reserved" is "maybe"; it must be one of true/],
      ["    tags: {x: 1}\n", /:6: "tags" is a group of values; it must be a list/],
      ["    bad: [1, 2\n", /:\d+: this is no YAML \(column \d+\)/],
      ["    label: B\n", /:6: this is no YAML .*[Mm]ap keys must be unique/],
      ["    tags: &x [*x]\n", /more than 16 levels|no anchor/],
      ["  b: 5\n", /:6: "b" must be a group of settings/],
    ];
    for (const [more, message] of cases) {
      await withFolder(yaml(more), async (lab) => {
        const { errors } = await lab.check();
        assert.match(errors.join("\n"), message, more);
        assert.match(errors[0]!, /^conf\/machineries\/kvm\.yaml:\d+: /);
      });
    }
  });

  test("an interface that this host lacks is a warning, as it may be there later; a start without it is refused", async () => {
    await withFolder(yaml("    interface: nope0\n"), async (lab) => {
      const { errors, warnings } = await lab.check();
      assert.deepEqual(errors, []);
      assert.match(
        warnings.join(),
        /^conf\/machineries\/kvm.yaml:6: warning: "interface" is nope0, but there is no such network interface; this machine has .*\blo\b/,
      );
      assert.equal((await load(lab, "kvm")).get("a")!.interface, "nope0");
    });
  });

  test("files are checked for what is asked of them, one right at a time", async () => {
    const text = (settings: string) => ({
      "conf/machineries/qemu.yaml": `${settings}machines:\n  a:\n    platform: linux\n    ip: 10.0.0.1\n    qcow2_path: disk\n`,
    });
    await withFolder(text("path: tool\ndisposable_copy_dir: tool\n"), async (lab) => {
      const errors = async () => (await lab.check()).errors.join("\n");
      assert.match(await errors(), /qemu.yaml:1: "path" is "tool", but there is no such file/);
      assert.match(await errors(), /qemu.yaml:7: "qcow2_path" is "disk", but there is no such file/);
      lab.write("tool", "#!/bin/sh\n");
      chmodSync(lab.path("tool"), 0o644);
      assert.match(await errors(), /"path" is "tool", which is not executable for this user; .*chmod \+x/);
      assert.match(await errors(), /"disposable_copy_dir" is "tool", which is no folder/);
    });
  });

  test("unknown names are warned of with the nearest one, and values keep their spelling", async () => {
    await withFolder(yaml("    plattform: x\n    os_version: 1.10\n    tags: a, b\nintreface: x\n"), async (lab) => {
      const { errors, warnings } = await lab.check();
      assert.deepEqual(errors, []);
      assert.deepEqual(warnings, [
        'conf/machineries/kvm.yaml:9: warning: "intreface" is no known setting here and is ignored; did you mean "interface"?',
        'conf/machineries/kvm.yaml:6: warning: "plattform" is no known setting here and is ignored; did you mean "platform"?',
      ]);
      const machine = (await load(lab, "kvm")).get("a")!;
      assert.deepEqual([machine.osVersion, [...machine.tags]], ["1.10", ["a", "b"]]);
    });
  });

  test("a machine that is not enabled is left out and its files need not be there; what is secret is not shown", async () => {
    await withFolder(
      {
        "conf/machineries/qemu.yaml":
          "machines:\n  a:\n    enabled: no\n    platform: linux\n    ip: 10.0.0.1\n    qcow2_path: gone\n",
      },
      async (lab) => {
        assert.deepEqual((await lab.check()).errors, []);
        assert.equal((await load(lab, "qemu")).size, 0);
        const source = MODULE.replace("power: z.int()", "pin: z.int().max(9).meta({ secret: true }), power: z.int()");
        lab.write("modules/machinery/mine.ts", source);
        lab.write("conf/machineries/mine.yaml", "pin: 1234\n");
        assert.match((await lab.check()).errors.join(), /"pin" is \*{8}; it must be/);
      },
    );
  });

  test("nothing is no duplicate, the same card, disk or address is", async () => {
    const machine = (name: string, more: string) =>
      `  ${name}:\n    platform: linux\n    ip: 10.0.0.${name.charCodeAt(0)}\n${more}`;
    await withFolder(
      { "conf/machineries/qemu.yaml": `machines:\n${machine("a", "")}${machine("b", "")}` },
      async (lab) => {
        assert.deepEqual((await lab.check()).errors, []);
        lab.write("disk", "");
        const both = "    mac_address: 52:54:00:12:34:56\n    qcow2_path: disk\n";
        lab.write("conf/machineries/qemu.yaml", `machines:\n${machine("a", both)}${machine("b", both)}`);
        assert.deepEqual(
          (await lab.check()).errors.map((text) => text.replace(/\(.*\)/, "()")),
          [
            "conf/machineries/qemu.yaml:7: b and a have the same mac_address (); each needs its own",
            "conf/machineries/qemu.yaml:7: b and a have the same qcow2_path (); each needs its own",
          ],
        );
      },
    );
  });

  test("a machinery with two configurations, and a file of no machinery, are reported", async () => {
    await withFolder({ ...yaml(""), "conf/kvm.conf": SEED, "conf/machineries/qmu.yaml": "" }, async (lab) => {
      const { errors, warnings } = await lab.check();
      assert.match(
        errors.join(),
        /conf\/kvm.conf:1: .*kvm.yaml configures the same machinery; keep one of the two files/,
      );
      assert.match(warnings.join(), /there is no machinery qmu, so this file is not read; did you mean qemu\?/);
    });
  });
});

describe("templates", () => {
  test("init writes one for every machinery, modules of the user's included, and all of them load without a mistake", async () => {
    for (const format of ["yaml", "conf"] as const) {
      await withFolder({}, async (lab) => {
        const folder = lab.path("new");
        lab.write("new/modules/machinery/mine.ts", MODULE);
        const { written, failures } = await initLab(folder, { regen: false, format, api: doors });
        assert.deepEqual(failures, []);
        const names = readdirSync(`${folder}/${format === "yaml" ? "conf/machineries" : "conf"}`).filter((name) =>
          name.endsWith(format),
        );
        assert.deepEqual(
          names.filter((name) => !name.startsWith("lab")).toSorted(),
          ["kvm", "libvirt", "mine", "qemu", "rebox"].map((name) => `${name}.${format}`),
        );
        assert.equal(written.length, 6);
        const { problems } = await checkLab(folder, doors);
        assert.deepEqual([...problems.errors, ...problems.warnings].map(String), []);
      });
    }
  });

  test("a machine that its machinery refuses is reported with its place and the reason", async () => {
    const machine = (number: number, more: string) =>
      [`platform: linux`, `qcow2_path: ${number}.qcow2`, `ip: 192.0.2.${number}`, more].join("\n    ");
    const yaml = `machines:\n  m:\n    ${machine(1, "")}\n  board:\n    ${machine(2, "architecture: arm64")}\n`;
    await withFolder({ "conf/machineries/qemu.yaml": yaml, "1.qcow2": "", "2.qcow2": "" }, async (lab) => {
      const { problems, machineries } = await checkLab(lab.folder, doors);
      const [refusal = "", ...others] = problems.errors.map(String);
      const line = yaml.split("\n").indexOf("  board:") + 1;
      assert.match(refusal, new RegExp(`qemu\\.yaml:${line}.*machine board is not used: its architecture arm64 needs`));
      assert.deepEqual(others, []);
      assert.equal(machineries.get("qemu")?.count, 1);
    });
  });

  test("a group of settings without a description has no empty comment above it", async () => {
    const source = MODULE.replace(
      "settings = SETTINGS",
      "settings = { ...SETTINGS, group: z.object({ inner: z.int().default(1) }) }",
    );
    await withFolder({ "modules/machinery/mine.ts": source }, async (lab) => {
      const { machineries } = await findMachineries(lab.folder, doors);
      const text = renderYamlTemplate(machineries.get("mine")!);
      assert.match(text, /^group:$/m);
      assert.doesNotMatch(text, /^\s*# $/m);
    });
  });

  test("the example machine of each template loads when its marks are taken away", async () => {
    await withFolder({ "modules/machinery/mine.ts": MODULE }, async (lab) => {
      const { machineries } = await findMachineries(lab.folder, doors);
      for (const [name, machinery] of machineries) {
        const text = renderYamlTemplate(machinery).replace(/(?<=^machines:\n)[^]*$/m, (rest) =>
          rest.replaceAll(/^#/gm, ""),
        );
        lab.write(`conf/machineries/${name}.yaml`, text);
        assert.deepEqual([...(await load(lab, name)).keys()], ["example1"], text);
        const sections = renderIniTemplate(machinery)
          .replace("machines =", "machines = example1")
          .replace(/^# \[example1\][^]*$/m, (rest) => rest.replaceAll(/^# (?=[\w[]+( = .*|\])$)/gm, ""));
        lab.write(`conf/machineries/${name}.yaml`, "");
        rmSync(lab.path(`conf/machineries/${name}.yaml`));
        lab.write(`conf/${name}.conf`, sections);
        assert.deepEqual([...(await load(lab, name)).keys()], ["example1"], sections);
      }
    });
  });

  test("init refuses what exists; --regen makes what is missing and changes nothing", async () => {
    await withFolder({ "conf/kvm.conf": SEED }, async (lab) => {
      const init = (folder: string, regen: boolean) => initLab(folder, { regen, format: "yaml", api: doors });
      await assert.rejects(init(lab.folder, false), /Path .* already exists and is a lab; --regen makes/);
      const { written } = await init(lab.folder, true);
      assert.equal(written.filter((file) => file.includes("kvm")).length, 0, "it has its configuration");
      assert.equal(lab.read("conf/kvm.conf"), SEED);
      lab.write("conf/machineries/qemu.yaml", "# mine\n");
      assert.deepEqual((await init(lab.folder, true)).written, []);
      assert.equal(lab.read("conf/machineries/qemu.yaml"), "# mine\n");
      lab.write("other/file", "");
      await assert.rejects(init(lab.path("other"), false), /already exists and is not empty/);
      await assert.rejects(init(lab.path("other"), true), /is no lab: it has no folder conf/);
    });
  });
});
