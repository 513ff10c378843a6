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

/** Asks for pages by each library and version of TLS, whose names nobody else knows. */
const TARGET = `#!/usr/bin/python3
import http.client, os, shutil, ssl, subprocess
HOST = "secret.example.org"
for version, path in (ssl.TLSVersion.TLSv1_3, "/first-of-13"), (ssl.TLSVersion.TLSv1_2, "/second-of-12"):
    context = ssl.create_default_context()
    context.minimum_version = context.maximum_version = version
    server = http.client.HTTPSConnection(HOST, context=context, timeout=30)
    server.request("GET", path)
    assert len(server.getresponse().read()) > 100
    server.close()

def ask(path, *command):
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    client.stdin.write(f"GET {path} HTTP/1.0\\r\\nHost: {HOST}\\r\\n\\r\\n".encode())
    client.stdin.flush()
    answer = b""
    while b"</html>" not in answer:
        more = os.read(client.stdout.fileno(), 4096)
        assert more, answer
        answer += more
    client.kill()

ask("/third-of-gnutls-13", "gnutls-cli", HOST)
ask("/fourth-of-gnutls-12", "gnutls-cli", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2", HOST)
ask("/fifth-of-nss-13", "tstclnt", "-h", HOST, "-p", "443", "-D", "-o")
ask("/sixth-of-nss-12", "tstclnt", "-h", HOST, "-p", "443", "-D", "-o", "-V", "tls1.2:tls1.2")

# As a dropper does: a program that was written a moment ago.
shutil.copy("/usr/bin/hey", "agent")
answer = subprocess.run(["./agent", "-n", "1", "-c", "1", f"https://{HOST}/seventh-of-go"], capture_output=True, check=True)
assert b"[200]" in answer.stdout, answer
`;

/** The pages, in their order: the library that asks for each, and the name of the process. */
const ASKED = [
  ["/first-of-13", "OpenSSL", "target.py"],
  ["/second-of-12", "OpenSSL", "target.py"],
  ["/third-of-gnutls-13", "GnuTLS", "gnutls-cli"],
  ["/fourth-of-gnutls-12", "GnuTLS", "gnutls-cli"],
  ["/fifth-of-nss-13", "NSS", "tstclnt"],
  ["/sixth-of-nss-12", "NSS", "tstclnt"],
  ["/seventh-of-go", "Go", "agent"],
] as const;

interface Piece {
  readonly library: string;
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
      const texts = (direction: string) =>
        pieces
          .filter((piece) => piece.direction === direction)
          .map(({ library, process, bytes }) => ({ library, process, text: Buffer.from(bytes, "base64").toString("latin1") })); // prettier-ignore
      assert.deepEqual(
        texts("sent").map(({ library, process, text }) => [
          /^GET (\S+) HTTP\/1\.[01]\r\n/.exec(text)?.[1],
          library,
          process,
        ]),
        ASKED,
      );
      for (const wanted of new Set(ASKED.map(([, library]) => library))) {
        const pages = ASKED.filter(([, library]) => library === wanted).length;
        const received = texts("received").filter(({ library }) => library === wanted);
        const all = received.map(({ text }) => text).join("");
        assert.equal(all.split("INetSim default HTML page").length, pages + 1, `${wanted}: ${all}`);
      }
      const described = pieces.filter(({ library }) => library === "OpenSSL" || library === "GnuTLS");
      assert.ok(
        described.every(({ descriptor }) => descriptor! > 2),
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
      assert.deepEqual(
        readRequests(capture, keys),
        ASKED.map(([path]) => path),
      );
    });
  },
);
