import { EventEmitter } from "node:events";
import { findRealmRoot, isOwnError } from "../engine/realm-root";
import { setModuleOwner } from "../ownership/module-owners";
import type { LoadedScript } from "./loaded-script";
import { OperationQueue } from "./operation-queue";
import { findRequirementCycle, type PendingScript } from "./pending-script";
import { type ScriptCommand, ScriptCommands } from "./script-commands";
import { ScriptError } from "./script-error";
import { ScriptFiles } from "./script-files";
import type { ScriptHostOptions } from "./script-host-options";
import { DEFAULT_SCRIPT_LIMITS, type ScriptLimits } from "./script-limits";
import type { ScriptMessage } from "./script-message";
import { ScriptProgram } from "./script-program";
import { findScriptPlace, getScriptStack } from "./script-stack";

interface ScriptHostEvents {
  message: [ScriptMessage];
  loaded: [LoadedScript];
  /** A new version has taken the place of an old one. */
  reloaded: [LoadedScript];
  unloaded: [LoadedScript];
  /** An error in a script's timer or promise: outside any call of rebox. */
  strayError: [script: string, error: Error];
  /** Something odd that did not keep a script from being loaded; begins with file:line:column. */
  warning: [string];
}

interface Entry extends LoadedScript {
  readonly program: ScriptProgram;
}

interface Pending extends PendingScript {
  files: readonly string[];
  requirements: number[];
  promise: Promise<Entry> | undefined;
  program: ScriptProgram | undefined;
}

/** Loads and unloads scripts, and knows which are loaded. */
export class ScriptHost extends EventEmitter<ScriptHostEvents> {
  private readonly files: ScriptFiles;
  private readonly entries = new Map<number, Entry>();
  private readonly pending = new Map<string, Pending>();
  /** Files that were asked for by name, not only as a requirement. */
  private readonly askedFor = new Set<string>();
  private readonly commands = new ScriptCommands();
  private readonly limits: ScriptLimits;
  private readonly operations = new OperationQueue<number>();
  private lastHandle = 0;

  constructor(private readonly options: ScriptHostOptions) {
    super();
    this.files = new ScriptFiles(options.folders);
    this.limits = { ...DEFAULT_SCRIPT_LIMITS, ...options.limits };
  }

  /** Lists the scripts' commands in the order of their names. */
  listCommands(): ScriptCommand[] {
    return this.commands.list();
  }

  /**
   * Runs a script's command.
   *
   * @param line its name and, behind a blank, its arguments
   * @returns the text that its function returned, or resolved with
   * @throws ScriptError when there is no such command, or it throws or takes too long
   */
  runCommand(line: string): Promise<string | undefined> {
    return this.commands.run(line);
  }

  /** Lists the loaded scripts in the order of their handles. */
  list(): LoadedScript[] {
    return [...this.entries.values()].sort((a, b) => a.handle - b.handle);
  }

  /**
   * Loads a script, after the scripts it requires. A script that is loaded already stays as it is.
   *
   * @param pathOrName a file's path, or a name in module notation
   * @returns the script once its initialize_callbacks() has returned, and what that returned has settled
   * @throws ScriptError when it cannot be found, compiled or started; nothing of it, nor of a requirement that was
   *   loaded only for it, is left then
   */
  async load(pathOrName: string): Promise<LoadedScript> {
    const file = this.files.getFile(pathOrName);
    this.askedFor.add(file);
    try {
      return await this.loadFile(file);
    } catch (error) {
      this.askedFor.delete(file);
      throw error;
    }
  }

  /**
   * Exchanges a script for the present version of its files, while the guest runs. The new version is compiled and
   * initialised first; then the old one's clean() is called, and what it registered is disposed of at once. The handle
   * stays.
   *
   * @param handle the script's module handle
   * @returns the new version
   * @throws ScriptError when the handle is unknown, or the new version cannot be compiled or started: the old one goes on
   *   as it was. When the old one's clean() throws, the new one is in place all the same, and a warning tells.
   */
  reload(handle: number): Promise<LoadedScript> {
    return this.operations.add(handle, () => this.replace(this.getEntry(handle)));
  }

  /**
   * Unloads a script: calls its clean() and disposes what is left of it.
   *
   * @param handle the script's module handle
   * @throws ScriptError when the handle is unknown or another script requires this one (it stays loaded), and when its
   *   clean() throws or takes too long (it is unloaded all the same)
   */
  unload(handle: number): Promise<void> {
    return this.operations.add(handle, async () => {
      const entry = this.getEntry(handle);
      const dependent = this.findDependent(handle, entry.file);
      if (dependent !== undefined) throw new ScriptError(entry.name, `${dependent} requires it; unload that first`);
      this.entries.delete(handle);
      this.askedFor.delete(entry.file);
      try {
        await entry.program.clean();
      } finally {
        this.dispose(entry.program, handle);
        this.emit("unloaded", entry);
      }
    });
  }

  /**
   * Unloads every script, the last loaded first.
   *
   * @returns what went wrong; an empty list when every clean() returned
   */
  async unloadAll(): Promise<ScriptError[]> {
    const failures: ScriptError[] = [];
    for (const handle of [...this.entries.keys()].sort((a, b) => b - a)) {
      await this.unload(handle).catch((error: ScriptError) => failures.push(error));
    }
    return failures;
  }

  /**
   * Finds the script in whose code an error arose, for errors that surface outside any callback (timers, promises).
   *
   * @param thrown what was thrown
   * @returns the script's name, and the error as one of rebox's own; scripts that are being loaded count too
   */
  findOrigin(thrown: unknown): { readonly script: string; readonly error: unknown } | undefined {
    for (const { name, program } of this.all()) {
      const error = program?.findError(thrown);
      if (error !== undefined) return { script: name, error };
    }
    const isObject = (typeof thrown === "object" && thrown !== null) || typeof thrown === "function";
    if (isObject && !isOwnError(thrown) && findRealmRoot(thrown) !== Object.prototype) {
      return { script: "a script", error: new Error("a value that cannot be shown was thrown") };
    }
    for (const { name, files } of this.all()) {
      if (findScriptPlace(thrown, files) !== undefined) return { script: name, error: thrown };
    }
    return undefined;
  }

  /**
   * Returns the stack of an error, up to the outermost frame of the script it comes from.
   *
   * @param thrown what was thrown
   */
  getStack(thrown: unknown): string {
    return getScriptStack(
      thrown,
      this.all().flatMap(({ files }) => files),
    );
  }

  private all(): { name: string; files: readonly string[]; program: ScriptProgram | undefined }[] {
    return [...this.entries.values(), ...this.pending.values()];
  }

  private getEntry(handle: number): Entry {
    const entry = this.entries.get(handle);
    if (entry !== undefined) return entry;
    const handles = [...this.entries.keys()].join(", ") || "none";
    throw new ScriptError(`module ${handle}`, `no script has this handle; loaded are: ${handles}`);
  }

  private async loadFile(file: string): Promise<Entry> {
    const loaded = [...this.entries.values()].find((entry) => entry.file === file);
    if (loaded !== undefined) return loaded;
    const pending = this.pending.get(file) ?? this.createPending(file);
    this.pending.set(file, pending);
    pending.promise ??= this.start(pending).finally(() => this.pending.delete(file));
    return pending.promise;
  }

  private createPending(file: string): Pending {
    const name = this.files.getName(file);
    return { name, file, waitsFor: undefined, files: [], requirements: [], promise: undefined, program: undefined };
  }

  private async start(pending: Pending): Promise<Entry> {
    const handleBefore = this.lastHandle;
    const program = await this.prepare(pending);
    try {
      await this.loadRequirements(program.required, pending);
      return await this.initialize(program.program, pending.requirements);
    } catch (error) {
      program.program.owner.close();
      pending.requirements = [];
      await this.unloadUnneeded(handleBefore);
      throw error;
    }
  }

  private async replace(old: Entry): Promise<LoadedScript> {
    const { handle, file } = old;
    const pending = this.createPending(file);
    const handleBefore = this.lastHandle;
    const { program, required } = await this.prepare(pending, old.program);
    const undo = this.options.onReplace?.(handle);
    try {
      await this.loadRequirements(required, pending);
      this.checkCircle(old, pending.requirements);
      setModuleOwner(handle, program.owner);
      await program.initialize(handle, this.createPrinter(handle, old.name));
      this.commands.check(program.commandNames, old.name, file, old.program.owner);
    } catch (error) {
      setModuleOwner(handle, old.program.owner);
      program.owner.close();
      undo?.();
      await this.unloadUnneeded(handleBefore);
      throw error;
    }
    this.commands.add(program.createCommands());
    const { files, permissions } = program;
    const { requirements } = pending;
    const entry: Entry = { ...old, files, permissions, requirements, program, version: old.version + 1 };
    this.entries.set(handle, entry);
    // Its own part of clean() first; then nothing of it may see another event, however long clean() takes.
    const cleaning = old.program.clean();
    old.program.owner.dispose();
    await cleaning.catch((error: ScriptError) => this.emit("warning", error.message));
    old.program.owner.close();
    await this.unloadNeededOnlyBy(old, requirements);
    this.emit("reloaded", entry);
    return entry;
  }

  /** Compiles a script and runs its top level. */
  private async prepare(
    pending: Pending,
    predecessor?: ScriptProgram,
  ): Promise<{ program: ScriptProgram; required: readonly string[] }> {
    const { name, file } = pending;
    const permissions = this.options.getPermissions(name, file);
    const program = await ScriptProgram.compile(name, file, permissions, this.limits);
    pending.files = program.files;
    pending.program = program;
    for (const warning of program.warnings) this.emit("warning", warning);
    const required = program.evaluate({
      api: this.options.getApi(),
      console: this.options.console ?? console,
      hotData: predecessor?.copyHotData(),
      onStrayError: (error) => this.emit("strayError", name, error),
    });
    try {
      this.commands.check(program.commandNames, name, file, predecessor?.owner);
    } catch (error) {
      program.owner.close();
      throw error;
    }
    return { program, required };
  }

  private async initialize(program: ScriptProgram, requirements: readonly number[]): Promise<Entry> {
    const { name, file, files, permissions } = program;
    const handle = ++this.lastHandle;
    setModuleOwner(handle, program.owner);
    this.options.onStart?.(handle, name);
    try {
      await program.initialize(handle, this.createPrinter(handle, name));
      // Another script may have taken a name while this one waited.
      this.commands.check(program.commandNames, name, file);
    } catch (error) {
      this.dispose(program, handle);
      throw error;
    }
    this.commands.add(program.createCommands());
    const entry: Entry = { handle, name, file, files, requirements, version: 1, permissions, program };
    this.entries.set(handle, entry);
    this.emit("loaded", entry);
    return entry;
  }

  private dispose(program: ScriptProgram, handle: number): void {
    for (const error of program.owner.close()) {
      this.emit("warning", `${program.name}: what it had registered could not be removed: ${error.message}`);
    }
    setModuleOwner(handle, undefined);
    this.options.onUnload?.(handle);
  }

  private createPrinter(handle: number, script: string): (text: string) => void {
    return (text) => this.emit("message", { handle, script, text });
  }

  private async loadRequirements(required: readonly string[], pending: Pending): Promise<void> {
    for (const requirement of required) await this.loadRequired(requirement, pending);
  }

  private async loadRequired(required: string, pending: Pending): Promise<void> {
    const { name, file } = pending;
    let requiredFile: string;
    try {
      requiredFile = this.files.getFile(required);
    } catch (error) {
      throw new ScriptError(name, `it requires ${(error as ScriptError).message}`, { file });
    }
    const nameOf = (next: string) => this.files.getName(next);
    const cycle = findRequirementCycle(this.pending, pending, requiredFile, nameOf);
    if (cycle !== undefined) {
      const problem = `scripts require each other in a circle: ${cycle}; remove one of these requirements`;
      throw new ScriptError(name, problem, { file });
    }
    pending.waitsFor = requiredFile;
    try {
      pending.requirements.push((await this.loadFile(requiredFile)).handle);
    } finally {
      pending.waitsFor = undefined;
    }
  }

  /** Unloads what was loaded since `handleBefore` and that nobody needs or asked for, dependents before requirements. */
  private async unloadUnneeded(handleBefore: number): Promise<void> {
    for (const { handle, file } of this.list().reverse()) {
      if (handle <= handleBefore || this.askedFor.has(file) || this.findDependent(handle, file) !== undefined) continue;
      await this.unload(handle).catch((error: ScriptError) => this.emit("warning", error.message));
    }
  }

  /** Refuses a new version that requires what requires it. */
  private checkCircle(script: LoadedScript, requirements: readonly number[]): void {
    const findPath = (handle: number): string[] | undefined => {
      const entry = this.entries.get(handle);
      if (entry === undefined || handle === script.handle) return entry && [entry.name];
      const rest = entry.requirements.map(findPath).find((path) => path !== undefined);
      return rest && [entry.name, ...rest];
    };
    const path = requirements.map(findPath).find((found) => found !== undefined);
    if (path === undefined) return;
    const chain = [script.name, ...path].join(" -> ");
    const problem = `scripts require each other in a circle: ${chain}; remove one of these requirements`;
    throw new ScriptError(script.name, problem, { file: script.file });
  }

  /** Unloads what the old version of a script required, the new one does not, and nobody else needs or asked for. */
  private async unloadNeededOnlyBy(old: LoadedScript, requirements: readonly number[]): Promise<void> {
    for (const handle of old.requirements.filter((required) => !requirements.includes(required))) {
      const entry = this.entries.get(handle);
      if (entry === undefined || this.askedFor.has(entry.file)) continue;
      if (this.findDependent(handle, entry.file) !== undefined) continue;
      await this.unload(handle).catch((error: ScriptError) => this.emit("warning", error.message));
    }
  }

  /** Returns the name of a script, loaded or being loaded, that requires this one. */
  private findDependent(handle: number, file: string): string | undefined {
    const loading = [...this.pending.values()].find(
      (script) => script.waitsFor === file || script.requirements.includes(handle),
    );
    return loading?.name ?? this.list().find((script) => script.requirements.includes(handle))?.name;
  }
}
