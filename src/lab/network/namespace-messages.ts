/** The socket in the network's folder that leads to the guest's agent: no other way leads from this host into the network. */
export const AGENT_SOCKET = "agent.sock";

/** The first line that the process in the namespace reads; the network ends with that input. */
export interface NamespaceOrder {
  /** Of the network of the analysis, absolute. */
  readonly folder: string;
  /** Absolute. */
  readonly labFolder: string;
  /** Who INetSim's services run as. */
  readonly user: string;
  /** How far the guest's clock is ahead of this host's, in milliseconds: its servers go by that. */
  readonly aheadMs: number;
  /** The port of an agent in the guest, to which AGENT_SOCKET leads. */
  readonly agentPort: number;
}

/** A line that the process in the namespace writes. */
export type NamespaceMessage =
  /** The machine's device is there. */
  | { readonly kind: "up" }
  /** All servers answer. */
  | { readonly kind: "ready" }
  /** A client of HTTPS has asked for a name. */
  | { readonly kind: "secure-name"; readonly name: string }
  /** A server has gone, or does not begin. */
  | { readonly kind: "problem"; readonly text: string };
