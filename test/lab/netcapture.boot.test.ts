import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { readNetworkFlows } from "../../src/lab/analysis/report/network/network-flows";
import { readPcap } from "../kit/lab/pcap";
import { readPcapng } from "../kit/lab/pcapng";
import { startModules, stopModules } from "../kit/lab/auxiliary-guest";
import { type GuestMachine, withGuest, withGuests } from "../kit/lab/guest-machine";

const ENABLED = ["[netcapture]", "enabled = yes"];
const NETWORK =
  "-netdev user,id=n0,guestfwd=tcp:10.0.2.100:8000-cmd:cat,guestfwd=tcp:10.0.2.100:80-cmd:cat -device virtio-net-pci,netdev=n0" +
  " -object filter-dump,id=f0,netdev=n0,file=%MACHINE_NAME%.pcap";
const DRIVERS = "for module in $(cat /modules/order); do insmod /modules/$module.ko; done";
const UP = "ip address add 10.0.2.15/24 dev eth0; ip link set eth0 up";

/** Has the guest say something to a server of TCP behind QEMU's user network. */
const say = (text: string, port: number) => `echo '${text}' | nc -w 5 10.0.2.100 ${port} | head -1`;

/** Starts a capture that sees all that QEMU sees: the card is up after it. */
async function capture(
  machine: GuestMachine,
  settings: readonly string[],
  more: Parameters<typeof startModules>[3] = {},
) {
  await machine.execute(DRIVERS);
  const analysis = await startModules(machine.lab, settings, machine.guest, more);
  await machine.execute(UP);
  return analysis;
}

/** Reads the frames that the module has recorded. */
const framesOf = (analysis: { path(name: string): string }) =>
  readPcapng(analysis.path("network.pcapng")).map(({ frame }) => frame);

test("the frames of the machine's card are recorded without tcpdump and root, the same that QEMU's own filter-dump has", async () => {
  await withGuest({ args: NETWORK }, async (machine) => {
    const analysis = await capture(machine, ENABLED);
    const output = await machine.execute(`${say("it-was-said", 80)}; ping -c 3 -i 0.1 10.0.2.2 | tail -2`);
    assert.match(output, /^it-was-said$/m);
    assert.match(output, /3 packets received/);
    await machine.execute("ip link set eth0 down");
    await stopModules(analysis);
    assert.deepEqual([analysis.log, analysis.status("netcapture").errors], [[], []]);
    const frames = framesOf(analysis);
    assert.ok(frames.length >= 12, `${frames.length}`);
    assert.deepEqual(frames.toSorted(), readPcap(machine.lab.path("g.pcap")).toSorted());
    assert.ok(frames.some((frame) => Buffer.from(frame, "hex").includes("it-was-said")));
  });
});

test("frames to and from the agent and the result server are left out", async () => {
  await withGuest({ args: NETWORK }, async (machine) => {
    const facts = { ip: "10.0.2.15", resultServer: { ip: "10.0.2.100", port: 8000 } };
    const analysis = await capture(machine, ENABLED, { machine: facts });
    const output = await machine.execute(`${say("results", 8000)}; ${say("wanted", 80)}`);
    assert.match(output, /^results$/m);
    await stopModules(analysis);
    const text = framesOf(analysis).map((frame) => Buffer.from(frame, "hex").toString("latin1"));
    assert.ok(text.some((frame) => frame.includes("wanted")));
    assert.ok(!text.some((frame) => frame.includes("results")));
    const all = readPcap(machine.lab.path("g.pcap")).map((frame) => Buffer.from(frame, "hex").toString("latin1"));
    assert.ok(all.some((frame) => frame.includes("results")));
  });
});

test("a guest that sends without end does not fill the disk, and two analyses have captures of their own", async () => {
  await withGuests({ args: NETWORK, names: ["a", "b"] }, async ([a, b]) => {
    const [first, second] = await Promise.all([capture(a!, [...ENABLED, "most_bytes = 3000"]), capture(b!, ENABLED)]);
    await a!.execute("ping -c 10 -i 0.1 -s 1000 10.0.2.2 > /dev/null");
    await b!.execute(say("only-b", 80));
    await Promise.all([stopModules(first), stopModules(second)]);
    assert.ok(framesOf(first).join("").length / 2 <= 3000);
    assert.match(first.log.join(), /netcapture: \d+ frames more than fit into 3000 bytes/);
    const hasOnlyB = (frames: string[]) => frames.some((frame) => Buffer.from(frame, "hex").includes("only-b"));
    assert.ok(!hasOnlyB(framesOf(first)));
    assert.ok(hasOnlyB(framesOf(second)));
  });
});

test("each frame has its direction, and the process of the guest that has its socket; tcpdump reads the file", async () => {
  await withGuest({ args: NETWORK }, async (machine) => {
    const analysis = await capture(machine, ENABLED);
    const shown = await machine.execute(
      `echo first | sh -c 'echo pid $$; exec nc -w 5 10.0.2.100 80'; ${say("other", 80)}`,
    );
    const pid = /^pid (\d+)$/m.exec(shown)![1]!;
    await stopModules(analysis);
    const frames = readPcapng(analysis.path("network.pcapng"));
    const owned = frames.filter(({ comment }) => comment === `process nc (${pid})`);
    assert.ok(owned.some(({ isSent }) => isSent) && owned.some(({ isSent }) => !isSent), JSON.stringify(frames));
    // Both ends of each of its frames: the guest's address is the source of what it sends.
    const source = (frame: string) => [...Buffer.from(frame, "hex").subarray(26, 30)].join(".");
    for (const { isSent, frame } of owned) assert.equal(source(frame) === "10.0.2.15", isSent);
    const others = frames.filter(({ comment }) => /^process nc \(\d+\)$/.test(comment ?? "") && !owned.some((each) => each.comment === comment)); // prettier-ignore
    assert.ok(others.length > 0, "the second nc is another process");
    const text = execFileSync("tcpdump", ["-n", "-r", analysis.path("network.pcapng")], {
      encoding: "utf8",
      stdio: "pipe",
    });
    assert.equal(text.trim().split("\n").length, frames.length);
    const { flows } = readNetworkFlows(analysis.path("network.pcapng"))!;
    assert.ok(flows.some(({ process, destinationPort }) => process === `nc (${pid})` && destinationPort === 80));
  });
});
