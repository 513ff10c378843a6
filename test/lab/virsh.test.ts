import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { describe, test } from "node:test";
import { parseDomainState } from "../../src/lab/machinery/drivers/libvirt/domain-states";
import { parseVirshVersion, supportsUri } from "../../src/lab/machinery/drivers/libvirt/virsh";
import { KvmMachinery } from "../../src/lab/machinery/drivers/libvirt/libvirt-machinery";
import { LabMachine } from "../../src/lab/machinery/records/lab-machine";
import { makeFacts } from "../kit/lab/memory-machinery";

const SIGNAL = new AbortController().signal;
const VIRSH = "/usr/bin/virsh";

/** What `virsh -V` prints, as Cuckoo's documentation shows it. */
const OLD = `Virsh command line tool of libvirt 0.9.13
See web site at http://libvirt.org/

Compiled with support for:
 Hypervisors: QEmu/KVM LXC UML Xen OpenVZ VMWare Test
 Networking: Remote Daemon Network Bridging Interface Nwfilter VirtualPort
`;

/** virsh's names of states and of reasons, of libvirt 9.0's tools/virsh-domain-monitor.c, and what they are here. */
const STATES: readonly (readonly [text: string, state: string, held?: boolean])[] = [
  ["no state", "starting"],
  ["running", "running"],
  ["idle", "running"],
  ["paused", "paused"],
  ["in shutdown", "stopping"],
  ["shut off", "poweroff"],
  ["crashed", "error"],
  ["pmsuspended", "suspended"],
  ["paused (user)", "paused", true],
  ["paused (migrating)", "starting"],
  ["paused (saving)", "starting"],
  ["paused (dumping)", "starting"],
  ["paused (I/O error)", "error"],
  ["paused (watchdog)", "error"],
  ["paused (from snapshot)", "paused"],
  ["paused (shutting down)", "starting"],
  ["paused (creating snapshot)", "starting"],
  ["paused (crashed)", "error"],
  ["paused (starting up)", "starting"],
  ["paused (post-copy)", "starting"],
  ["paused (post-copy failed)", "error"],
  ["paused (unknown)", "paused"],
  ["shut off (destroyed)", "poweroff"],
  ["shut off (crashed)", "poweroff"],
  ["running (booted)", "running"],
  ["crashed (panicked)", "error"],
];

describe("virsh domstate", () => {
  test("every state and every reason of a pause has its counterpart", () => {
    for (const [text, state, isHeld = false] of STATES) {
      const found = parseDomainState(`${text}\n\n`)!;
      assert.deepEqual([found.state, found.isHeld], [state, isHeld], text);
    }
    assert.equal(parseDomainState("dreaming (of sheep)"), undefined);
    assert.equal(parseDomainState(""), undefined);
  });

  test(
    "the names are those of the virsh that is installed",
    { skip: !existsSync(VIRSH) && "there is no virsh" },
    () => {
      const program = readFileSync(VIRSH).toString("latin1");
      const words = new Set(
        STATES.flatMap(([text]) => /^([^(]+?)(?: \((.*)\))?$/.exec(text)!.slice(1)).filter(Boolean),
      );
      // Of words that end others, the linker keeps only one: "running" is the end of "not running".
      const missing = [...words].filter((word) => !program.includes(`${word}\0`));
      assert.deepEqual(missing, []);
    },
  );
});

describe("virsh -V", () => {
  test("the hypervisors that it was compiled with are found, whatever their spelling", () => {
    const version = parseVirshVersion(OLD);
    assert.equal(version.version, "0.9.13");
    assert.deepEqual(version.hypervisors, ["QEmu/KVM", "LXC", "UML", "Xen", "OpenVZ", "VMWare", "Test"]);
    for (const uri of [
      "qemu:///system",
      "qemu+ssh://host/system",
      "test:///default",
      "xen:///system",
      "vmwareplayer:///session",
    ]) {
      assert.ok(supportsUri(version, uri), uri);
    }
    for (const uri of ["esx://host", "vbox:///session", "my:///connection", ""])
      assert.ok(!supportsUri(version, uri), uri);
    assert.deepEqual(parseVirshVersion("nonsense"), { version: "", hypervisors: [] });
  });

  test("so are those of the virsh that is installed", { skip: !existsSync(VIRSH) && "there is no virsh" }, () => {
    const version = parseVirshVersion(execFileSync(VIRSH, ["-V"], { encoding: "utf8" }));
    assert.equal(version.version, execFileSync(VIRSH, ["--version"], { encoding: "utf8" }).trim());
    assert.ok(supportsUri(version, "test:///default"));
  });
});

/** Puts a shell script in the place of virsh; it gets virsh's arguments. */
async function withVirsh(
  script: string,
  use: (machinery: KvmMachinery) => Promise<void>,
  dsn = "qemu:///system",
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-virsh-"));
  const before = process.env.PATH;
  try {
    if (script !== "") {
      writeFileSync(join(folder, "virsh"), `#!/bin/sh\n${script}\n`);
      chmodSync(join(folder, "virsh"), 0o755);
    }
    process.env.PATH = script === "" ? folder : `${folder}${delimiter}${before}`;
    const machinery = new KvmMachinery();
    machinery.attach({
      ...{ config: { dsn }, configured: [], labFolder: folder, log: () => undefined },
      ...{ configFiles: [], content: {}, makeMachine: () => makeFacts("m") as never },
      getFolder: () => folder,
    });
    await use(machinery);
  } finally {
    process.env.PATH = before;
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("a virsh that does not do what it should", () => {
  const machine = new LabMachine(makeFacts("m", { label: "-x; rm -rf /" }));

  test("one that is missing is reported with the package to install", () =>
    withVirsh("", (machinery) =>
      assert.rejects(
        machinery.verifyDependencies(SIGNAL),
        /virsh is not there; install it: apt install libvirt-clients/,
      ),
    ));

  test("one without the hypervisor is reported with those that it has", async () => {
    await withVirsh(
      `cat <<'EOF'\n${OLD}EOF`,
      (machinery) =>
        assert.rejects(machinery.verifyDependencies(SIGNAL), /not compiled for esx:.*Hypervisors: QEmu\/KVM LXC/),
      "esx://host",
    );
    await withVirsh(`echo "Virsh command line tool of libvirt 0.7.9"`, (machinery) =>
      assert.rejects(machinery.verifyDependencies(SIGNAL), /libvirt 0\.7\.9; 0\.8\.0 or later/),
    );
  });

  test("an empty connection is reported", () =>
    withVirsh(
      "exit 0",
      (machinery) => assert.rejects(machinery.verifyDependencies(SIGNAL), /proper connection string/),
      "",
    ));

  test("a label is one argument, whatever is in it", () =>
    withVirsh(
      `for each in "$@"; do echo "$each" >> "$(dirname "$0")/seen"; done; echo "running (booted)"`,
      async (machinery) => {
        assert.equal((await machinery.state(machine, SIGNAL)).state, "running");
        const seen = readFileSync(join(process.env.PATH!.split(delimiter)[0]!, "seen"), "utf8")
          .trim()
          .split("\n");
        assert.deepEqual(seen, ["-c", "qemu:///system", "-q", "domstate", "--domain=-x; rm -rf /", "--reason"]);
      },
    ));

  test("a state that is new, a failure and one that hangs are errors; the one that hangs is killed when it is cancelled", async () => {
    await withVirsh('echo "dreaming"', (machinery) =>
      assert.rejects(machinery.state(machine, SIGNAL), /state dreaming, which is new/),
    );
    await withVirsh('echo "error: internal error: boom" >&2; exit 1', (machinery) =>
      assert.rejects(machinery.state(machine, SIGNAL), /failed: error: internal error: boom/),
    );
    await withVirsh('echo $$ > "$(dirname "$0")/pid"; exec sleep 1000', async (machinery) => {
      const controller = new AbortController();
      const file = join(process.env.PATH!.split(delimiter)[0]!, "pid");
      const asked = machinery.state(machine, controller.signal);
      asked.catch(() => undefined);
      while (!existsSync(file) || readFileSync(file, "utf8") === "")
        await new Promise((resolve) => setTimeout(resolve, 5));
      controller.abort();
      await assert.rejects(asked, /still busy .* or cancelled/);
    });
  });
});
