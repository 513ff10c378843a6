import type { Moment } from "../../config/moment";
import type { SettingsOf, SettingsSchema } from "../../config/schema/settings-schema";
import type { AnalysisLog, AuxiliaryMachine, AuxiliaryRun, GuestHandle, GuestObservation } from "./auxiliary-run";
import { dirname, resolve } from "node:path";
import { findMoment } from "../analysis/event-moment";
import { getSteadyTime } from "../analysis/steady-time";
import { AnalysisError } from "../errors";

/** A value of conf/auxiliary.conf: `yes`, `7`, `any text`. */
export type OptionValue = string | number | boolean;

/** The options of a module: typed where it declares settings, else as they stand in the file. */
export type AuxiliaryOptions<Settings extends SettingsSchema> = string extends keyof Settings
  ? Record<string, OptionValue>
  : { -readonly [Name in keyof Settings]: SettingsOf<Settings>[Name] };

/**
 * The base class of auxiliary modules, which work beside an analysis: one records its network frames, for example.
 *
 * A module is one file in modules/auxiliary whose default export extends this class. Each analysis has an instance of its
 * own, so state belongs in members. All methods are optional and may return promises; one that fails or takes too long is
 * recorded in the analysis and does not disturb the others. The order of the calls is CAPE's.
 */
export abstract class Auxiliary<Settings extends SettingsSchema = SettingsSchema> {
  /** One sentence, for the template of its configuration. */
  static readonly description: string = "";

  /** The settings that its section of conf/auxiliary.conf may hold beside `enabled`; without it, anything. */
  static readonly settings: SettingsSchema | undefined = undefined;

  /** Whether the configuration of a new lab enables it. */
  static readonly isUsual: boolean = false;

  /** The platforms of machines that it has something to do for; undefined for any. */
  static readonly platforms: readonly string[] | undefined = undefined;

  /** Whether conf/auxiliary.conf enables the module. */
  enabled = false;

  /** Higher starts first; the same starts in the order of the file names. */
  startPriority = 0;

  /** Higher stops first; the same stops in the order of the start. */
  stopPriority = 0;

  /** The time limit of stop(), in milliseconds, 10 minutes at most; 10 seconds when it is undefined. */
  get stopLimitMs(): number | undefined {
    return undefined;
  }

  /** The file's name without its extension, which is also the section in conf/auxiliary.conf. */
  declare readonly name: string;

  /** The section of conf/auxiliary.conf, without `enabled`. Configuration in data/auxiliary may add to it. */
  declare readonly options: AuxiliaryOptions<Settings>;

  /** The analysis. */
  declare readonly run: AuxiliaryRun;

  /** The machine that the analysis has got. It does not run yet when start() is called. */
  declare readonly machine: AuxiliaryMachine;

  /** Writes to the analysis' record, with the module's name. */
  declare readonly log: AnalysisLog;

  /** The module's own file, absolute. */
  declare readonly moduleFile: string;

  /** Calls cb_NAME of every module of the analysis that has one, in the order of their start; it never rejects. */
  declare readonly notify: (name: string, ...args: unknown[]) => Promise<void>;

  /**
   * Returns the guest.
   *
   * @throws Error when the machine cannot be looked into, or does not run
   */
  protected getGuest(): GuestHandle {
    const { name, guest } = this.machine;
    if (guest !== undefined) return guest;
    throw new AnalysisError(
      `machine ${name} cannot be looked into, so ${this.name} has nothing to do; use one of rebox`,
    );
  }

  /**
   * Returns the time as ISO 8601, UTC; while a value of an observation is received, the time at which the engine has reported it. It goes
   * on when the host's clock is set.
   */
  protected getTime(): string {
    return getSteadyTime(findMoment());
  }

  /**
   * Loads a file into the guest's engine; see GuestHandle.observe().
   *
   * @param file relative to the module's own
   * @throws Error when the machine cannot be looked into, or the file cannot be loaded
   */
  protected observe(
    file: string,
    options: object,
    onEvent: (event: unknown, moment: Moment) => void,
  ): Promise<GuestObservation> {
    return this.getGuest().observe(resolve(dirname(this.moduleFile), file), options, onEvent);
  }

  /**
   * Begins; called before the machine starts.
   *
   * @returns false when there is nothing to do for this analysis: then no other method is called
   * @throws AuxiliaryDisabled for the same, with a reason
   */
  start?(): unknown;

  /** Goes on with a machine that runs; called after its start, before the target is executed. */
  machineStarted?(): unknown;

  /** Ends; called at the end of the analysis, before memory is dumped, the machine is stopped, and results are processed. */
  stop?(): unknown;

  /** Cleans up what stop() needs; called after every module has stopped, also when start() has failed. */
  finish?(): unknown;
}
