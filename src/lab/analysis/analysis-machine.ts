import type { MachineChoice, StartRequest } from "./target/start-request";
import type { AuxiliaryMachine, GuestHandle } from "../auxiliary/auxiliary-run";

/** A machine that an analysis has for itself. Every function ends when its signal says so. */
export interface AnalysisMachine extends Omit<AuxiliaryMachine, "guest"> {
  readonly machinery: string;
  /** Restores the machine and starts it; when this returns, its guest runs. */
  start(signal: AbortSignal): Promise<void>;
  /** The guest, once it runs, of a machine that can be looked into. */
  readonly guest: GuestHandle | undefined;
  /** Waits until the guest can be used, and gives it the target. The caller closes what it gets. */
  deliver(request: TargetRequest, signal: AbortSignal): Promise<DeliveredTarget>;
  /** Writes the guest's memory to a file. */
  dumpMemory(path: string, signal: AbortSignal): Promise<void>;
  /** Stops the machine; one that is off already is no error. */
  stop(signal: AbortSignal): Promise<void>;
  /** Gives the machine to the next. One that could not be stopped goes into quarantine with the reason. */
  release(failure: string | undefined): Promise<void>;
}

/** The target of an analysis. */
export interface TargetRequest {
  /** Absolute path; undefined when there is only a command. */
  readonly target: string | undefined;
  /** For the guest's sh; undefined executes the target. */
  readonly command: string | undefined;
  readonly start?: StartRequest;
  /** Whether the guest is started again behind the target's end. */
  readonly isRebooted: boolean;
  /** The time that the guest's clock is set to, in milliseconds since 1970; undefined is now. */
  readonly clockMs: number | undefined;
}

/** A target that the guest has. */
export interface DeliveredTarget {
  /**
   * Has the guest execute it. Resolves when it is about to execute its first instruction; where the machine cannot be looked into, as
   * soon as the guest was asked to execute it.
   */
  begin(signal: AbortSignal): Promise<void>;
  /** Resolves with why the target has ended, once nothing of it lives. */
  untilEnd(signal: AbortSignal): Promise<string>;
  /**
   * Has the guest start again. Resolves when what the target has left in it is followed.
   *
   * @returns why the machine has gone off in place of that
   * @throws AnalysisError when that cannot be done
   */
  reboot(signal: AbortSignal): Promise<string | undefined>;
  close(): void;
}

/** The source of machines for analyses. */
export interface AnalysisMachinePool {
  /**
   * Waits until a machine is free, and takes it.
   *
   * @param name a machine's name; undefined takes any that fits
   * @param choice what one that is not named has to have
   * @param signal ends the wait
   * @throws Error when no machine can ever fit, with the reason
   */
  acquire(name: string | undefined, signal: AbortSignal, choice?: MachineChoice): Promise<AnalysisMachine>;
}
