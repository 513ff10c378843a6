import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { callAsyncWithin } from "../../config/limits";
import { NetworkHostError } from "../errors";
import type { MachineNetwork } from "../machinery/records/lab-machine";
import { NamespaceHolder } from "./namespace-holder";
import { AGENT_SOCKET, type NamespaceMessage } from "./namespace-messages";
import { findHostProblems, getNamespaceOptions, NAMESPACE_ADVICE } from "./network-host";
import { TAP } from "./simulated-addresses";

/** From the start of the process to the machine's device. */
const UP_LIMIT_MS = 60_000;
/** From there to the last of the servers. */
const READY_LIMIT_MS = 90_000;
/** INetSim writes its report at the end. */
const STOP_LIMIT_MS = 15_000;

export interface SimulatedNetworkOptions {
  /** Absolute. */
  readonly labFolder: string;
  /** Of this network alone, absolute: its configuration, logs, reports, and what the guest has sent. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** How far the guest's clock is ahead of this host's, in milliseconds; 0 without it. */
  readonly aheadMs?: number;
  /** The port of an agent in the guest; 8000 without it. */
  readonly agentPort?: number;
  /** Is called for each server that ends before its time. */
  onProblem(text: string): void;
  /** Is called with each name that the guest asks for by HTTPS. */
  onSecureName?(name: string): void;
}

/**
 * A network of its own for one machine, in namespaces of its own, from which no frame gets out: there is no other device. One process
 * holds it, and ends when this process does.
 */
export class SimulatedNetwork {
  #isStopping = false;

  private constructor(
    private readonly holder: NamespaceHolder,
    private readonly agentSocket: string,
    onProblem: (text: string) => void,
  ) {
    void holder.ended.then((how) => {
      if (!this.#isStopping) onProblem(`the simulated network is gone: ${how}`);
    });
  }

  /**
   * Makes a network. Its servers may still be beginning when this returns.
   *
   * @throws NetworkHostError when this host lacks or forbids what it is made of
   */
  static async start(options: SimulatedNetworkOptions): Promise<SimulatedNetwork> {
    const { folder, labFolder, signal, aheadMs = 0, agentPort = 8000 } = options;
    const problems = findHostProblems();
    if (problems.length > 0) {
      const text = problems.map(({ problem, advice }) => `${problem} (${advice})`).join("; ");
      throw new NetworkHostError(`no simulated network can be made here: ${text}; or choose another: --network none`);
    }
    mkdirSync(folder, { recursive: true });
    const reasons: string[] = [];
    for (const namespaces of getNamespaceOptions()) {
      const user = namespaces.includes("--user") ? "root" : "inetsim";
      const holder = new NamespaceHolder(namespaces, { folder, labFolder, user, aheadMs, agentPort }, (message) =>
        report(options, message),
      );
      try {
        await callAsyncWithin("the simulated network", UP_LIMIT_MS, signal, () => holder.up);
        return new SimulatedNetwork(holder, join(folder, AGENT_SOCKET), options.onProblem);
      } catch (error) {
        holder.kill();
        await holder.ended;
        signal.throwIfAborted();
        reasons.push(error instanceof Error ? error.message : String(error));
      }
    }
    throw new NetworkHostError(`no simulated network can be made here: ${reasons.join("; ")}; ${NAMESPACE_ADVICE}`);
  }

  /** The machine's device in it. */
  get device(): MachineNetwork {
    return { kind: "tap", tap: TAP, holder: this.holder.pid, agentSocket: this.agentSocket };
  }

  /** Waits until all servers answer. @throws NetworkGoneError when one does not, with the reason */
  async untilReady(signal: AbortSignal): Promise<void> {
    await callAsyncWithin("the start of INetSim", READY_LIMIT_MS, signal, () => this.holder.ready);
  }

  /** Ends it; the logs of its servers are whole then. It never throws. */
  async stop(): Promise<void> {
    const { holder } = this;
    this.#isStopping = true;
    holder.end();
    const timer = setTimeout(() => holder.kill(), STOP_LIMIT_MS);
    await holder.ended;
    clearTimeout(timer);
  }
}

function report(options: SimulatedNetworkOptions, message: NamespaceMessage): void {
  if (message.kind === "problem") options.onProblem(message.text);
  if (message.kind === "secure-name") options.onSecureName?.(message.name);
}
