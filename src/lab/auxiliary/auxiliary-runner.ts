import { callAsyncWithin } from "../../config/limits";
import { ConfigProblems } from "../../config/schema/config-problems";
import {
  type AnalysisLog,
  type AuxiliaryMachine,
  type AuxiliaryRun,
  type AuxiliaryState,
  type AuxiliaryStatus,
  prefixLog,
} from "./auxiliary-run";
import type { Auxiliary } from "./auxiliary";
import type { AuxiliaryCatalog, AuxiliaryClass, AuxiliaryConstructor } from "./auxiliary-catalog";
import type { AuxiliaryConfig } from "./auxiliary-config";
import { configureAuxiliary, findConfiguration } from "./private-configuration";
import { AnalysisError, AuxiliaryDisabled } from "../errors";
import type { Doors } from "../../scripts/loading/doors";

/** The time limits of an auxiliary module's methods, in milliseconds. */
export interface AuxiliaryLimits {
  readonly configureMs: number;
  readonly startMs: number;
  readonly callbackMs: number;
  readonly stopMs: number;
}

const LIMITS: AuxiliaryLimits = { configureMs: 60_000, startMs: 30_000, callbackMs: 10_000, stopMs: 10_000 };

/** The most time that a module can ask for its stop(), in milliseconds. */
const LONGEST_STOP_MS = 600_000;

/** Everything that the auxiliary modules of one analysis are made from. */
export interface AuxiliarySurroundings {
  readonly catalog: AuxiliaryCatalog;
  readonly config: AuxiliaryConfig;
  /** Absolute path of data/auxiliary. */
  readonly configurations: string;
  readonly run: AuxiliaryRun;
  readonly machine: AuxiliaryMachine;
  readonly log: AnalysisLog;
  /** The parts of rebox that modules can import. */
  readonly api: Doors;
  readonly limits?: Partial<AuxiliaryLimits>;
}

interface Entry {
  readonly name: string;
  readonly module: Auxiliary | undefined;
  state: AuxiliaryState | "made";
  reason?: string;
  readonly errors: string[];
}

/** The auxiliary modules of one analysis: makes an instance of each, and calls them in their order. */
export class AuxiliaryRunner {
  private readonly entries: Entry[] = [];
  private readonly limits: AuxiliaryLimits;
  private readonly log: AnalysisLog;

  constructor(private readonly surroundings: AuxiliarySurroundings) {
    this.limits = { ...LIMITS, ...surroundings.limits };
    this.log = surroundings.log;
  }

  /** The progress of each module, including those that are not enabled, in the order of their names. */
  get status(): AuxiliaryStatus[] {
    return this.entries.map(({ name, state, reason, errors }) => ({
      name,
      state: state === "made" ? "disabled" : state,
      reason,
      errors: [...errors],
    }));
  }

  /**
   * Makes, configures and starts the modules that are enabled; before the machine starts. Once the analysis ends, no further
   * module is started. It never throws.
   */
  async start(): Promise<void> {
    await this.make();
    const made = this.entries.filter((entry) => entry.state === "made");
    for (const entry of byPriority(made, (module) => module.startPriority)) await this.startOne(entry);
  }

  /** Notifies the started modules, in the order of their start, that the machine runs. It never throws. */
  async machineStarted(): Promise<void> {
    for (const entry of this.inStartOrder()) {
      await this.call(entry, "machineStarted", this.limits.startMs);
    }
  }

  /**
   * Calls cb_<name> of each started module that has one, in the order of their start. One that throws AuxiliaryDisabled is left
   * out from then on; one that fails stays.
   *
   * @param name without "cb_"
   * @param args what it is called with
   */
  async callback(name: string, ...args: unknown[]): Promise<void> {
    for (const entry of this.inStartOrder()) await this.call(entry, `cb_${name}`, this.limits.callbackMs, args);
  }

  /** Stops each started module once, by priority; each gets its time, and no more. It never throws. */
  async stop(): Promise<void> {
    for (const entry of byPriority(this.inStartOrder(), (module) => module.stopPriority)) {
      // At once, so that a second stop() at the same time does not stop it again.
      entry.state = "stopped";
      const limitMs = Math.min(entry.module!.stopLimitMs ?? this.limits.stopMs, LONGEST_STOP_MS);
      if (!(await this.call(entry, "stop", limitMs))) entry.state = "stop-failed";
    }
  }

  /** Lets each module that was made clean up; after stop(). It never throws. */
  async finish(): Promise<void> {
    for (const entry of this.entries) {
      if (entry.module !== undefined) await this.call(entry, "finish", this.limits.stopMs);
    }
  }

  private readonly started: Entry[] = [];

  private inStartOrder(): Entry[] {
    return this.started.filter((entry) => entry.state === "started");
  }

  private async make(): Promise<void> {
    const { catalog, config, configurations, api } = this.surroundings;
    const names = [...catalog.files.keys()];
    for (const warning of config.findUnused(names)) this.log.warn(warning.toString());
    const isWanted = (name: string) => {
      const section = config.find(name);
      return section !== undefined && (section.enabled || findConfiguration(configurations, name) !== undefined);
    };
    const { classes, refused } = await catalog.load(names.filter(isWanted), api);
    for (const name of names) {
      const refusal = refused.find((one) => one.name === name);
      const found = classes.find((one) => one.name === name);
      if (refusal !== undefined) {
        this.fail(this.add(name, undefined, "failed"), "cannot be loaded", refusal.error);
      } else if (found !== undefined) {
        await this.makeOne(found, config);
      } else {
        const reason =
          config.find(name) === undefined ? `${config.file} has no section [${name}]` : `${config.file} disables it`;
        this.add(name, undefined, "disabled").reason = reason;
      }
    }
  }

  private async makeOne({ name, file: ownFile, create }: AuxiliaryClass, config: AuxiliaryConfig): Promise<void> {
    const { run, machine, log, configurations, api } = this.surroundings;
    const section = config.find(name)!;
    let module: Auxiliary;
    let options: Record<string, unknown>;
    try {
      options = this.readOptions(name, create, config);
      module = new create();
    } catch (error) {
      this.fail(this.add(name, undefined, "failed"), "cannot be made", error);
      return;
    }
    module.enabled = section.enabled;
    const notify = (called: string, ...args: unknown[]) => this.callback(called, ...args);
    Object.assign(module, { name, moduleFile: ownFile, options, run, machine, notify, log: prefixLog(log, name) });
    const entry = this.add(name, module, section.enabled ? "made" : "disabled");
    if (!section.enabled) entry.reason = `${config.file} disables it`;
    const file = findConfiguration(configurations, name);
    if (file === undefined) return;
    try {
      await callAsyncWithin("configure()", this.limits.configureMs, run.signal, () =>
        configureAuxiliary(file, module, api),
      );
    } catch (error) {
      // As the ancestors do: a module with a broken private configuration is started all the same.
      this.note(entry, "configuration error", error);
    }
  }

  /** @throws Error with every mistake in the options of a module that says what they may be */
  private readOptions(name: string, { settings }: AuxiliaryConstructor, config: AuxiliaryConfig) {
    if (settings === undefined) return { ...config.find(name)!.options };
    const problems = new ConfigProblems();
    const hasConfiguration = findConfiguration(this.surroundings.configurations, name) !== undefined;
    const options = config.readOptions(name, settings, problems, hasConfiguration);
    for (const warning of problems.warnings) this.log.warn(warning.toString());
    if (problems.errors.length > 0) throw new AnalysisError(problems.errors.map(({ message }) => message).join("; "));
    return options;
  }

  private async startOne(entry: Entry): Promise<void> {
    const module = entry.module!;
    try {
      checkPlatform(module.constructor as AuxiliaryConstructor, this.surroundings.machine);
      const { signal } = this.surroundings.run;
      const result = await callAsyncWithin("start()", this.limits.startMs, signal, () => module.start?.());
      if (result === false) {
        entry.state = "disabled";
        entry.reason = "start() returned false";
        return;
      }
      entry.state = "started";
      this.started.push(entry);
      this.log.debug(`auxiliary module ${entry.name} has started`);
    } catch (error) {
      if (error instanceof AuxiliaryDisabled) this.disable(entry, error);
      else this.fail(entry, "unable to start", error);
    }
  }

  /** Calls a method that a module may have. Returns false when it failed. */
  private async call(entry: Entry, method: string, limitMs: number, args: unknown[] = []): Promise<boolean> {
    const called: unknown = (entry.module as unknown as Record<string, unknown>)[method];
    if (typeof called !== "function") return true;
    try {
      await callAsyncWithin(`${method}()`, limitMs, undefined, () => called.apply(entry.module, args) as unknown);
      return true;
    } catch (error) {
      if (error instanceof AuxiliaryDisabled && method !== "stop") {
        this.disable(entry, error);
        return true;
      }
      this.note(entry, `${method}() failed`, error);
      return false;
    }
  }

  private add(name: string, module: Auxiliary | undefined, state: Entry["state"]): Entry {
    const entry: Entry = { name, module, state, errors: [] };
    this.entries.push(entry);
    return entry;
  }

  private disable(entry: Entry, why: AuxiliaryDisabled): void {
    entry.state = "disabled";
    entry.reason = why.message;
    this.log.debug(`auxiliary module ${entry.name} is left out: ${why.message}`);
  }

  private fail(entry: Entry, what: string, error: unknown): void {
    entry.state = "failed";
    entry.reason = this.note(entry, what, error);
  }

  private note(entry: Entry, what: string, error: unknown): string {
    const text = `${what}: ${error instanceof Error ? error.message : String(error)}`;
    entry.errors.push(text);
    this.log.warn(`auxiliary module ${entry.name}: ${text}`);
    return text;
  }
}

/** Sorts by a priority, the higher first; the same keep their order. */
function byPriority(entries: readonly Entry[], priority: (module: Auxiliary) => number): Entry[] {
  return [...entries].sort((one, other) => priority(other.module!) - priority(one.module!));
}

/** @throws AuxiliaryDisabled for a machine whose system the module is not for */
function checkPlatform({ platforms }: AuxiliaryConstructor, { name, platform }: AuxiliaryMachine): void {
  if (platforms === undefined || platforms.includes(platform)) return;
  throw new AuxiliaryDisabled(`it is for machines with ${platforms.join(", ")}, and ${name} is one with ${platform}`);
}
