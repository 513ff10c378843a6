import type { EventEmitter } from "node:events";
import { ReboxError } from "../config/rebox-error";
import type { ScriptPermissions } from "../config/script-permissions";
import { buildNamedTriggers } from "../machine/callbacks/shipped-triggers";
import { setModuleOwner } from "../machine/ownership/module-owners";
import { ScriptError } from "./errors";
import { findDeclaration, listRequiredFiles } from "./loading/script-declarations";
import type { ScriptFiles } from "./loading/script-files";
import { ScriptProgram } from "./loading/script-program";
import type { ScriptCommands } from "./script-commands";
import type { ScriptHostEvents, ScriptHostOptions, ScriptLimits } from "./script-host-options";
import type { ScriptEntry, ScriptRegistry, StartingScript } from "./script-registry";

/** All that a start needs of the host for which it loads scripts. */
export interface StartingHost {
  readonly options: ScriptHostOptions;
  readonly limits: ScriptLimits;
  readonly files: ScriptFiles;
  readonly registry: ScriptRegistry;
  readonly commands: ScriptCommands;
  readonly events: EventEmitter<ScriptHostEvents>;
  /** Unloads what was loaded since `handleBefore` and that nobody needs. */
  unloadSince(handleBefore: number): Promise<void>;
}

/** Brings scripts from their files to life: requirements first, then compiled, evaluated and initialised. */
export class ScriptStarter {
  /** The handle that was given last. */
  lastHandle = 0;

  constructor(private readonly host: StartingHost) {}

  /** Loads the script of a file, after what it requires; joins a start that is under way. @throws ScriptError */
  async loadFile(file: string, name: string): Promise<ScriptEntry> {
    const loaded = this.host.registry.findFile(file);
    if (loaded !== undefined) return loaded;
    const pending = this.host.registry.pending.get(file) ?? this.createPending(file, name);
    this.host.registry.pending.set(file, pending);
    pending.promise ??= this.start(pending).finally(() => this.host.registry.pending.delete(file));
    return pending.promise;
  }

  /** Returns the state of a start that has not begun. */
  createPending(file: string, name: string): StartingScript {
    return { name, file, waitsFor: undefined, files: [], requirements: [], promise: undefined, program: undefined };
  }

  private async start(pending: StartingScript): Promise<ScriptEntry> {
    const handleBefore = this.lastHandle;
    try {
      const program = await this.prepare(pending);
      return await this.initialize(program, pending.requirements);
    } catch (error) {
      pending.program?.owner.close();
      pending.requirements = [];
      await this.host.unloadSince(handleBefore);
      throw error;
    }
  }

  /** Loads what a script requires, compiles it and runs its top level. @throws ScriptError */
  async prepare(pending: StartingScript, predecessor?: ScriptProgram): Promise<ScriptProgram> {
    const { name, file } = pending;
    const declared = findDeclaration(file, "requirements") ?? [];
    await this.loadRequirements(declared, pending);
    const requiredFiles = listRequiredFiles(file, this.host.files);
    const permissions = this.findPermissions(name, file);
    const api = this.host.options.getApi();
    const beganMs = Date.now();
    const program = await ScriptProgram.compile(name, file, permissions, this.host.limits, api, requiredFiles);
    pending.files = program.files;
    pending.program = program;
    buildNamedTriggers(program.code);
    program.owner.onFileUsed = () => this.host.events.emit("sourcesChanged");
    this.host.events.emit("compiled", program, beganMs);
    for (const warning of program.warnings) this.host.events.emit("warning", warning);
    const required = program.evaluate({
      api,
      console: this.host.options.console ?? console,
      hotData: predecessor?.copyHotData(),
      findRequired: (path) => (requiredFiles.includes(path) ? this.host.registry.findFile(path)?.program : undefined),
      onStrayError: (error) => this.host.events.emit("strayError", name, error),
    });
    this.host.commands.check(program.commandNames, name, file, predecessor?.owner);
    // A list that the script computes is known only now.
    await this.loadRequirements(
      required.filter((requirement) => !declared.includes(requirement)),
      pending,
    );
    return program;
  }

  private findPermissions(name: string, file: string): ScriptPermissions {
    try {
      return this.host.options.getPermissions(name, file);
    } catch (error) {
      // The configuration is read anew, and may have become wrong.
      if (error instanceof ReboxError) throw new ScriptError(name, error.message, { file });
      throw error;
    }
  }

  private async initialize(program: ScriptProgram, requirements: readonly number[]): Promise<ScriptEntry> {
    const { name, file, files, permissions } = program;
    const handle = ++this.lastHandle;
    setModuleOwner(handle, program.owner);
    this.host.options.onStart?.(handle, name);
    try {
      await program.initialize(handle, this.createPrinter(handle, name));
      // Another script may have taken a name while this one waited.
      this.host.commands.check(program.commandNames, name, file);
    } catch (error) {
      this.dispose(program, handle);
      throw error;
    }
    this.host.commands.add(program.createCommands());
    const entry: ScriptEntry = { handle, name, file, files, requirements, version: 1, permissions, program };
    this.host.registry.entries.set(handle, entry);
    this.host.events.emit("loaded", entry);
    return entry;
  }

  /** Removes all that a script has registered; what cannot be removed is told as a warning. */
  dispose(program: ScriptProgram, handle: number): void {
    for (const error of program.owner.close()) {
      this.host.events.emit(
        "warning",
        `${program.name}: what it had registered could not be removed: ${error.message}`,
      );
    }
    setModuleOwner(handle, undefined);
    this.host.options.onUnload?.(handle);
  }

  /** Returns what prints in the name of a script. */
  createPrinter(handle: number, script: string): (text: string) => void {
    return (text) => this.host.events.emit("message", { handle, script, text });
  }

  private async loadRequirements(required: readonly string[], pending: StartingScript): Promise<void> {
    for (const requirement of required) await this.loadRequired(requirement, pending);
  }

  private async loadRequired(required: string, pending: StartingScript): Promise<void> {
    const { name, file } = pending;
    let requiredFile: string;
    try {
      requiredFile = this.host.files.getFile(required);
    } catch (error) {
      throw new ScriptError(name, `it requires ${(error as ScriptError).message}`, { file });
    }
    const requiredName = this.host.files.getName(requiredFile, required);
    this.host.registry.checkWaiting(pending, requiredFile, (next) =>
      next === requiredFile
        ? requiredName
        : (this.host.registry.pending.get(next)?.name ?? this.host.files.getName(next)),
    );
    pending.waitsFor = requiredFile;
    try {
      pending.requirements.push((await this.loadFile(requiredFile, requiredName)).handle);
    } finally {
      pending.waitsFor = undefined;
    }
  }
}
