import { join } from "node:path";
import type { AnalysisLog } from "../auxiliary/auxiliary-run";
import type { LabMachine } from "../machinery/records/lab-machine";
import { connectGuest, writeNetworkLook } from "../network/connect-guest";
import { findOwnNetwork, formatNetwork, type NetworkChoice, type NetworkSettings } from "../network/network-choice";
import { SimulatedNetwork } from "../network/simulated-network";
import type { GuestWay } from "../ways/guest-way";
import type { NetworkRecord } from "./analysis-record";

/** The use of a network by an analysis. */
export interface NetworkUse {
  /** Undefined is that of the machine's settings. */
  readonly wanted: NetworkChoice | undefined;
  /** Of the analysis, absolute. */
  readonly folder: string;
  readonly log: AnalysisLog;
  /** Returns the time that the guest's clock is set to, in milliseconds since 1970; now without it. */
  getClockMs?(): number | undefined;
  addEvent(type: string, facts: Readonly<Record<string, unknown>>): void;
  /** Receives what is known of the network, each time that it changes. */
  onRecord(record: NetworkRecord): void;
}

/** The network of the machine of one analysis: it is made before the machine starts, and ends after it. */
export class AnalysisNetwork {
  #simulated: SimulatedNetwork | undefined;
  #record: NetworkRecord | undefined;
  #network: NetworkChoice | undefined;

  /**
   * @param machine is connected to it by its next start
   * @param isQemu whether its network is known: domains of libvirt have their own
   */
  constructor(
    private readonly labFolder: string,
    private readonly machine: LabMachine,
    private readonly use: NetworkUse,
    private readonly isQemu: boolean,
  ) {}

  /** @throws NetworkError */
  async start(signal: AbortSignal): Promise<void> {
    const { machine, use, labFolder } = this;
    const { facts } = machine;
    const own = findOwnNetwork(facts);
    const network = use.wanted ?? own;
    // A machine without a card, and one with cards of its own.
    this.#tell(network, network === undefined ? findNameOf(facts.settings, this.isQemu) : formatNetwork(network));
    if (network === undefined || own === undefined) return;
    this.#network = network;
    if (network.kind === "bridge" && facts.cloneOf !== undefined) {
      use.log.warn(`${facts.name} has the addresses of all clones of ${facts.cloneOf} on ${network.interface}`);
    }
    if (network.kind !== "simulated") {
      machine.network = network;
      return;
    }
    const folder = join(use.folder, "network");
    const aheadMs = (use.getClockMs?.() ?? Date.now()) - Date.now();
    const onProblem = (problem: string) => this.#fail(problem);
    this.#simulated = await SimulatedNetwork.start({
      labFolder,
      folder,
      signal,
      aheadMs,
      agentPort: facts.agentPort,
      onProblem,
    });
    machine.network = this.#simulated.device;
  }

  /** Waits until all servers answer. @throws NetworkGoneError when one does not */
  async untilReady(signal: AbortSignal): Promise<void> {
    await this.#simulated?.untilReady(signal);
  }

  /** Commands for sh that look whether the guest has an address in it; undefined where it needs none. */
  get look(): string | undefined {
    return this.#network && writeNetworkLook(this.#network);
  }

  /**
   * Gives the guest, which may come from another network, an address in this one; a failure is a warning.
   *
   * @param seen the exit status of the look, where that was executed already
   */
  async connectGuest(way: GuestWay, signal: AbortSignal, seen?: number): Promise<void> {
    if (this.#network === undefined) return;
    const done = await connectGuest(way, this.#network, signal, seen);
    const { log } = this.use;
    if (typeof done === "object") log.warn(`the guest has no address in its network: ${done.failure}`);
    else if (done === "fetched") log.info("the guest's network manager has fetched an address anew");
    else if (done === "set") log.info("the guest's address was set, because its network manager has fetched none");
  }

  /** Ends it; the logs of its servers are complete then. It never throws. */
  async stop(): Promise<void> {
    const simulated = this.#simulated;
    this.#simulated = undefined;
    this.machine.network = undefined;
    await simulated?.stop();
  }

  #tell(network: NetworkChoice | undefined, name: string): void {
    const isOpen = name === "own" || network?.kind === "user" || network?.kind === "bridge";
    this.#record = { network: name, isOpen, isAsked: this.use.wanted !== undefined, problems: [] };
    this.use.onRecord(this.#record);
    if (isOpen && name !== "own") {
      this.use.log.warn(`the network is open (${name}): the target reaches others than this lab`);
    }
  }

  #fail(problem: string): void {
    this.use.log.error(`network: ${problem}`);
    this.use.addEvent("network.broken", { problem });
    this.#record = { ...this.#record!, problems: [...this.#record!.problems, problem] };
    this.use.onRecord(this.#record);
  }
}

/** Says how a machine is connected whose card, if it has one, is none of the lab's. */
function findNameOf(settings: NetworkSettings, isQemu: boolean): string {
  const { args, machineinfo_path: info } = settings;
  return isQemu && info === undefined && !/(^|\s)--?(nic|netdev|net)\b/.test(args ?? "") ? "none" : "own";
}
