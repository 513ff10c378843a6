import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { readNetworkFlows } from "../../src/lab/analysis/report/network/network-flows";
import { ETHERNET, FIRST_SECOND, hex, makePcap, makeQuestion, makeUdp } from "../kit/lab/made-frames";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "rebox-flows-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a file of frames, one each second. */
function pcap(frames: readonly Buffer[], link = 1): string {
  const file = join(folder, "network.pcap");
  writeFileSync(file, makePcap(frames, link));
  return file;
}

test("frames of both directions are one conversation, begun by who sent the first; names that are asked for are reported once", () => {
  const asks = makeUdp("10.0.2.15", 5000, "10.0.2.3", 53, makeQuestion("example", "org"));
  const answers = makeUdp("10.0.2.3", 53, "10.0.2.15", 5000, makeQuestion("example", "org"));
  const file = pcap([asks, answers, makeUdp("10.0.2.15", 6000, "192.0.2.1", 9, Buffer.from("x"))]);
  const at = (seconds: number) => new Date((FIRST_SECOND + seconds) * 1000 + 250).toISOString();
  assert.deepEqual(readNetworkFlows(file), {
    frames: 3,
    flows: [
      {
        ...{ protocol: "udp", source: "10.0.2.15", sourcePort: 5000, destination: "10.0.2.3", destinationPort: 53 },
        ...{ frames: 2, bytes: asks.length + answers.length, began: at(0), ended: at(1) },
      },
      {
        ...{ protocol: "udp", source: "10.0.2.15", sourcePort: 6000, destination: "192.0.2.1", destinationPort: 9 },
        ...{ frames: 1, bytes: 43, began: at(2), ended: at(2) },
      },
    ],
    ...{ more: 0, isCut: false },
    names: [{ name: "example.org", type: "A", process: undefined, began: at(0), count: 1 }],
  });
});

test("IPv6 is reported, also behind a tag of a virtual network", () => {
  const ends = `fe80${"0".repeat(27)}1 20010db8${"0".repeat(23)}2`;
  const tcp = hex(`${ETHERNET} 8100 0007 86dd 60000000 0014 06 40 ${ends} 1f90 0050 ${"00".repeat(16)}`);
  const [flow] = readNetworkFlows(pcap([tcp]))!.flows;
  const { source, sourcePort, destination, destinationPort } = flow!;
  assert.deepEqual([source, sourcePort, destination, destinationPort], ["fe80::1", 8080, "2001:db8::2", 80]);
});

test("whatever a guest sends, reading it ends, and what is damaged is said to be", () => {
  const whole = makeUdp("10.0.2.15", 53, "10.0.2.3", 53, Buffer.from("\0".repeat(12) + "\x3f"));
  for (let size = 0; size <= whole.length; size++) {
    const summary = readNetworkFlows(pcap([whole.subarray(0, size)]))!;
    assert.equal(summary.frames, 1);
    assert.deepEqual(summary.names, []);
  }
  const endless = Buffer.concat([hex("0001 0100 0001 0000 0000 0000"), Buffer.alloc(4000, 1)]);
  assert.deepEqual(readNetworkFlows(pcap([makeUdp("10.0.2.15", 1, "10.0.2.3", 53, endless)]))!.names, []);
  const file = pcap([whole]);
  for (const bytes of [hex("ff".repeat(16)), hex("00".repeat(3))]) {
    writeFileSync(file, bytes, { flag: "a" });
    assert.equal(readNetworkFlows(file)!.isCut, true);
  }
});

test("a file that is none, or of another kind of network, is none", () => {
  assert.equal(readNetworkFlows(pcap([], 101)), undefined);
  const file = join(folder, "other");
  writeFileSync(file, "x".repeat(100));
  assert.equal(readNetworkFlows(file), undefined);
  writeFileSync(file, "");
  assert.equal(readNetworkFlows(file), undefined);
});

test("a guest that speaks with everybody does not fill the report", () => {
  const many = Array.from({ length: 2100 }, (_, index) => makeUdp("10.0.2.15", 1000 + index, "192.0.2.1", 9, Buffer.alloc(0))); // prettier-ignore
  const { flows, more, frames } = readNetworkFlows(pcap(many))!;
  assert.deepEqual([flows.length, more, frames], [2000, 100, 2100]);
});
