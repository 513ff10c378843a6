import { findGuest } from "../../guest/guest";
import type { InvestigationCatalog } from "../catalog";
import { STOPPED } from "../investigation";
import { MessageReader, readInputParameters, readUntilStop } from "../messages";
import type { InvestigationContext, InvestigationRun, MessageInput, PersistentRun } from "../module";
import { describeFailure, createFailure, encodeResult } from "../result";
import { PERSISTENT_TIMES, type PersistentTimes } from "./config";
import type { PersistentInstance } from "./instance";
import { PersistentModule, type PersistentModuleInfo, type SupervisorOptions } from "./module";
import { ModuleError, RunEndedError } from "../errors";

/** The name of the module that receives alerts when it runs. */
const DISPATCH = "dispatch";

/** A finding that a persistent module reports by itself. */
export interface Alert {
  readonly timestamp: string;
  readonly module: string;
  readonly level: string;
  readonly text: string;
  /** The guest's host name; empty when it is not known. */
  readonly hostname: string;
}

/** Options of the persistent modules of a process. */
export interface PersistentHostOptions {
  readonly times?: Partial<PersistentTimes>;
  readonly configFolder?: string | undefined;
  /** Receives the log lines of modules, and the reasons for which they were ended. */
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
   * Starts a persistent module, which is then kept alive.
   *
   * @throws ModuleError when no module has this name, or it runs already
   */
  async start(name: string): Promise<void> {
    const { module, origin } = await this.catalog.get(name);
    if (!module.newPersistentRun)
      throw new ModuleError(`the module ${name} is no persistent one: ask it without starting it`);
    if (this.#modules.has(name)) throw new ModuleError(`the module ${name} is there already`);
    const persistent = new PersistentModule(name, origin, this.#options);
    this.#modules.set(name, persistent);
    await persistent.start();
  }

  /** Ends a persistent module. @throws ModuleError when it does not run */
  async end(name: string): Promise<void> {
    const module = this.#modules.get(name);
    if (!module) throw new ModuleError(`module ${name} is not registered`);
    this.#modules.delete(name);
    await module.close();
  }

  /** Whether a module was started, even while its instance is being started again. */
  has(name: string): boolean {
    return this.#modules.has(name);
  }

  /** Lists the modules that were started. */
  list(): PersistentModuleInfo[] {
    return [...this.#modules.values()].map(({ info }) => info);
  }

  /** Makes a run that puts one query to the running instance. @throws ModuleError when there is none */
  createRun(name: string, context: InvestigationContext): InvestigationRun {
    const instance = this.#modules.get(name)?.instance;
    if (!instance?.isRegistered) {
      const failure = this.#modules.get(name)?.info.failure;
      throw new ModuleError(`module ${name} is not registered${failure === undefined ? "" : `: ${failure}`}`);
    }
    return new QueryRun(instance, context);
  }

  /** Ends all modules, and removes everything that they have registered. */
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

/** One query to a persistent module. It has the module's functions for parameters and results. */
export class QueryRun implements InvestigationRun {
  readonly printResults?: NonNullable<InvestigationRun["printResults"]>;
  readonly paramsParser?: NonNullable<InvestigationRun["paramsParser"]>;
  readonly paramsCreator?: NonNullable<InvestigationRun["paramsCreator"]>;
  readonly enhancePrivacy?: NonNullable<InvestigationRun["enhancePrivacy"]>;

  constructor(
    private readonly instance: PersistentInstance,
    private readonly context: InvestigationContext,
  ) {
    const run: PersistentRun | undefined = instance.run;
    if (run?.printResults) this.printResults = run.printResults.bind(run);
    if (run?.paramsParser) this.paramsParser = run.paramsParser.bind(run);
    if (run?.paramsCreator) this.paramsCreator = run.paramsCreator.bind(run);
    if (run?.enhancePrivacy) this.enhancePrivacy = run.enhancePrivacy.bind(run);
  }

  validateParameters(): void {
    // The instance checks them.
  }

  async run(input: MessageInput): Promise<string> {
    const reader = new MessageReader(input);
    const stop = new AbortController();
    try {
      const parameters = readInputParameters(await reader.next());
      void readUntilStop(reader).then((isStop) => isStop && stop.abort(new RunEndedError(STOPPED)));
      return encodeResult(await this.instance.query(parameters, AbortSignal.any([this.context.signal, stop.signal])));
    } catch (error) {
      return encodeResult(createFailure(describeFailure(error)));
    }
  }
}
