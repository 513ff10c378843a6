import { EventEmitter } from "node:events";
import { setModuleOwner } from "../machine/ownership/module-owners";
import { ScriptError } from "./errors";
import { ScriptFiles } from "./loading/script-files";
import type { ScriptProgram } from "./loading/script-program";
import { OperationQueue } from "./operation-queue";
import { type ScriptCommand, ScriptCommands } from "./script-commands";
import { DEFAULT_SCRIPT_LIMITS, type ScriptHostEvents, type ScriptHostOptions } from "./script-host-options";
import { type LoadedScript, type ScriptEntry, ScriptRegistry, type StartingScript } from "./script-registry";
import { ScriptStarter } from "./script-starter";

/** Loads and unloads scripts, and knows which are loaded. */
export class ScriptHost extends EventEmitter<ScriptHostEvents> {
  private readonly files: ScriptFiles;
  private readonly registry = new ScriptRegistry();
  private readonly commands = new ScriptCommands();
  private readonly operations = new OperationQueue<number>();
  private readonly starter: ScriptStarter;

  constructor(private readonly options: ScriptHostOptions) {
    super();
    this.files = new ScriptFiles(options.folders);
    const { files, registry, commands } = this;
    const limits = { ...DEFAULT_SCRIPT_LIMITS, ...options.limits };
    const unloadSince = (handleBefore: number) => this.unloadUnneeded(handleBefore);
    this.starter = new ScriptStarter({ options, limits, files, registry, commands, events: this, unloadSince });
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
    return this.registry.list();
  }

  /**
   * Lists the files whose change makes a new version of a loaded script worth a try: its own, those that it imports, the sources of
   * its triggers, and those of a version that was refused since it was loaded.
   *
   * @param handle the script's module handle
   * @returns absolute paths
   * @throws ScriptError when the handle is unknown
   */
  listSources(handle: number): string[] {
    return this.registry.listSources(this.registry.get(handle));
  }

  /**
   * Lists the files that every script is made of, those that are being loaded or replaced included.
   *
   * @returns absolute paths, each once
   */
  listAllSources(): string[] {
    return this.registry.listAllSources();
  }

  /** Reports whether a script is being loaded. */
  get isLoading(): boolean {
    return this.registry.pending.size > 0;
  }

  /**
   * Gets the loaded script that a person means.
   *
   * @param reference its handle, its name in module notation, or its file
   * @throws ScriptError that names those that are loaded
   */
  getLoaded(reference: string): LoadedScript {
    return this.registry.getMeant(reference, (pathOrName) => this.files.findFile(pathOrName));
  }

  /** Finds a loaded script by a file's path or a name in module notation; undefined when it is not loaded. */
  findLoaded(pathOrName: string): LoadedScript | undefined {
    const file = this.files.findFile(pathOrName);
    return file === undefined ? undefined : this.registry.findFile(file);
  }

  /**
   * Loads a script, after the scripts it requires. A script that is loaded already stays as it is.
   *
   * @param pathOrName a file's path, or a name in module notation
   * @returns the script once its initialize_callbacks() has returned, and the promise that it returned has settled
   * @throws ScriptError when it cannot be found, compiled or started; nothing of it, nor of a requirement that was
   *   loaded only for it, is left then
   */
  async load(pathOrName: string): Promise<LoadedScript> {
    const file = this.files.getFile(pathOrName);
    this.registry.askedFor.add(file);
    try {
      return await this.starter.loadFile(file, this.files.getName(file, pathOrName));
    } catch (error) {
      this.registry.askedFor.delete(file);
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
   * @throws ScriptError when the handle is unknown, or the new version cannot be compiled or started: the old one continues
   *   as it was. When the old one's clean() throws, the new one is in place all the same, and a warning reports it.
   */
  reload(handle: number): Promise<LoadedScript> {
    return this.operations.add(handle, async () => {
      const entry = this.registry.get(handle);
      const pending = this.starter.createPending(entry.file, entry.name);
      this.registry.replacing.set(handle, pending);
      try {
        return await this.replace(entry, pending);
      } catch (error) {
        this.noteRefused(handle, pending, error);
        throw error;
      } finally {
        this.registry.replacing.delete(handle);
      }
    });
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
      const entry = this.registry.get(handle);
      const dependent = this.registry.findDependent(handle, entry.file);
      if (dependent !== undefined) throw new ScriptError(entry.name, `${dependent} requires it; unload that first`);
      this.registry.entries.delete(handle);
      this.registry.refusedSources.delete(handle);
      this.registry.askedFor.delete(entry.file);
      try {
        await entry.program.clean();
      } finally {
        this.starter.dispose(entry.program, handle);
        this.emit("unloaded", entry);
      }
    });
  }

  /**
   * Unloads every script, the last loaded first.
   *
   * @returns the errors; an empty list when every clean() returned
   */
  async unloadAll(): Promise<ScriptError[]> {
    const failures: ScriptError[] = [];
    for (const handle of [...this.registry.entries.keys()].sort((a, b) => b - a)) {
      await this.unload(handle).catch((error: ScriptError) => failures.push(error));
    }
    return failures;
  }

  /**
   * Finds the script in whose code an error arose, for errors that surface outside any callback (timers, promises).
   *
   * @param thrown the thrown value
   * @returns the script's name, and the error as one of rebox's own; scripts that are being loaded count too
   */
  findOrigin(thrown: unknown): { readonly script: string; readonly error: unknown } | undefined {
    return this.registry.findOrigin(thrown);
  }

  /**
   * Returns the stack of an error, up to the outermost frame of the script it comes from.
   *
   * @param thrown the thrown value
   */
  getStack(thrown: unknown): string {
    return this.registry.getStack(thrown);
  }

  private noteRefused(handle: number, { program }: StartingScript, error: unknown): void {
    const place = error instanceof ScriptError ? error.place : undefined;
    const sources = [...(program?.sources ?? []), ...(place === undefined ? [] : [place.file])];
    this.registry.refusedSources.set(handle, sources);
    this.emit("sourcesChanged");
  }

  private async replace(old: ScriptEntry, pending: StartingScript): Promise<LoadedScript> {
    const { handle, file } = old;
    const handleBefore = this.starter.lastHandle;
    let program: ScriptProgram;
    try {
      program = await this.starter.prepare(pending, old.program);
    } catch (error) {
      pending.program?.owner.close();
      await this.unloadUnneeded(handleBefore);
      throw error;
    }
    const undo = this.options.onReplace?.(handle);
    try {
      this.registry.checkCircle(old, pending.requirements);
      setModuleOwner(handle, program.owner);
      await program.initialize(handle, this.starter.createPrinter(handle, old.name));
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
    const entry: ScriptEntry = { ...old, files, permissions, requirements, program, version: old.version + 1 };
    this.registry.entries.set(handle, entry);
    this.registry.refusedSources.delete(handle);
    // Its own part of clean() first; then nothing of it may see another event, however long clean() takes.
    const cleaning = old.program.clean();
    old.program.owner.dispose();
    await cleaning.catch((error: ScriptError) => this.emit("warning", error.message));
    old.program.owner.close();
    await this.unloadNeededOnlyBy(old, requirements);
    this.emit("reloaded", entry);
    return entry;
  }

  /** Unloads what was loaded since `handleBefore` and that nobody needs or asked for, dependents before requirements. */
  private async unloadUnneeded(handleBefore: number): Promise<void> {
    for (const script of this.list().reverse()) {
      if (script.handle <= handleBefore || !this.registry.isUnneeded(script)) continue;
      await this.unload(script.handle).catch((error: ScriptError) => this.emit("warning", error.message));
    }
  }

  /** Unloads what the old version of a script required, the new one does not, and nobody else needs or asked for. */
  private async unloadNeededOnlyBy(old: LoadedScript, requirements: readonly number[]): Promise<void> {
    for (const handle of old.requirements.filter((required) => !requirements.includes(required))) {
      const entry = this.registry.entries.get(handle);
      if (entry === undefined || !this.registry.isUnneeded(entry)) continue;
      await this.unload(handle).catch((error: ScriptError) => this.emit("warning", error.message));
    }
  }
}
