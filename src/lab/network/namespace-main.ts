import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { readLines } from "../../config/line-reader";
import { CertificateAuthority } from "./certificate-authority";
import { INETSIM_HOME, InetSim, prepareFolders, removeUnchanged } from "./inetsim";
import { AGENT_SOCKET, type NamespaceMessage, type NamespaceOrder } from "./namespace-messages";
import { ADDRESSES, getRedirections, TAP } from "./simulated-addresses";
import { serveHttps } from "./tls-front";

const PROGRAM_LIMIT_MS = 20_000;

/**
 * Is the first process of a simulated network's namespaces: with its end the system ends all others there, and the network is gone.
 * It reads an order, makes the network, and ends when its input does, which the death of the analysis brings about.
 */
async function main(): Promise<void> {
  const line = await new Promise<string>((resolve) => readLines(process.stdin, resolve));
  const order = JSON.parse(line) as NamespaceOrder;
  const own = join(order.labFolder, "network", "data");
  const running: InetSim[] = [];
  const end = async (): Promise<never> => {
    for (const inetsim of running) await inetsim.stop();
    rmSync(join(order.folder, AGENT_SOCKET), { force: true });
    removeUnchanged(order.folder, own);
    return process.exit(0);
  };
  process.stdin.once("end", () => void end());
  makeDevice();
  await serveAgent(order);
  tell({ kind: "up" });
  const authority = await CertificateAuthority.open(order.labFolder);
  const getTimeMs = () => Date.now() + order.aheadMs;
  prepareFolders(order, own, await authority.sign("localhost", [ADDRESSES.gateway], getTimeMs()));
  useHome(order);
  watch("dnsmasq", startAddresses());
  const inetsim = new InetSim(INETSIM_HOME, order.user);
  running.push(inetsim);
  void inetsim.untilGone().then((text) => tell({ kind: "problem", text }));
  await inetsim.untilReady();
  inetsim.watchServices((name) => tell({ kind: "problem", text: `INetSim's service ${name} is gone` }));
  await serveHttps(authority, getTimeMs, (name) => tell({ kind: "secure-name", name }));
  tell({ kind: "ready" });
}

/** Makes the device of the machine, and brings all that comes from it to the servers here. */
function makeDevice(): void {
  const { gateway, nameServer, prefix, broadcast, mac } = ADDRESSES;
  run("ip", ["link", "set", "lo", "up"]);
  run("ip", ["tuntap", "add", "dev", TAP, "mode", "tap"]);
  run("ip", ["link", "set", TAP, "address", mac]);
  for (const address of [gateway, nameServer]) {
    run("ip", ["address", "add", `${address}/${prefix}`, "broadcast", broadcast, "dev", TAP]);
  }
  run("ip", ["link", "set", TAP, "up"]);
  run("nft", ["-f", "-"], getRedirections());
}

/** Leads from a socket of this host to the agent in the guest, and nowhere else. */
async function serveAgent({ folder, agentPort }: NamespaceOrder): Promise<void> {
  // The folder's own path may be too long for a socket.
  process.chdir(folder);
  const server = createServer((client) => {
    const guest = connect(agentPort, ADDRESSES.guest);
    client.on("error", () => guest.destroy());
    guest.on("error", () => client.destroy());
    client.on("close", () => guest.destroy());
    client.pipe(guest).pipe(client);
  });
  server.listen(AGENT_SOCKET);
  await once(server, "listening");
}

/** Mounts the analysis' folder where INetSim's user can reach it: a lab may lie in a folder that others cannot enter. */
function useHome({ folder, user }: NamespaceOrder): void {
  run("mount", ["--make-rprivate", "/"]);
  if (user === "root") mapGroup(folder);
  run("mount", ["--bind", folder, INETSIM_HOME]);
  if (user === "root") return;
  run("chown", ["--recursive", `${user}:${user}`, INETSIM_HOME]);
  chmodSync(INETSIM_HOME, 0o755);
}

/** A user namespace has one group alone, 0, and INetSim wants one of its own name. */
function mapGroup(folder: string): void {
  const file = join(folder, "group");
  writeFileSync(file, "root:x:0:\ninetsim:x:0:\n");
  run("mount", ["--bind", file, "/etc/group"]);
  // It is mounted, and needs its name no longer.
  rmSync(file);
}

/** Starts the server of DHCP. Its leases do not end: a guest may sleep frozen for months. */
function startAddresses(): ChildProcess {
  const { guest, lastGuest, gateway, nameServer } = ADDRESSES;
  return spawn(
    "dnsmasq",
    [
      ...["--no-daemon", "--conf-file=/dev/null", "--port=0", `--interface=${TAP}`, "--bind-interfaces"],
      ...[`--dhcp-range=${guest},${lastGuest},infinite`, "--dhcp-authoritative", "--dhcp-sequential-ip", "--no-ping"],
      ...[`--dhcp-option=option:router,${gateway}`, `--dhcp-option=option:dns-server,${nameServer}`],
      ...["--leasefile-ro", "--log-dhcp"],
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
}

function watch(name: string, child: ChildProcess): void {
  child.once("error", (error) => tell({ kind: "problem", text: `${name} cannot be started: ${error.message}` }));
  child.once("exit", (status, signal) =>
    tell({ kind: "problem", text: `${name} is gone: it ended with ${signal ?? `status ${status}`}` }),
  );
}

function run(program: string, args: readonly string[], input = ""): void {
  try {
    execFileSync(program, args, { input, timeout: PROGRAM_LIMIT_MS, stdio: ["pipe", "ignore", "pipe"] });
  } catch (error) {
    const { message, stderr } = error as Error & { readonly stderr?: Buffer };
    const reason = String(stderr ?? "").trim() || message;
    throw new Error(`${program} ${args.join(" ")}: ${reason}`, { cause: error });
  }
}

function tell(message: NamespaceMessage): void {
  try {
    writeSync(process.stdout.fd, `${JSON.stringify(message)}\n`);
  } catch {
    // The analysis is gone; the end of the input says so, too.
  }
}

process.on("uncaughtException", (error) => tell({ kind: "problem", text: error.message }));
main().catch((error: unknown) => {
  tell({ kind: "problem", text: error instanceof Error ? error.message : String(error) });
});
