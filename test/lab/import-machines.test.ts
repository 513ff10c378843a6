import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { MachineryManagerError } from "../../src/lab/errors";
import { readMachineDescription } from "../../src/lab/machinery/config/import-machines";
import { checkStartArguments, readMachineInfo } from "../../src/lab/machinery/drivers/qemu/start-arguments";
import { runRebox } from "../kit/guests/guest-run";
import { withFolder } from "../kit/lab/lab-folder";
import { makeVmcloakFolder, renderMachineInfo, VMCLOAK_ARGUMENTS } from "../kit/lab/vmcloak-files";

test("a machine as VMCloak writes it is imported with its system, its addresses, its bridge, its tags and its files", async () => {
  await withFolder({ "conf/machineries/qemu.yaml": "" }, async (lab) => {
    makeVmcloakFolder(lab.path("vms/win10_1"), renderMachineInfo("win10_1"));
    const run = (...args: string[]) => runRebox([...args, "--lab", lab.folder], 60_000);
    const { status, stdout, stderr } = await run("machine", "import", "qemu", lab.path("vms"));
    assert.deepEqual([status, stdout, stderr], [0, "imported win10_1\n", ""]);
    const { errors, warnings } = await lab.check();
    assert.deepEqual(errors, []);
    assert.match(warnings.join("\n"), /"interface" is br0, but there is no such network interface/);
    const { facts } = (await lab.open()).manager.machines.get("win10_1");
    const { settings, ...others } = facts;
    assert.deepEqual(others, {
      ...{ name: "win10_1", label: "win10_1", ip: "192.168.30.101", platform: "windows", osVersion: "10" },
      ...{ tags: new Set(["adobepdf", "dotnet"]), snapshot: undefined, macAddress: "52:54:00:11:22:33" },
      ...{ architecture: "x64", interface: "br0", agentPort: 8000, resultServerIp: undefined },
      ...{ resultServerPort: undefined, isReserved: false, machineryName: "qemu" },
      ...{ wayIn: "auto", pinsAgent: false },
    });
    const { qcow2_path: disk, snapshot_path: memory, machineinfo_path: info } = settings;
    assert.deepEqual([disk, memory, info], ["disk.qcow2", "memory.snapshot", "machineinfo.json"].map((file) => lab.path(`vms/win10_1/${file}`))); // prettier-ignore
    const start = await run("machine", "start", "win10_1");
    assert.equal(start.status, 1);
    assert.match(start.stderr, /the interface of win10_1 is br0, but there is no such network interface; this machine has/); // prettier-ignore
    assert.equal((await run("machine", "list", "--json")).stdout.includes("quarantined"), false, "nothing was tried");
  });
});

test("of several folders the good ones are imported, and each broken one is told with its file", async () => {
  await withFolder({ "conf/machineries/qemu.yaml": "" }, async (lab) => {
    makeVmcloakFolder(lab.path("vms/a"), renderMachineInfo("a"));
    makeVmcloakFolder(lab.path("vms/b"), renderMachineInfo("b").slice(0, 200));
    makeVmcloakFolder(lab.path("vms/c"), renderMachineInfo("c", { os_name: "beos", ip: "192.168.30.102", mac: null }));
    makeVmcloakFolder(lab.path("vms/d"), renderMachineInfo("d", { ip: "192.168.30.103", mac: null, tags: 5 }));
    makeVmcloakFolder(lab.path("vms/e"), renderMachineInfo("e", { ip: "192.168.30.104", mac: "52:54:00:11:22:34" }));
    const { status, stdout, stderr } = await runRebox(["machine", "import", "qemu", lab.path("vms"), "--lab", lab.folder], 60_000); // prettier-ignore
    assert.deepEqual([status, stdout], [1, "imported a, e\n"]);
    assert.match(stderr, /^rebox: \S+vms\/b\/machineinfo\.json: .*JSON/m);
    assert.match(stderr, /^rebox: \S+vms\/d\/machineinfo\.json: "tags" must be a list of texts$/m);
    assert.match(stderr, /^rebox: c is not imported: nothing was changed: "platform" is "beos"; it must be one of windows/m); // prettier-ignore
    assert.deepEqual([...(await lab.open()).manager.machines].map(({ name }) => name), ["a", "e"]); // prettier-ignore
  });
});

test("start arguments may be numbers, and what QEMU has dropped since is what it was short for", async () => {
  assert.deepEqual(checkStartArguments(["-smp", 2, "-m", 2048], "x", false), ["-smp", "2", "-m", "2048"]);
  assert.throws(() => checkStartArguments(["-smp", true], "x", false), /must be a list of texts/);
  await withFolder({}, async (lab) => {
    const file = lab.path("machineinfo.json");
    const read = (args: unknown) => {
      writeFileSync(file, renderMachineInfo("m", { start_args: args }));
      return readMachineInfo(file);
    };
    const sound = VMCLOAK_ARGUMENTS.indexOf("-soundhw");
    const others = VMCLOAK_ARGUMENTS.toSpliced(sound, 2);
    assert.deepEqual(read(VMCLOAK_ARGUMENTS), ["-device", "intel-hda", "-device", "hda-duplex", ...others]);
    const old = ["-realtime", "mlock=off", "-device", "ide-drive,bus=ahci.0", "-hda", "%DISPOSABLE_DISK_PATH%"];
    assert.deepEqual(read(old), ["-overcommit", "mem-lock=off", "-device", "ide-hd,bus=ahci.0", ...old.slice(4)]);
    await Promise.resolve();
  });
});

const awkward = fc.oneof(fc.constantFrom(null, "", "x", 5, -1, true, [], {}, ["a"], [1, {}], "../x", "/etc/passwd", "__proto__"), fc.jsonValue({ maxDepth: 2 })); // prettier-ignore
const member = fc.constantFrom("name", "ip", "agent_port", "os_name", "platform", "os_version", "architecture", "tags", "bridge", "mac", "disk", "memory_snapshot", "start_args", "__proto__", "constructor", "toString"); // prettier-ignore
const changes = fc.dictionary(member, awkward, { maxKeys: 4 });
const description = fc.oneof(
  { weight: 4, arbitrary: changes.map((each) => renderMachineInfo("win10_1", each)) },
  { weight: 1, arbitrary: fc.json() },
  { weight: 1, arbitrary: fc.tuple(changes, fc.nat(2000)).map(([each, end]) => renderMachineInfo("m", each).slice(0, end)) }, // prettier-ignore
  { weight: 1, arbitrary: fc.constantFrom("", "null", "[]", '{"machine": null}', '{"machine": []}', "\ufeff{}") },
);

test("any description is read, as it says, or refused with its file", () => {
  let read = 0;
  fc.assert(
    fc.property(description, (text) => {
      let found: ReturnType<typeof readMachineDescription>;
      try {
        found = readMachineDescription(text, "/vms/one", "one", ["disk.qcow2", "b.qcow2", "memory.snapshot"]);
      } catch (error) {
        assert.ok(error instanceof MachineryManagerError, String(error));
        assert.ok(error.message.startsWith("/vms/one/machineinfo.json: "), error.message);
        return;
      }
      read++;
      const { machine } = JSON.parse(text) as { machine: Record<string, unknown> };
      const own = (name: string) => (Object.hasOwn(machine, name) ? machine[name] : undefined);
      assert.equal(found.name, own("name") ?? "one");
      for (const [setting, value] of Object.entries(found.values)) {
        const texts = typeof value === "string" ? [value] : value;
        assert.ok(
          texts.every((each) => typeof each === "string" && each !== undefined),
          setting,
        );
      }
      assert.deepEqual(found.values.tags ?? [], ((own("tags") ?? []) as unknown[]).map(String));
      const system = [own("os_name"), own("platform")].find(
        (each) => each !== undefined && each !== null && each !== "",
      );
      assert.equal(found.values.platform, system === undefined ? undefined : String(system));
    }),
    { numRuns: 100_000 },
  );
  assert.ok(read > 20_000, `${read} were read`);
});
