import type { AuxiliaryMachine, GuestHandle } from "../auxiliary/auxiliary-run";

/** A machine that an analysis has for itself. Every function ends when its signal says so. */
export interface AnalysisMachine extends Omit<AuxiliaryMachine, "guest"> {
  readonly machinery: string;
  /** Restores the machine and starts it; when this returns, its guest runs. */
  start(signal: AbortSignal): Promise<void>;
  /** The guest, once it runs, of a machine that can be looked into. */
  readonly guest: GuestHandle | undefined;
  /** Gives the guest the target and has it execute the command. Resolves with why the target has ended, once it has. */
  execute(target: string | undefined, command: string | undefined, signal: AbortSignal): Promise<string>;
  /** Writes the guest's memory to a file. */
  dumpMemory(path: string, signal: AbortSignal): Promise<void>;
  /** Stops the machine; one that is off already is no error. */
  stop(signal: AbortSignal): Promise<void>;
  /** Gives the machine to the next. One that could not be stopped goes into quarantine with the reason. */
  release(failure: string | undefined): Promise<void>;
}

/** The source of machines for analyses. */
export interface AnalysisMachinePool {
  /**
   * Waits until a machine is free, and takes it.
   *
   * @param name a machine's name; undefined takes any that fits
   * @param signal ends the wait
   * @throws Error when no machine can ever fit, with the reason
   */
  acquire(name: string | undefined, signal: AbortSignal): Promise<AnalysisMachine>;
}
