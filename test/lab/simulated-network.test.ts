import assert from "node:assert/strict";
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import type { NetworkHostError } from "../../src/lab/errors";
import { findHostProblems, findNamespaceProblem } from "../../src/lab/network/network-host";
import { SimulatedNetwork } from "../../src/lab/network/simulated-network";
import { untilTrue } from "../kit/lab/lab-run";
import { PROJECT } from "../kit/project";

const run = promisify(execFile);
const NEVER = new AbortController().signal;
const problems = findHostProblems();
const lack = problems.length > 0 ? problems[0] : findNamespaceProblem();
const skip = lack === undefined ? false : `${lack.problem}: ${lack.advice}`;

interface Net {
  readonly folder: string;
  readonly network: SimulatedNetwork;
  readonly told: string[];
  readonly names: string[];
  /** Runs a line of sh beside the servers. */
  inside(line: string): Promise<string>;
  /** Lists the processes of the namespaces. */
  processes(): { readonly pid: number; readonly name: string }[];
}

async function withNetwork(use: (net: Net) => Promise<void>, aheadMs = 0): Promise<void> {
  const labFolder = mkdtempSync(join(tmpdir(), "rebox-network-"));
  const folder = join(labFolder, "one");
  const told: string[] = [];
  const names: string[] = [];
  const network = await SimulatedNetwork.start({
    ...{ labFolder, folder, signal: NEVER, aheadMs },
    onProblem: (text) => told.push(text),
    onSecureName: (name) => names.push(name),
  });
  const holder = (network.device as { holder: number }).holder;
  const namespace = (kind: string, pid: number | string = holder) => {
    try {
      return execFileSync("readlink", [`/proc/${pid}/ns/${kind}`], { encoding: "utf8", stdio: "pipe" }).trim();
    } catch {
      return "gone";
    }
  };
  const own = namespace("net");
  const isRoot = namespace("user") === namespace("user", "self");
  try {
    await use({
      ...{ folder, network, told, names },
      inside: async (line) =>
        (await run("nsenter", ["-t", String(holder), "-n", ...(isRoot ? [] : ["-U", "--preserve-credentials"]), "sh", "-c", line])).stdout, // prettier-ignore
      processes: () =>
        readdirSync("/proc")
          .filter((pid) => /^\d+$/.test(pid) && own !== "gone" && namespace("net", pid) === own)
          .map((pid) => ({ pid: Number(pid), name: readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0")[0]! })),
    });
  } finally {
    await network.stop();
    rmSync(labFolder, { recursive: true, force: true });
  }
}

describe("a simulated network", { skip }, () => {
  test("has one device beside its loopback, answers HTTP and, by the lab's authority, HTTPS for every name, and leaves nothing", async () => {
    let left: Net["processes"] | undefined;
    await withNetwork(async (net) => {
      await net.network.untilReady(NEVER);
      left = net.processes;
      assert.match(await net.inside("ip -brief link"), /^lo .*\ntap0 .*52:55:0a:00:02:02.*\n$/);
      assert.match(await net.inside("curl -sS http://10.0.2.2/any.txt"), /INetSim HTTP server/);
      const authority = join(net.folder, "../network/ca/ca.crt");
      for (const name of ["evil.example.com", "c2.example.org"]) {
        const page = await net.inside(`curl -sS --cacert ${authority} --connect-to ::10.0.2.2:443 https://${name}/`);
        assert.match(page, /INetSim default HTML page/);
      }
      assert.deepEqual(net.names, ["evil.example.com", "c2.example.org"]);
      await net.network.stop();
      assert.deepEqual(net.told, []);
      const [report] = readdirSync(join(net.folder, "report"));
      const text = readFileSync(join(net.folder, "report", report!), "utf8");
      assert.match(text, /URL: http:\/\/10\.0\.2\.2\/any\.txt/);
      assert.match(text, /URL: http:\/\/c2\.example\.org\//);
      assert.deepEqual(readdirSync(net.folder).sort(), ["inetsim.conf", "logs", "network.log", "report"].concat(existsSync(join(net.folder, "data")) ? ["data"] : []).sort()); // prettier-ignore
    });
    assert.deepEqual(left!(), []);
    assert.doesNotMatch(readFileSync("/proc/mounts", "utf8"), /inetsim/);
  });

  test("tells when INetSim dies, and when its first process does, with which all others end", async () => {
    await withNetwork(async (net) => {
      await net.network.untilReady(NEVER);
      // It takes this name some time after it has started its services.
      const findMain = () => net.processes().find(({ name }) => name === "inetsim_main");
      await untilTrue(async () => findMain() !== undefined);
      process.kill(findMain()!.pid, "SIGKILL");
      await untilTrue(async () => net.told.length > 0);
      assert.match(net.told[0]!, /INetSim is gone: it ended with SIGKILL/);
      const { holder } = net.network.device as { holder: number };
      process.kill(holder, "SIGKILL");
      await untilTrue(async () => net.told.length > 1);
      assert.match(net.told[1]!, /the simulated network is gone/);
      await untilTrue(async () => net.processes().length === 0);
    });
  });

  test("tells which one of INetSim's services dies, and the others go on", async () => {
    await withNetwork(async (net) => {
      await net.network.untilReady(NEVER);
      const findAll = (word: string) => net.processes().filter(({ name }) => name.startsWith(word));
      for (const { pid } of findAll("inetsim_dns")) process.kill(pid, "SIGKILL");
      await untilTrue(() => net.told.length > 0);
      for (const { pid } of findAll("inetsim_smtp_25")) process.kill(pid, "SIGTERM");
      await untilTrue(() => net.told.length > 1);
      assert.match(await net.inside("curl -sS http://10.0.2.2/any.txt"), /INetSim HTTP server/);
      await net.network.stop();
      assert.deepEqual(
        net.told,
        ["dns_53_tcp_udp", "smtp_25_tcp"].map((name) => `INetSim's service ${name} is gone`),
      );
    });
  });

  test("has the guest's time, about which its certificates are valid", async () => {
    const guestMs = Date.UTC(2031, 2, 4, 5, 6, 7);
    await withNetwork(async (net) => {
      await net.network.untilReady(NEVER);
      assert.match(await net.inside("bash -c 'cat < /dev/tcp/10.0.2.2/13'"), /^Tue Mar +4 .* 2031/);
      const served = await net.inside(
        "openssl s_client -connect 10.0.2.2:443 -servername a.example.com </dev/null 2>/dev/null",
      );
      for (const [pem, lastYear] of [
        [served, 2032],
        [readFileSync(join(net.folder, "../network/ca/ca.crt"), "utf8"), 2049],
      ] as const) {
        const { validFrom, validTo } = new X509Certificate(/-----BEGIN[^]*?END CERTIFICATE-----/.exec(pem)![0]);
        // A guest's clock stands a little before this host's, or anywhere.
        assert.ok(Date.parse(validFrom) < guestMs - 86_400_000, validFrom);
        assert.equal(new Date(validTo).getUTCFullYear(), lastYear);
      }
    }, guestMs - Date.now());
  });

  test("a kill of its starter, too, ends all that is in it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "rebox-network-"));
    const module = join(PROJECT, "build/js/src/lab/network/simulated-network.js");
    const options = `{ labFolder: ${JSON.stringify(folder)}, folder: ${JSON.stringify(join(folder, "n"))}, signal: new AbortController().signal, onProblem() {} }`;
    const script = `require(${JSON.stringify(module)}).SimulatedNetwork.start(${options}).then(async (n) => {
      await n.untilReady(new AbortController().signal); process.kill(process.pid, "SIGKILL"); })`;
    const mark = `rebox-kill-${process.pid}`;
    const { signal } = spawnSync(process.execPath, ["-e", script], { env: { ...process.env, MARK: mark } });
    assert.equal(signal, "SIGKILL");
    const hasMark = (pid: string) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(`MARK=${mark}`);
      } catch {
        return false;
      }
    };
    await untilTrue(async () => !readdirSync("/proc").some((pid) => /^\d+$/.test(pid) && hasMark(pid)));
    rmSync(folder, { recursive: true, force: true });
  });

  test(
    "needs no root: where a user may open the tun device, a user namespace is enough",
    { skip: process.getuid!() === 0 ? false : "root alone can become another user" },
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "rebox-network-"));
      chmodSync(folder, 0o755);
      const own = join(folder, "lab");
      mkdirSync(own);
      chownSync(own, 65534, 65534);
      const module = join(PROJECT, "build/js/src/lab/network/simulated-network.js");
      const script = `const told = []; require(${JSON.stringify(module)}).SimulatedNetwork.start({ labFolder: ${JSON.stringify(own)},
      folder: ${JSON.stringify(join(own, "n"))}, signal: new AbortController().signal, onProblem: (text) => told.push(text) })
      .then(async (n) => { await n.untilReady(new AbortController().signal);
        const uid = require("fs").readFileSync("/proc/" + n.device.holder + "/status", "utf8").match(/Uid:\\s+(\\d+)/)[1];
        await n.stop(); console.log("uid", uid, "told", told.join()); }).catch((error) => console.log(error.code, error.message));`;
      const asNobody = `setpriv --reuid 65534 --regid 65534 --clear-groups "${process.execPath}" -e '${script.replaceAll("'", `'\\''`)}'`;
      const inNamespace = (line: string) => spawnSync("unshare", ["--mount", "sh", "-c", line], { encoding: "utf8" });
      const tun = join(folder, "tun");
      const open = `mknod ${tun} c 10 200 && chmod 666 ${tun} && mount --bind ${tun} /dev/net/tun && `;
      const allowed = inNamespace(open + asNobody);
      assert.equal(allowed.stdout, "uid 65534 told \n", allowed.stderr);
      const closed = `touch ${tun}0 && chmod 600 ${tun}0 && mount --bind ${tun}0 /dev/net/tun && `;
      assert.match(inNamespace(closed + asNobody).stdout, /^REBOX_NETWORK_HOST .*\/dev\/net\/tun cannot be opened \(EACCES\).*chmod 666/); // prettier-ignore
      rmSync(folder, { recursive: true, force: true });
    },
  );

  test("says what this host forbids, by a code and with what to do", async () => {
    const folder = mkdtempSync(join(tmpdir(), "rebox-network-"));
    const path = process.env.PATH;
    const start = () =>
      SimulatedNetwork.start({ labFolder: folder, folder: join(folder, "n"), signal: NEVER, onProblem: () => {} });
    // A host that forbids namespaces is one whose unshare fails.
    const programs = join(folder, "bin");
    mkdirSync(programs);
    execFileSync("sh", ["-c", `printf '#!/bin/sh\\necho "unshare: unshare failed: Operation not permitted" >&2; exit 1\\n' > ${programs}/unshare; chmod +x ${programs}/unshare`]); // prettier-ignore
    process.env.PATH = `${programs}:${path}`;
    try {
      await assert.rejects(start(), (error: NetworkHostError) => {
        assert.equal(error.code, "REBOX_NETWORK_HOST");
        assert.match(error.message, /Operation not permitted.*allow user namespaces.*or run rebox as root/);
        return true;
      });
    } finally {
      process.env.PATH = path;
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
