import { NotSupportedError } from "../errors";
import type { Machinery } from "../machinery/machinery";
import type { LabMachine } from "../machinery/records/lab-machine";
import { ADDRESSES } from "../network/simulated-addresses";

/** The address of an agent. */
export interface AgentAddress {
  readonly host: string;
  readonly port: number;
  /** Leads there, where the host's own network does not. */
  readonly socket?: string | undefined;
  /** It is told to listen to this host alone. */
  readonly isPinned: boolean;
}

/**
 * Finds where a machine's agent answers. In a simulated and in QEMU's user network a machine has no neighbour that could answer in its
 * place, so its clones may have the same address.
 *
 * @throws NotSupportedError when this host cannot reach an agent there, or nothing says that the machine has one
 */
export async function findAgentAddress(
  machinery: Machinery,
  machine: LabMachine,
  signal: AbortSignal,
): Promise<AgentAddress> {
  const { name, network, facts } = machine;
  const { ip, wayIn, agentPort, pinsAgent: isPinned = false, cloneOf, platform } = facts;
  if (ip === undefined && wayIn !== "agent" && platform !== "windows") throw new NotSupportedError(`${name} has no ip`);
  if (network?.kind === "tap") {
    return { host: ADDRESSES.guest, port: agentPort, isPinned, socket: network.agentSocket };
  }
  const forwarded = await machinery.findAgentPort(machine, signal);
  if (forwarded !== undefined) return { host: "127.0.0.1", port: forwarded, isPinned };
  if (ip === undefined) throw new NotSupportedError(`${name} has no ip, at which an agent could answer`);
  if (cloneOf !== undefined) {
    throw new NotSupportedError(`${name} has the ip of all clones of ${cloneOf}: any could answer there`);
  }
  return { host: ip, port: agentPort, isPinned };
}
