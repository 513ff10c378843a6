import { rmSync } from "node:fs";
import { join } from "node:path";
import { AnalysisNetwork } from "../analysis/analysis-network";
import type { Lab } from "../lab";
import { QmpMachinery } from "../machinery/drivers/qemu/qmp-machinery";
import type { LabMachine } from "../machinery/records/lab-machine";
import type { GuestWay } from "../ways/guest-way";

/**
 * The network of a machine while it is prepared, which is that of its settings: a system that boots in a simulated one has its
 * address from there, and keeps it in all clones.
 */
export class PreparationNetwork {
  readonly #network: AnalysisNetwork;
  /** A killed preparation leaves it to the next. */
  readonly #folder: string;

  /** @param say is told what goes wrong with it */
  constructor(lab: Lab, machine: LabMachine, say: (text: string) => void) {
    const folder = join(lab.folder, "state", machine.name);
    this.#folder = join(folder, "network");
    const log = { debug: () => undefined, info: () => undefined, warn: say, error: say };
    const nothing = () => undefined;
    const use = { wanted: undefined, folder, log, addEvent: nothing, onRecord: nothing };
    const isQemu = lab.manager.getMachinery(machine) instanceof QmpMachinery;
    this.#network = new AnalysisNetwork(lab.folder, machine, use, isQemu);
  }

  /** @throws NetworkError */
  async start(signal: AbortSignal): Promise<void> {
    rmSync(this.#folder, { recursive: true, force: true });
    await this.#network.start(signal);
  }

  /** Waits until all servers answer. @throws NetworkGoneError when one does not */
  untilReady(signal: AbortSignal): Promise<void> {
    return this.#network.untilReady(signal);
  }

  /** Has the guest have an address, which its clones begin with. */
  connectGuest(way: GuestWay, signal: AbortSignal): Promise<void> {
    return this.#network.connectGuest(way, signal);
  }

  /** Ends it, and leaves nothing of it. */
  async stop(): Promise<void> {
    await this.#network.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
