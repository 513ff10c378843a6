import { existsSync, statSync } from "node:fs";
import { join, parse, resolve } from "node:path";
import { findNearestName } from "../config/nearest-name";
import type { ModuleOwner } from "../machine/ownership/module-owner";
import type { Doors } from "../scripts/loading/doors";
import { listModuleFiles } from "../scripts/module-files";
import { loadTrustedFile } from "../scripts/loading/trusted-file";
import type { InvestigationFactory, InvestigationModule } from "./module";
import { describeFailure } from "./result";
import { ModuleError } from "./errors";

/** The form of a module's name: it is a word of command lines and the name of a file. */
const NAME = /^[a-zA-Z][\w-]{0,63}$/;

/** A module that was registered. */
export interface RegisteredModule {
  readonly name: string;
  readonly module: InvestigationModule;
  /** The place that registered it: a file, or "this process". */
  readonly origin: string;
}

/** The modules by their names; each name is unique. */
export class InvestigationRegistry {
  readonly #modules = new Map<string, RegisteredModule>();

  /**
   * Registers a module.
   *
   * @param module an object that makes runs, or a function that makes one
   * @param origin the place that the module comes from, for messages
   * @throws ModuleError for a name that is taken, naming both places; for a name or module that is none
   */
  register(name: string, module: InvestigationModule | InvestigationFactory, origin: string): RegisteredModule {
    if (typeof name !== "string" || !NAME.test(name)) {
      throw new ModuleError(
        `${origin}: ${JSON.stringify(name)} is no name for a module: a letter, then up to 63 letters, digits, - and _`,
      );
    }
    const other = this.#modules.get(name);
    if (other) {
      throw new ModuleError(`${origin}: a module named ${name} has already been registered, by ${other.origin}`);
    }
    const registered = { name, module: toModule(name, module, origin), origin };
    this.#modules.set(name, registered);
    return registered;
  }

  find(name: string): RegisteredModule | undefined {
    return this.#modules.get(name);
  }

  /** Removes the modules of one place. */
  unregister(origin: string): void {
    for (const [name, registered] of this.#modules) if (registered.origin === origin) this.#modules.delete(name);
  }

  /** Lists the modules, sorted by name. */
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
  throw new ModuleError(`${origin}: the module ${name} has neither newRun() nor newPersistentRun()`);
}

const ofThisProcess = new InvestigationRegistry();

/** Gets the modules that were registered without a file of their own: by scripts, or by programs that import rebox. */
export function getProcessModules(): InvestigationRegistry {
  return ofThisProcess;
}

/**
 * Registers an investigation module, which `rebox investigate NAME` runs. A file in modules/investigation calls this at its top level.
 *
 * @param name unique among all modules
 * @param module an object that makes runs, or a function that makes one
 * @throws ModuleError for a name that is taken, naming both places
 */
export function registerInvestigation(name: string, module: InvestigationModule | InvestigationFactory): void {
  ofThisProcess.register(name, module, "this process");
}

/** The place of modules in the folder of rebox, of a lab, or in the current folder. */
export const INVESTIGATION_FOLDER = "modules/investigation";

/** A file that cannot be used. */
export interface RefusedFile {
  readonly file: string;
  readonly message: string;
}

interface LoadedFile {
  /** The file and all that it imports. */
  readonly files: readonly string[];
  /** Times of change and sizes of the files when they were loaded. */
  readonly version: string;
  readonly message: string | undefined;
}

/** The known modules: those of files in some folders, and those that this process has registered. */
export class InvestigationCatalog {
  readonly #folders: readonly string[];
  readonly #registry = new InvestigationRegistry();
  readonly #loaded = new Map<string, LoadedFile>();
  /** Files are loaded one after the other: two callers at the same time must not load a file twice. */
  #loading: Promise<unknown> = Promise.resolve();

  /**
   * @param folders the folders that may have a folder modules/investigation
   * @param getApi gets what modules can import of rebox
   */
  constructor(
    folders: readonly string[],
    private readonly getApi: () => Doors,
  ) {
    this.#folders = [...new Set(folders.map((folder) => join(resolve(folder), INVESTIGATION_FOLDER)))];
  }

  /**
   * Gets a module from the present version of its file.
   *
   * @throws ModuleError when no module has this name, or its file cannot be used
   */
  async get(name: string): Promise<RegisteredModule> {
    const registered = getProcessModules().find(name);
    const files = this.#listFiles().filter((file) => parse(file).name === name);
    await this.#load(files);
    const own = this.#registry.find(name) ?? (files.length === 0 ? await this.#findElsewhere(name) : undefined);
    if (registered && own)
      throw new ModuleError(`the module ${name} is registered twice: by ${registered.origin} and ${own.origin}`);
    const refused = files.map((file) => this.#loaded.get(file)?.message).find((message) => message !== undefined);
    if (refused !== undefined) throw new ModuleError(refused);
    const found = registered ?? own;
    if (found) return found;
    const { modules, refused: others } = await this.list();
    const names = modules.map((each) => each.name);
    const nearest = findNearestName(name, names);
    const there = names.length === 0 ? "there is no module at all" : `there are ${[...names].sort().join(", ")}`;
    const unusable = others.map(({ message }) => `; ${message}`).join("");
    throw new ModuleError(
      `module '${name}' is not available; ${nearest === undefined ? there : `do you mean ${nearest}?`}${unusable}`,
    );
  }

  /** Lists the modules, and the files that cannot be used. */
  async list(): Promise<{ readonly modules: readonly RegisteredModule[]; readonly refused: readonly RefusedFile[] }> {
    await this.#load(this.#listFiles());
    const refused = [...this.#loaded].flatMap(([file, { message }]) =>
      message === undefined ? [] : [{ file, message }],
    );
    return { modules: [...this.#registry.list(), ...getProcessModules().list()], refused };
  }

  /**
   * Loads a module anew, apart from all others: everything that it registers in the guest, and its timers, end with the owner.
   *
   * @param origin the module's file
   * @param owner the owner of all that the file registers
   * @param own the exports of "rebox" that the file gets in place of the common ones
   * @throws ModuleError when the file cannot be used
   */
  async loadApart(name: string, origin: string, owner: ModuleOwner, own: object): Promise<RegisteredModule> {
    if (!existsSync(origin)) return this.get(name);
    const registry = new InvestigationRegistry();
    const api = this.getApi();
    await evaluate(origin, registry, { ...api, rebox: { ...api.rebox, ...own } }, owner);
    const found = registry.find(name);
    if (!found) throw new ModuleError(`${origin}: it registers no module ${name} any more`);
    return found;
  }

  async #findElsewhere(name: string): Promise<RegisteredModule | undefined> {
    // A file may register several modules, under any name.
    await this.#load(this.#listFiles());
    return this.#registry.find(name);
  }

  /** Lists the files that there are now, and forgets the modules of those that are gone. */
  #listFiles(): string[] {
    const files = this.#folders.flatMap(listModuleFiles);
    for (const file of this.#loaded.keys()) {
      if (files.includes(file)) continue;
      this.#registry.unregister(file);
      this.#loaded.delete(file);
    }
    return files;
  }

  #load(files: readonly string[]): Promise<void> {
    const load = this.#loading.then(async () => {
      for (const file of files) await this.#loadFile(file);
    });
    this.#loading = load.catch(() => undefined);
    return load;
  }

  async #loadFile(file: string): Promise<void> {
    const loaded = this.#loaded.get(file);
    // A file that could not be used is tried again: the mistake may be in a file that it imports.
    if (loaded && loaded.message === undefined && loaded.version === readVersion(loaded.files)) return;
    this.#registry.unregister(file);
    let message: string | undefined;
    let files: readonly string[] = [];
    try {
      files = await evaluate(file, this.#registry, this.getApi());
    } catch (error) {
      // Modules that it registered before it failed are not complete.
      this.#registry.unregister(file);
      message = describeFailure(error);
      if (!message.includes(file)) message = `${file}: ${message}`;
    }
    this.#loaded.set(file, { files, version: readVersion(files), message });
  }
}

/** Reads the times of change and the sizes of files; a file that is gone has none. */
function readVersion(files: readonly string[]): string {
  return files
    .map((file) => {
      const facts = statSync(file, { bigint: true, throwIfNoEntry: false });
      return facts && `${facts.mtimeNs} ${facts.size}`;
    })
    .join();
}

/** Runs a file that registers modules, and returns it with all that it imports. */
async function evaluate(
  file: string,
  registry: InvestigationRegistry,
  api: Doors,
  owner?: ModuleOwner,
): Promise<readonly string[]> {
  let count = 0;
  const registerInvestigation = (name: string, module: never) => {
    registry.register(name, module, file);
    count++;
  };
  const door = { ...api["rebox/investigation"], registerInvestigation };
  const { files } = await loadTrustedFile(file, parse(file).name, { ...api, "rebox/investigation": door }, owner);
  if (count === 0) throw new ModuleError(`${file}: it registers no module; call registerInvestigation(name, module)`);
  return files;
}
