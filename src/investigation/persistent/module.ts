import type { InvestigationCatalog } from "../catalog";
import { describeFailure } from "../result";
import { type PersistentTimes, readModuleConfig } from "./config";
import { type InstanceEnvironment, PersistentInstance } from "./instance";

/** Options for the supervision of persistent modules. */
export interface SupervisorOptions {
  readonly catalog: InvestigationCatalog;
  readonly times: PersistentTimes;
  /** The folder of <module>.cfg. */
  readonly configFolder: string | undefined;
  log(module: string, text: string): void;
  alert(module: string, level: string, text: string): void;
}

/** The state of a persistent module. */
export interface PersistentModuleInfo {
  readonly name: string;
  /** "running": it takes queries; "starting"; "waiting": it has failed, and is started again soon. */
  readonly state: "running" | "starting" | "waiting";
  /** How many times it was started. */
  readonly starts: number;
  /** The reason of its last end. */
  readonly failure: string | undefined;
}

/** One persistent module, kept alive: when an instance ends, another one is started some time later. */
export class PersistentModule {
  #instance: PersistentInstance | undefined;
  #timer: NodeJS.Timeout | undefined;
  #starts = 0;
  #failure: string | undefined;
  #isClosed = false;

  /** @param origin the module's file */
  constructor(
    readonly name: string,
    private readonly origin: string,
    private readonly options: SupervisorOptions,
  ) {}

  get instance(): PersistentInstance | undefined {
    return this.#instance;
  }

  get info(): PersistentModuleInfo {
    const state = this.#instance === undefined ? "waiting" : this.#instance.isRegistered ? "running" : "starting";
    return { name: this.name, state, starts: this.#starts, failure: this.#failure };
  }

  /** Starts an instance. It settles when the instance was made, or has failed. */
  async start(): Promise<void> {
    const { options, name } = this;
    this.#starts++;
    try {
      const environment: InstanceEnvironment = {
        ...{ catalog: options.catalog, times: options.times, config: readModuleConfig(options.configFolder, name) },
        log: (text) => options.log(name, text),
        alert: (level, text) => options.alert(name, level, text),
        onEnd: (reason) => this.#wait(reason),
      };
      this.#instance = new PersistentInstance(name, this.origin, environment);
    } catch (error) {
      return this.#wait(describeFailure(error));
    }
    await this.#instance.start();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#instance?.close();
    this.#instance = undefined;
  }

  #wait(reason: string): void {
    this.#instance = undefined;
    if (this.#isClosed) return;
    const { restartMs } = this.options.times;
    // A reason that repeats is reported once.
    if (reason !== this.#failure) {
      this.options.log(this.name, `it was ended: ${reason}; it is started again every ${restartMs / 1000} s`);
    }
    this.#failure = reason;
    this.#timer = setTimeout(() => void this.start(), restartMs);
  }
}
