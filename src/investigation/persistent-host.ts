import { findGuest } from "../guest/guest";
import type { InvestigationCatalog } from "./investigation-catalog";
import type { InvestigationContext } from "./investigation-context";
import type { InvestigationRun } from "./investigation-module";
import { PersistentModule, type PersistentModuleInfo, type SupervisorOptions } from "./persistent-module";
import { PERSISTENT_TIMES, type PersistentTimes } from "./persistent-times";
import { QueryRun } from "./query-run";

/** The module that alerts go to when it runs. */
const DISPATCH = "dispatch";

/** Something that a persistent module has found worth telling. */
export interface Alert {
  readonly timestamp: string;
  readonly module: string;
  readonly level: string;
  readonly text: string;
  /** The guest's; empty when it is not known. */
  readonly hostname: string;
}

export interface PersistentHostOptions {
  readonly times?: Partial<PersistentTimes>;
  readonly configFolder?: string | undefined;
  /** Receives what modules log, and why they were ended. */
  log(text: string): void;
  /** Receives alerts that no dispatch module takes. */
  onAlert(alert: Alert): void;
}

/** The persistent modules of this process. */
export class PersistentHost {
  readonly #modules = new Map<string, PersistentModule>();
  readonly #options: SupervisorOptions;

  constructor(
    private readonly catalog: InvestigationCatalog,
    private readonly host: PersistentHostOptions = { log: () => undefined, onAlert: () => undefined },
  ) {
    this.#options = {
      catalog,
      times: { ...PERSISTENT_TIMES, ...host.times },
      configFolder: host.configFolder,
      log: (module, text) => host.log(`${module}: ${text}`),
      alert: (module, level, text) => this.#alert(module, level, text),
    };
  }

  /**
   * Starts a persistent module; from then on it is kept alive.
   *
   * @throws Error when there is none of this name, or it lives already
   */
  async start(name: string): Promise<void> {
    const { module, origin } = await this.catalog.get(name);
    if (!module.newPersistentRun)
      throw new Error(`the module ${name} is no persistent one: ask it without starting it`);
    if (this.#modules.has(name)) throw new Error(`the module ${name} is there already`);
    const persistent = new PersistentModule(name, origin, this.#options);
    this.#modules.set(name, persistent);
    await persistent.start();
  }

  /** Ends a persistent module. @throws Error when it does not live */
  async end(name: string): Promise<void> {
    const module = this.#modules.get(name);
    if (!module) throw new Error(`module ${name} is not registered`);
    this.#modules.delete(name);
    await module.close();
  }

  /** Whether a module was started, even when its instance is just being started again. */
  has(name: string): boolean {
    return this.#modules.has(name);
  }

  list(): PersistentModuleInfo[] {
    return [...this.#modules.values()].map(({ info }) => info);
  }

  /** Makes a run that puts one query to the living instance. @throws Error when there is none */
  createRun(name: string, context: InvestigationContext): InvestigationRun {
    const instance = this.#modules.get(name)?.instance;
    if (!instance?.isRegistered) {
      const failure = this.#modules.get(name)?.info.failure;
      throw new Error(`module ${name} is not registered${failure === undefined ? "" : `: ${failure}`}`);
    }
    return new QueryRun(instance, context);
  }

  /** Ends all modules, and everything that they have registered. */
  async close(): Promise<void> {
    const modules = [...this.#modules.values()];
    this.#modules.clear();
    await Promise.all(modules.map((module) => module.close()));
  }

  #alert(module: string, level: string, text: string): void {
    const alert = { timestamp: new Date().toISOString(), module, level, text, hostname: findHostName() };
    const dispatch = module === DISPATCH ? undefined : this.#modules.get(DISPATCH)?.instance;
    if (!dispatch?.isRegistered) return this.host.onAlert(alert);
    dispatch.query({ alert }, new AbortController().signal).then(
      ({ success, errors }) => {
        if (success) return;
        this.host.log(`${DISPATCH}: ${errors?.[0]}`);
        this.host.onAlert(alert);
      },
      () => this.host.onAlert(alert),
    );
  }
}

function findHostName(): string {
  try {
    return findGuest()?.hostName ?? "";
  } catch {
    // An alert must not be lost because the guest cannot be read.
    return "";
  }
}
