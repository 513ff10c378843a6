import { existsSync } from "node:fs";
import { join } from "node:path";
import { getBuiltFolder } from "../../../../config/folders";
import { findOwnNetwork, NETDEV } from "../../../network/network-choice";
import type { MachineNetwork } from "../../records/lab-machine";
import type { QemuMachine } from "./machine-arguments";
import { escapeOption } from "./start-arguments";

/** The descriptor by which a machine gets its tap device: the first behind those of input and output. */
const TAP_DESCRIPTOR = 3;

/** Where distributions have QEMU's program that connects to bridges. */
const BRIDGE_HELPERS = ["/usr/libexec", "/usr/lib/qemu", "/usr/lib", "/usr/local/libexec"].map(
  (folder) => `${folder}/qemu-bridge-helper`,
);

interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/** How a machine's process is connected to its network. */
export interface NetworkConnection {
  /** QEMU's, beside those of the machine. */
  readonly args: readonly string[];
  /** Returns the command that starts a program with what those arguments need. */
  wrap(command: Command): Command;
}

/**
 * Connects the card of a machine that is about to start.
 *
 * @param log is told when its network cannot be had here
 * @param isRecorded the guest is to see a card whose other end has no abilities of its own
 */
export function connectNetwork(
  machine: QemuMachine,
  log: (text: string) => void,
  isRecorded = false,
): NetworkConnection {
  const own = findOwnNetwork(machine.facts);
  if (own === undefined) return { args: [], wrap: (command) => command };
  if (machine.network === undefined && own.kind === "simulated") {
    log(`${machine.name} begins without a network: a simulated one is made for an analysis, and ends with it`);
  }
  const network = getConnected(machine)!;
  const forward = isAgentForwarded(machine) ? `,hostfwd=tcp:127.0.0.1:0-:${machine.facts.agentPort}` : "";
  const plain = isRecorded && network.kind === "tap" ? ",vnet_hdr=off" : "";
  return {
    args: ["-netdev", `${describe(network)}${plain}${forward},id=${NETDEV}`],
    wrap: (command) => (network.kind === "tap" ? launch(network, command) : command),
  };
}

/** Returns the network that the next start connects a machine to; undefined for one without a card. */
function getConnected({ facts, network }: QemuMachine): MachineNetwork | undefined {
  const own = findOwnNetwork(facts);
  if (own === undefined) return undefined;
  return network ?? (own.kind === "simulated" ? { kind: "none" } : own);
}

/**
 * Returns whether a port of this host leads to the agent of a machine: in QEMU's user network nothing else does. The port is any
 * that is free.
 */
export function isAgentForwarded(machine: QemuMachine): boolean {
  const { wayIn = "auto", ip, platform } = machine.facts;
  const mayHaveAgent = wayIn === "agent" || platform === "windows" || (wayIn === "auto" && ip !== undefined);
  return mayHaveAgent && getConnected(machine)?.kind === "user";
}

/**
 * Finds the port of this host that leads to a port of the guest.
 *
 * @param shown what the monitor's `info usernet` has shown: slirp_connection_info() of libslirp, of which only QEMU knows a port
 *   that was free
 * @returns undefined when none does
 */
export function findForwardedPort(shown: string, guestPort: number): number | undefined {
  for (const [, from, to] of shown.matchAll(/^ *TCP\[HOST_FORWARD\] +\d+ +127\.0\.0\.1 +(\d+) +\S+ +(\d+) /gm)) {
    if (Number(to) === guestPort) return Number(from);
  }
  return undefined;
}

function describe(network: MachineNetwork): string {
  switch (network.kind) {
    // A hub without another port: the link is there, and nobody answers.
    case "none":
      return "hubport,hubid=0";
    case "user":
      return "user";
    case "bridge":
      return `bridge,br=${escapeOption(network.interface)}${describeHelper()}`;
    case "tap":
      return `tap,fd=${TAP_DESCRIPTOR}`;
  }
}

/** Names the helper where it lies: each QEMU looks in the one place of its own build, and distributions have several. */
function describeHelper(): string {
  const found = BRIDGE_HELPERS.find((path) => existsSync(path));
  return found === undefined ? "" : `,helper=${escapeOption(found)}`;
}

/** native/network/tap_launcher.c opens a tap device in the namespace of another process, and executes a program with it. */
function launch({ holder, tap }: MachineNetwork & { readonly kind: "tap" }, command: Command): Command {
  const program = join(getBuiltFolder("network"), "tap_launcher");
  return { program, args: [String(holder), tap, String(TAP_DESCRIPTOR), command.program, ...command.args] };
}
