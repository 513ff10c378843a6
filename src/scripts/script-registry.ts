import { findNearestName } from "../config/nearest-name";
import type { ScriptPermissions } from "../config/script-permissions";
import { findRealmRoot, isOwnError } from "../machine/engine/realm-root";
import { ScriptError } from "./errors";
import type { ScriptProgram } from "./loading/script-program";
import { findScriptPlace, getScriptStack } from "./script-stack";

/** A script that is loaded: initialize_callbacks() has returned and clean() has not been called. */
export interface LoadedScript {
  /** The module handle: 1, 2, 3... in the order of loading, never used twice; a reload keeps it. */
  readonly handle: number;
  /** Module notation, such as "scripts.my_script"; the bare name of a file outside the script folders. */
  readonly name: string;
  /** Absolute path. */
  readonly file: string;
  /** Absolute paths of everything compiled into it, the script itself included. */
  readonly files: readonly string[];
  /** The handles of the scripts it requires. */
  readonly requirements: readonly number[];
  /** 1 for the version that was loaded, one more after each reload. */
  readonly version: number;
  readonly permissions: ScriptPermissions;
}

/** A loaded script with its code. */
export interface ScriptEntry extends LoadedScript {
  readonly program: ScriptProgram;
}

/** A script that is being loaded. */
export interface StartingScript {
  readonly name: string;
  readonly file: string;
  /** The file of the requirement it is waiting for. */
  waitsFor: string | undefined;
  files: readonly string[];
  requirements: number[];
  promise: Promise<ScriptEntry> | undefined;
  program: ScriptProgram | undefined;
}

/** Which scripts are loaded or being loaded, who requires whom, and whose code an error comes from. */
export class ScriptRegistry {
  readonly entries = new Map<number, ScriptEntry>();
  readonly pending = new Map<string, StartingScript>();
  /** By the handle: new versions that are being made. */
  readonly replacing = new Map<number, StartingScript>();
  /** By the handle: absolute paths of what a version was made of that could not take its predecessor's place. */
  readonly refusedSources = new Map<number, readonly string[]>();
  /** Files that were asked for by name, not only as a requirement. */
  readonly askedFor = new Set<string>();

  /** Lists the loaded scripts in the order of their handles. */
  list(): ScriptEntry[] {
    return [...this.entries.values()].sort((a, b) => a.handle - b.handle);
  }

  /** Gets a loaded script. @throws ScriptError that names those that are loaded */
  get(handle: number): ScriptEntry {
    const entry = this.entries.get(handle);
    if (entry !== undefined) return entry;
    const handles = [...this.entries.keys()].join(", ") || "none";
    throw new ScriptError(`module ${handle}`, `no script has this handle; loaded are: ${handles}`);
  }

  /**
   * Gets the loaded script that a person means.
   *
   * @param reference its handle, its name in module notation, or its file
   * @param findFile finds the file that a path or a name stands for
   * @throws ScriptError that names those that are loaded, or the handles of those that have this name
   */
  getMeant(reference: string, findFile: (pathOrName: string) => string | undefined): ScriptEntry {
    if (/^\d+$/.test(reference)) return this.get(Number(reference));
    const named = this.list().filter(({ name }) => name === reference);
    const [only, another] = named;
    if (only !== undefined && another === undefined) return only;
    if (only !== undefined) {
      const choice = named.map(({ handle, file }) => `${handle} (${file})`).join(", ");
      throw new ScriptError(reference, `several scripts have this name; say which by its handle: ${choice}`);
    }
    const byFile = this.findFile(findFile(reference) ?? "");
    if (byFile !== undefined) return byFile;
    const nearest = findNearestName(
      reference,
      this.list().map(({ name }) => name),
    );
    const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
    const loaded =
      this.list()
        .map(({ handle, name }) => `${name} (${handle})`)
        .join(", ") || "none";
    throw new ScriptError(reference, `no script of this name is loaded${hint}; loaded are: ${loaded}`);
  }

  /** Finds a loaded script by its file. */
  findFile(file: string): ScriptEntry | undefined {
    return [...this.entries.values()].find((entry) => entry.file === file);
  }

  /**
   * Lists the files whose change makes a new version of a script worth a try: those of the version that is loaded, of one that
   * was refused since, and of one that is being made.
   *
   * @returns absolute paths
   */
  listSources({ handle, program }: ScriptEntry): string[] {
    const refused = this.refusedSources.get(handle) ?? [];
    return [...new Set([...program.sources, ...refused, ...(this.replacing.get(handle)?.program?.sources ?? [])])];
  }

  /** Lists the files that every script is made of, those that are being loaded included. @returns absolute paths, each once */
  listAllSources(): string[] {
    const loaded = this.list().flatMap((entry) => this.listSources(entry));
    const loading = [...this.pending.values()].flatMap(({ program }) => program?.sources ?? []);
    return [...new Set([...loaded, ...loading])];
  }

  /** Returns the name of a script, loaded or being loaded, that requires this one. */
  findDependent(handle: number, file: string): string | undefined {
    const loading = [...this.pending.values()].find(
      (script) => script.waitsFor === file || script.requirements.includes(handle),
    );
    return loading?.name ?? this.list().find((script) => script.requirements.includes(handle))?.name;
  }

  /** Checks that nobody has asked for a script, and nobody requires it. */
  isUnneeded({ handle, file }: LoadedScript): boolean {
    return !this.askedFor.has(file) && this.findDependent(handle, file) === undefined;
  }

  /**
   * Refuses a script that would wait for one that waits for it.
   *
   * @param nameOf the name of a script by its file
   * @throws ScriptError with the chain of names
   */
  checkWaiting(pending: StartingScript, requiredFile: string, nameOf: (file: string) => string): void {
    const cycle = findRequirementCycle(this.pending, pending, requiredFile, nameOf);
    if (cycle !== undefined) throw circleError(pending, cycle);
  }

  /** Refuses a new version that requires what requires it. @throws ScriptError with the chain of names */
  checkCircle(script: LoadedScript, requirements: readonly number[]): void {
    const findPath = (handle: number): string[] | undefined => {
      const entry = this.entries.get(handle);
      if (entry === undefined || handle === script.handle) return entry && [entry.name];
      const rest = entry.requirements.map(findPath).find((path) => path !== undefined);
      return rest && [entry.name, ...rest];
    };
    const path = requirements.map(findPath).find((found) => found !== undefined);
    if (path !== undefined) throw circleError(script, [script.name, ...path].join(" -> "));
  }

  /**
   * Finds the script in whose code an error arose, for errors that surface outside any callback (timers, promises).
   *
   * @param thrown the thrown value
   * @returns the script's name, and the error as one of rebox's own; scripts that are being loaded count too
   */
  findOrigin(thrown: unknown): { readonly script: string; readonly error: unknown } | undefined {
    for (const { name, program } of this.#all()) {
      const error = program?.findError(thrown);
      if (error !== undefined) return { script: name, error };
    }
    const isObject = (typeof thrown === "object" && thrown !== null) || typeof thrown === "function";
    if (isObject && !isOwnError(thrown) && findRealmRoot(thrown) !== Object.prototype) {
      return { script: "a script", error: new Error("a value that cannot be shown was thrown") };
    }
    for (const { name, files } of this.#all()) {
      if (findScriptPlace(thrown, files) !== undefined) return { script: name, error: thrown };
    }
    return undefined;
  }

  /**
   * Returns the stack of an error, up to the outermost frame of the script it comes from.
   *
   * @param thrown the thrown value
   */
  getStack(thrown: unknown): string {
    return getScriptStack(
      thrown,
      this.#all().flatMap(({ files }) => files),
    );
  }

  #all(): { name: string; files: readonly string[]; program: ScriptProgram | undefined }[] {
    return [...this.entries.values(), ...this.pending.values()];
  }
}

function circleError({ name, file }: { readonly name: string; readonly file: string }, chain: string): ScriptError {
  const problem = `scripts require each other in a circle: ${chain}; remove one of these requirements`;
  return new ScriptError(name, problem, { file });
}

/**
 * Finds the circle that would close if a script waited for another one.
 *
 * @param pending every script being loaded, by file
 * @param script the script that is about to wait
 * @param required the file it would wait for
 * @param nameOf gives a file's module name
 * @returns the chain of names, such as "a -> b -> a"; undefined when there is no circle
 */
function findRequirementCycle(
  pending: ReadonlyMap<string, StartingScript>,
  script: StartingScript,
  required: string,
  nameOf: (file: string) => string,
): string | undefined {
  const names = [script.name];
  for (let next: string | undefined = required; next !== undefined; next = pending.get(next)?.waitsFor) {
    names.push(nameOf(next));
    if (next === script.file) return names.join(" -> ");
  }
  return undefined;
}
