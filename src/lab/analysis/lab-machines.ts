import type { Lab } from "../lab";
import type { MachineLease } from "../machine-lease";
import type { AnalysisMachines, LeasedMachine } from "./analysis-machines";
import { LabMachine, type LabMachineUse } from "./lab-machine";

/** The machines of a lab, for one analysis. */
export class LabMachines implements AnalysisMachines {
  constructor(
    private readonly lab: Lab,
    private readonly use: LabMachineUse,
  ) {}

  async acquire(name: string | undefined, signal: AbortSignal): Promise<LeasedMachine> {
    const { lab, use } = this;
    lab.checkHasMachines();
    await lab.recheck(signal);
    if (name !== undefined) {
      const { quarantine } = lab.manager.machines.get(name);
      if (quarantine !== undefined) {
        throw new Error(`${name} is quarantined: ${quarantine.reason}; mend it, then rebox machine enable ${name}`);
      }
    }
    const lease = await lab.take(`analysis ${use.id}`, name === undefined ? {} : { name }, signal);
    try {
      await this.#checkIsOff(lease, signal);
      return new LabMachine(lab, lease, use);
    } catch (error) {
      await lease.release();
      throw error;
    }
  }

  /** One that somebody has started by hand is not ours to stop. */
  async #checkIsOff({ machine }: MachineLease, signal: AbortSignal): Promise<void> {
    const { state } = await this.lab.manager.readState(machine.name, signal);
    if (state === "poweroff") return;
    throw new Error(`${machine.name} is ${state}; stop it first: rebox machine stop ${machine.name}`);
  }
}
