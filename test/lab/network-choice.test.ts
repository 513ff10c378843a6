import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  connectNetwork,
  findForwardedPort,
  isAgentForwarded,
} from "../../src/lab/machinery/drivers/qemu/network-arguments";
import { getMachineArguments, type QemuMachine } from "../../src/lab/machinery/drivers/qemu/machine-arguments";
import type { LabMachine } from "../../src/lab/machinery/records/lab-machine";
import { type MachineFacts } from "../../src/lab/machinery/records/lab-machine";
import { findNetwork, findNetworkProblem, formatNetwork } from "../../src/lab/network/network-choice";
import { runRebox } from "../kit/guests/guest-run";
import { consoleMachine, yamlOf } from "../kit/lab/analyze-run";
import { withFolder } from "../kit/lab/lab-folder";

/** The arguments for a machine's network; QEMU's helper for bridges lies where the host's packages have put it. */
const argsOf = (machine: Parameters<typeof connectNetwork>[0]) =>
  connectNetwork(machine, assert.fail).args.map((word) => word.replace(/,helper=\/[^,]+qemu-bridge-helper/, ""));

/** Reads a machine of rebox with settings besides those of the guest kit. */
async function withMachine(more: readonly string[], use: (machine: QemuMachine) => void): Promise<void> {
  await withFolder({ "conf/machineries/rebox.yaml": yamlOf({ g: consoleMachine(more) }) }, async (lab) => {
    const { manager } = await lab.open();
    use(manager.machines.get("g") as unknown as QemuMachine);
  });
}

const PORTS = { socket: "s", log: "l", agent: "a" };
const asLab = (machine: QemuMachine) => machine as unknown as LabMachine;
const problemOf = (machine: QemuMachine, wanted: string, canChoose = true) =>
  findNetworkProblem(machine.facts as MachineFacts, findNetwork(wanted), canChoose);

test("what is written as a network is read as that network, and nothing else is one", () => {
  for (const text of ["none", "simulated", "user", "bridge:br0", "bridge:virbr-lab.1"]) {
    assert.equal(formatNetwork(findNetwork(text)!), text);
  }
  for (const text of [
    "",
    "None",
    "bridge",
    "bridge:",
    "bridge:..",
    "bridge:a b",
    "bridge:a/b",
    `bridge:${"x".repeat(16)}`,
    "user ",
  ]) {
    assert.equal(findNetwork(text), undefined, text);
  }
  fc.assert(
    fc.property(fc.string(), (text) => {
      const network = findNetwork(text);
      assert.equal(
        network === undefined ? undefined : formatNetwork(network),
        network === undefined ? undefined : text,
      );
    }),
  );
});

test("the card of a machine is the same in every network, so that one golden state fits them all", async () => {
  await withMachine(["network: user", "mac_address: 52:54:00:00:00:07"], (machine) => {
    const lastOf = () => getMachineArguments(machine, undefined, PORTS).slice(-2);
    assert.deepEqual(lastOf(), ["-device", "e1000,netdev=lab-net,mac=52:54:00:00:00:07"]);
    const backends = (["none", "user"] as const).map((kind) => {
      machine.network = { kind };
      assert.deepEqual(lastOf(), ["-device", "e1000,netdev=lab-net,mac=52:54:00:00:00:07"]);
      return connectNetwork(machine, assert.fail).args;
    });
    assert.deepEqual(backends, [
      ["-netdev", "hubport,hubid=0,id=lab-net"],
      ["-netdev", "user,id=lab-net"],
    ]);
    machine.network = { kind: "bridge", interface: "a,b" };
    assert.deepEqual(argsOf(machine), ["-netdev", "bridge,br=a,,b,id=lab-net"]);
    machine.network = { kind: "tap", tap: "tap0", holder: 77 };
    const { args, wrap } = connectNetwork(machine, assert.fail);
    assert.deepEqual(args, ["-netdev", "tap,fd=3,id=lab-net"]);
    assert.deepEqual(wrap({ program: "node", args: ["x"] }).args, ["77", "tap0", "3", "node", "x"]);
  });
});

test("in QEMU's user network a free port of this host alone leads to the agent of a machine that may have one", async () => {
  const argsIn = async (...settings: string[]) => {
    let args: readonly string[] = [];
    await withMachine(["network: user", ...settings], (machine) => {
      args = argsOf(machine);
      assert.equal(isAgentForwarded(machine), args.join().includes("hostfwd"));
      machine.network = { kind: "none" };
      assert.deepEqual(argsOf(machine), ["-netdev", "hubport,hubid=0,id=lab-net"]);
    });
    return args[1];
  };
  assert.equal(await argsIn(), "user,id=lab-net");
  assert.equal(await argsIn("way_in: guest-agent", "ip: 10.0.2.15"), "user,id=lab-net");
  assert.equal(await argsIn("way_in: agent"), "user,hostfwd=tcp:127.0.0.1:0-:8000,id=lab-net");
  assert.equal(await argsIn("ip: 10.0.2.15", "agent_port: 90"), "user,hostfwd=tcp:127.0.0.1:0-:90,id=lab-net");
});

test("the port that QEMU has taken is read from what it shows, among its guest's own connections", () => {
  const shown = [
    "Hub -1 (lab-net):",
    "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ",
    "  TCP[ESTABLISHED]   27       127.0.0.1  8000        10.0.2.2  8000     0     0",
    "  TCP[HOST_FORWARD]  13       127.0.0.1 35921       10.0.2.15  8000     0     0",
    "  UDP[216 sec]       12       10.0.2.15   123        10.0.2.2   123     0     0",
    "",
  ].join("\r\n");
  assert.equal(findForwardedPort(shown, 8000), 35921);
  assert.equal(findForwardedPort(shown, 80), undefined);
  assert.equal(findForwardedPort("", 8000), undefined);
});

test("a machine without a network has no card, one with an interface is on that bridge, and arguments may have their own card", async () => {
  await withMachine([], (machine) => {
    assert.deepEqual(connectNetwork(machine, assert.fail).args, []);
    assert.ok(!getMachineArguments(machine, undefined, PORTS).includes("-device"));
  });
  await withMachine(["interface: lo"], (machine) => {
    assert.deepEqual(argsOf(machine), ["-netdev", "bridge,br=lo,id=lab-net"]);
  });
  await withMachine(["args: -device virtio-net-pci,netdev=lab-net"], (machine) => {
    assert.deepEqual(connectNetwork(machine, assert.fail).args, ["-netdev", "hubport,hubid=0,id=lab-net"]);
    assert.equal(getMachineArguments(machine, undefined, PORTS).filter((arg) => arg === "-device").length, 1);
    assert.equal(problemOf(machine, "user"), undefined);
  });
});

test("a machine that is started by hand says that its simulated network is one of analyses", async () => {
  await withMachine(["network: simulated"], (machine) => {
    const said: string[] = [];
    assert.deepEqual(connectNetwork(machine, (text) => said.push(text)).args, [
      "-netdev",
      "hubport,hubid=0,id=lab-net",
    ]);
    assert.match(said.join(), /g begins without a network: a simulated one is made for an analysis/);
  });
});

test("a network that a machine cannot have is refused with the reason, and never becomes another one", async () => {
  await withMachine([], (machine) => {
    assert.match(
      problemOf(machine, "user")!,
      /g cannot be given the network user: it has no network card; set network/,
    );
    assert.equal(problemOf(machine, "none"), undefined);
    assert.match(problemOf(machine, "none", false)!, /the machinery rebox leaves networks to its machines/);
    assert.equal(findNetworkProblem(asLab(machine).facts, undefined, true), undefined);
  });
  for (const args of ["-nic user", "-netdev user,id=n -device e1000,netdev=n", "--net nic"]) {
    await withMachine([`args: ${args}`], (machine) => {
      // Its own card would leave, so none is not what it has.
      assert.match(problemOf(machine, "none")!, /cannot be given the network none: its own arguments connect it/);
    });
  }
});

test("a network that is none is a mistake of the configuration, with its place, and of the command line", async () => {
  await withFolder(
    { "conf/machineries/rebox.yaml": yamlOf({ g: consoleMachine(["network: internet"]) }) },
    async (lab) => {
      assert.match((await lab.check()).errors.join(), /rebox\.yaml:8: "network" is "internet"; it must be none, simulated, user or bridge:INTERFACE/); // prettier-ignore
      const { status, stderr } = await runRebox(
        ["analyze", "--lab", lab.folder, "--command", "id", "--network", "internet"],
        60_000,
      );
      assert.deepEqual(
        [status, /It must be none, simulated, user or bridge:INTERFACE/.test(stderr)],
        [1, true],
        stderr,
      );
    },
  );
});
