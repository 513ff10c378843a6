import { existsSync, readdirSync, statSync } from "node:fs";
import { join, parse, resolve } from "node:path";
import { findNearestName } from "../config/nearest-name";
import type { ModuleOwner } from "../machine/ownership/module-owner";
import { loadTrustedFile } from "../scripts/trusted-file";
import { describeFailure } from "./describe-failure";
import { getProcessModules, InvestigationRegistry, type RegisteredModule } from "./investigation-registry";

/** Where modules lie in the folder of rebox, of a lab, or in the current one. */
export const INVESTIGATION_FOLDER = "modules/investigation";

/** A file that cannot be used. */
export interface RefusedFile {
  readonly file: string;
  readonly message: string;
}

interface LoadedFile {
  /** Of the file as it was loaded. */
  readonly version: string;
  readonly message: string | undefined;
}

/** The modules that there are: those of files in some folders, and those that this process has registered. */
export class InvestigationCatalog {
  readonly #folders: readonly string[];
  readonly #registry = new InvestigationRegistry();
  readonly #loaded = new Map<string, LoadedFile>();
  /** One after the other: two that ask at the same time must not load a file twice. */
  #loading: Promise<unknown> = Promise.resolve();

  /**
   * @param folders in which there may be a folder modules/investigation
   * @param getApi gets what `import "rebox"` gives to modules
   */
  constructor(
    folders: readonly string[],
    private readonly getApi: () => object,
  ) {
    this.#folders = [...new Set(folders.map((folder) => join(resolve(folder), INVESTIGATION_FOLDER)))];
  }

  /**
   * Gets a module, as its file is now.
   *
   * @throws Error when there is none of this name, or its file cannot be used
   */
  async get(name: string): Promise<RegisteredModule> {
    const registered = getProcessModules().find(name);
    const files = this.#listFiles().filter((file) => parse(file).name === name);
    await this.#load(files);
    const own = this.#registry.find(name) ?? (files.length === 0 ? await this.#findElsewhere(name) : undefined);
    if (registered && own)
      throw new Error(`the module ${name} is registered twice: by ${registered.origin} and ${own.origin}`);
    const refused = files.map((file) => this.#loaded.get(file)?.message).find((message) => message !== undefined);
    if (refused !== undefined) throw new Error(refused);
    const found = registered ?? own;
    if (found) return found;
    const nearest = findNearestName(name, await this.#listNames());
    throw new Error(`module '${name}' is not available${nearest === undefined ? "" : `; do you mean ${nearest}?`}`);
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
   * Loads a module anew, apart from all that there is: what it registers in the guest, and its timers, go with the owner.
   *
   * @param origin the module's file
   * @throws Error when the file cannot be used
   */
  async loadApart(name: string, origin: string, owner: ModuleOwner, api: object): Promise<RegisteredModule> {
    if (!existsSync(origin)) return this.get(name);
    const registry = new InvestigationRegistry();
    await evaluate(origin, registry, { ...this.getApi(), ...api }, owner);
    const found = registry.find(name);
    if (!found) throw new Error(`${origin}: it registers no module ${name} any more`);
    return found;
  }

  async #findElsewhere(name: string): Promise<RegisteredModule | undefined> {
    // A file may register several modules, under any name.
    await this.#load(this.#listFiles());
    return this.#registry.find(name);
  }

  async #listNames(): Promise<string[]> {
    return (await this.list()).modules.map(({ name }) => name);
  }

  #listFiles(): string[] {
    return this.#folders.flatMap((folder) =>
      existsSync(folder)
        ? readdirSync(folder)
            .filter((name) => /\.(ts|js|mts|mjs)$/.test(name) && !/\.d\.m?ts$/.test(name) && !/^[._]/.test(name))
            .sort()
            .map((name) => join(folder, name))
        : [],
    );
  }

  #load(files: readonly string[]): Promise<void> {
    const load = this.#loading.then(async () => {
      for (const file of files) await this.#loadFile(file);
    });
    this.#loading = load.catch(() => undefined);
    return load;
  }

  async #loadFile(file: string): Promise<void> {
    const { mtimeNs, size } = statSync(file, { bigint: true });
    const version = `${mtimeNs} ${size}`;
    if (this.#loaded.get(file)?.version === version) return;
    this.#registry.unregister(file);
    let message: string | undefined;
    try {
      await evaluate(file, this.#registry, this.getApi());
    } catch (error) {
      // What it has registered before it failed is not complete.
      this.#registry.unregister(file);
      message = describeFailure(error);
      if (!message.includes(file)) message = `${file}: ${message}`;
    }
    this.#loaded.set(file, { version, message });
  }
}

/** Runs a file that registers modules. */
async function evaluate(
  file: string,
  registry: InvestigationRegistry,
  api: object,
  owner?: ModuleOwner,
): Promise<void> {
  let count = 0;
  const registerInvestigation = (name: string, module: never) => {
    registry.register(name, module, file);
    count++;
  };
  await loadTrustedFile(file, parse(file).name, { ...api, registerInvestigation }, owner);
  if (count === 0) throw new Error(`${file}: it registers no module; call registerInvestigation(name, module)`);
}
