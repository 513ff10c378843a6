import { readFileSync } from "node:fs";
import type { LoadedScript } from "./script-registry";
import { ScriptError } from "./errors";
import type { ScriptHost } from "./script-host";
import type { CompiledScript } from "./script-host-options";
import { isSavedSince, ScriptWatcher } from "./script-watcher";

/** The kernel takes the times of files from a clock that goes in steps, of 10 ms where they are longest (CONFIG_HZ=100). */
const STEP_MS = 10;

/** Receives the outcomes of reloads on save. */
export interface ReloadListener {
  onReloaded(script: LoadedScript, elapsedMs: number): void;
  /** The old version continues. */
  onRefused(error: ScriptError): void;
}

/**
 * Reloads scripts when one of their files is saved: their own, one that they import, or the source of a trigger. It watches from
 * the moment at which a script's source is read: a save while the script is being loaded counts once it is loaded.
 */
export class ScriptReloader {
  private readonly watcher: ScriptWatcher;
  /** By the file of a script that is being loaded: the files that were saved since it was compiled. */
  private readonly early = new Map<string, Set<string>>();
  private readonly update = () => {
    if (!this.host.isLoading) this.early.clear();
    this.watcher.setFiles(this.host.listAllSources());
  };
  private readonly checkCompiled = (script: CompiledScript, beganMs: number) => {
    const { file, files } = script;
    this.early.set(file, new Set());
    this.update();
    // The version that the compiler has read may be older than the one that is watched from now on.
    const late = files.filter((source) => isSavedSince(source, beganMs) || isSavedBeside(source, beganMs, script));
    if (late.length > 0) void this.reload(late);
  };
  private readonly checkLoaded = ({ handle, file }: LoadedScript) => {
    const early = this.early.get(file);
    this.early.delete(file);
    this.update();
    if (this.host.listSources(handle).some((source) => early?.has(source))) void this.reloadScript(handle);
  };

  constructor(
    private readonly host: ScriptHost,
    private readonly listener: ReloadListener,
  ) {
    this.watcher = new ScriptWatcher((files) => void this.reload(files));
    host.on("compiled", this.checkCompiled);
    host.on("loaded", this.checkLoaded);
    host.on("reloaded", this.update);
    host.on("unloaded", this.update);
    host.on("sourcesChanged", this.update);
    this.update();
  }

  /** Ends the watching. */
  close(): void {
    this.host.off("compiled", this.checkCompiled);
    this.host.off("loaded", this.checkLoaded);
    this.host.off("reloaded", this.update);
    this.host.off("unloaded", this.update);
    this.host.off("sourcesChanged", this.update);
    this.watcher.close();
  }

  private async reload(changed: readonly string[]): Promise<void> {
    for (const early of this.early.values()) for (const file of changed) early.add(file);
    const scripts = this.host.list().map(({ handle }) => ({ handle, sources: this.host.listSources(handle) }));
    for (const { handle, sources } of scripts) {
      if (changed.some((file) => sources.includes(file))) await this.reloadScript(handle);
    }
  }

  private async reloadScript(handle: number): Promise<void> {
    const beganMs = performance.now();
    try {
      const script = await this.host.reload(handle);
      this.listener.onReloaded(script, performance.now() - beganMs);
    } catch (error) {
      if (!(error instanceof ScriptError)) throw error;
      this.listener.onRefused(error);
    }
  }
}

/** Whether a file whose time does not say it was saved after the compiler has read it: another text tells. */
function isSavedBeside(file: string, beganMs: number, script: CompiledScript): boolean {
  if (!isSavedSince(file, beganMs - STEP_MS)) return false;
  const text = script.readTexts().get(file);
  try {
    return text !== undefined && readFileSync(file, "utf8") !== text;
  } catch {
    return false;
  }
}
