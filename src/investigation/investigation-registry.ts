import type { InvestigationFactory, InvestigationModule } from "./investigation-module";

/** Names of modules: they are words of command lines and names of files. */
const NAME = /^[a-zA-Z][\w-]{0,63}$/;

/** A module that was registered. */
export interface RegisteredModule {
  readonly name: string;
  readonly module: InvestigationModule;
  /** Where it was registered: a file, or "this process". */
  readonly origin: string;
}

/** The modules by their names, each once. */
export class InvestigationRegistry {
  readonly #modules = new Map<string, RegisteredModule>();

  /**
   * Registers a module.
   *
   * @param module an object that makes runs, or a function that makes one
   * @param origin where the module comes from, for messages
   * @throws Error for a name that is taken, naming both places; for a name or module that is none
   */
  register(name: string, module: InvestigationModule | InvestigationFactory, origin: string): RegisteredModule {
    if (typeof name !== "string" || !NAME.test(name)) {
      throw new Error(
        `${origin}: ${JSON.stringify(name)} is no name for a module: a letter, then up to 63 letters, digits, - and _`,
      );
    }
    const other = this.#modules.get(name);
    if (other) {
      throw new Error(`${origin}: a module named ${name} has already been registered, by ${other.origin}`);
    }
    const registered = { name, module: toModule(name, module, origin), origin };
    this.#modules.set(name, registered);
    return registered;
  }

  find(name: string): RegisteredModule | undefined {
    return this.#modules.get(name);
  }

  /** Forgets the modules of one place. */
  unregister(origin: string): void {
    for (const [name, registered] of this.#modules) if (registered.origin === origin) this.#modules.delete(name);
  }

  /** The modules, by their names. */
  list(): RegisteredModule[] {
    return [...this.#modules.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  }
}

function toModule(
  name: string,
  module: InvestigationModule | InvestigationFactory,
  origin: string,
): InvestigationModule {
  if (typeof module === "function") return { newRun: module };
  const given = module as InvestigationModule | null | undefined;
  if (typeof given?.newRun === "function" || typeof given?.newPersistentRun === "function") return given;
  throw new Error(`${origin}: the module ${name} has neither newRun() nor newPersistentRun()`);
}

const ofThisProcess = new InvestigationRegistry();

/** The modules that were registered without a file of their own: by scripts, or by programs that import rebox. */
export function getProcessModules(): InvestigationRegistry {
  return ofThisProcess;
}

/**
 * Registers an investigation module; `rebox investigate NAME` runs it then. A file in modules/investigation calls this at its top level.
 *
 * @param name unique among all modules
 * @param module an object that makes runs, or a function that makes one
 * @throws Error for a name that is taken, naming both places
 */
export function registerInvestigation(name: string, module: InvestigationModule | InvestigationFactory): void {
  ofThisProcess.register(name, module, "this process");
}
