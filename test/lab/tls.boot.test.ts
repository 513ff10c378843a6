import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findHostProblems, findNamespaceProblem } from "../../src/lab/network/network-host";
import { analyze, recordOf } from "../kit/lab/analyze-run";
import { NEEDS_DEBIAN, withDebian } from "../kit/lab/ready-debian";

const TSHARK = "/usr/bin/tshark";
const lack = findHostProblems()[0] ?? findNamespaceProblem();
const skip = lack ? `${lack.problem}: ${lack.advice}` : existsSync(TSHARK) ? NEEDS_DEBIAN : "there is no tshark";

/** Asks for a page by each version of TLS, whose name nobody else knows. */
const TARGET = `#!/usr/bin/python3
import http.client, ssl
for version, path in (ssl.TLSVersion.TLSv1_3, "/first-of-13"), (ssl.TLSVersion.TLSv1_2, "/second-of-12"):
    context = ssl.create_default_context()
    context.minimum_version = context.maximum_version = version
    server = http.client.HTTPSConnection("secret.example.org", context=context, timeout=30)
    server.request("GET", path)
    assert len(server.getresponse().read()) > 100
    server.close()
`;

interface Piece {
  readonly process: string;
  readonly direction: string;
  readonly descriptor?: number;
  readonly bytes: string;
}

/** The requests that tshark sees in a capture, with a key log or without. */
function readRequests(capture: string, keys?: string): string[] {
  const options = keys === undefined ? [] : ["-o", `tls.keylog_file:${keys}`];
  const args = ["-r", capture, ...options, "-Y", "http.request && tls", "-T", "fields", "-e", "http.request.uri"];
  return execFileSync(TSHARK, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
    .split("\n")
    .filter(Boolean);
}

test(
  "what a program sends by TLS is recorded in the clear, and its secrets open the capture for tshark",
  { skip },
  async () => {
    await withDebian([], async (lab) => {
      lab.write(
        "conf/auxiliary.conf",
        ["processes", "syscalls", "netcapture", "tls"].map((name) => `[${name}]\nenabled = yes\n`).join("\n"),
      );
      const target = lab.write("target.py", TARGET);
      const { status, stdout } = await analyze(lab, "--machine", "office", "--target", target, "--timeout", "120");
      assert.equal(status, 0, stdout);
      const shown = lab.read("state/office/console.log").slice(-2000);
      assert.equal(recordOf(lab, 1).reason, "the target ended with status 0", shown);

      const lines = lab.read("analyses/1/tls.jsonl").trimEnd().split("\n");
      const pieces = lines.map((line) => JSON.parse(line) as Piece);
      const sent = (direction: string) =>
        pieces
          .filter((piece) => piece.direction === direction)
          .map(({ bytes }) => Buffer.from(bytes, "base64").toString("latin1"));
      for (const path of ["/first-of-13", "/second-of-12"]) {
        assert.equal(
          sent("sent").filter((text) => text.startsWith(`GET ${path} HTTP/1.1\r\n`)).length,
          1,
          sent("sent").join("\n"),
        );
      }
      assert.equal(sent("received").join("").split("INetSim default HTML page").length, 3);
      assert.ok(
        pieces.every(({ process, descriptor }) => process === "target.py" && descriptor! > 2),
        lines.join("\n"),
      );
      const events = lab.read("analyses/1/events.jsonl");
      assert.match(events, /GET \/first-of-13.*"tls\.sent"/);

      const folder = lab.path("analyses/1");
      const [capture, keys] = [join(folder, "network.pcapng"), join(folder, "tls_keys.log")];
      const log = lab.read("analyses/1/tls_keys.log");
      for (const label of ["CLIENT_TRAFFIC_SECRET_0", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_RANDOM"]) {
        assert.match(log, new RegExp(`^${label} [0-9a-f]{64} [0-9a-f]{64,96}$`, "m"));
      }
      assert.deepEqual(readRequests(capture), []);
      assert.deepEqual(readRequests(capture, keys), ["/first-of-13", "/second-of-12"]);
    });
  },
);
