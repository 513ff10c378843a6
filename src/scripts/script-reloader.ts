import type { LoadedScript } from "./script-registry";
import { ScriptError } from "./errors";
import type { ScriptHost } from "./script-host";
import { ScriptWatcher } from "./script-watcher";

/** Receives the outcomes of reloads on save. */
export interface ReloadListener {
  onReloaded(script: LoadedScript, elapsedMs: number): void;
  /** The old version continues. */
  onRefused(error: ScriptError): void;
}

/** Reloads scripts when one of their files is saved: their own, one that they import, or the source of a trigger. */
export class ScriptReloader {
  private readonly watcher: ScriptWatcher;
  private readonly update = () => this.watcher.setFiles(this.listFiles());

  constructor(
    private readonly host: ScriptHost,
    private readonly listener: ReloadListener,
  ) {
    this.watcher = new ScriptWatcher((files) => void this.reload(files));
    host.on("loaded", this.update);
    host.on("reloaded", this.update);
    host.on("unloaded", this.update);
    host.on("sourcesChanged", this.update);
    this.update();
  }

  /** Ends the watching. */
  close(): void {
    this.host.off("loaded", this.update);
    this.host.off("reloaded", this.update);
    this.host.off("unloaded", this.update);
    this.host.off("sourcesChanged", this.update);
    this.watcher.close();
  }

  private listFiles(): string[] {
    return [...new Set(this.host.list().flatMap(({ handle }) => this.host.listSources(handle)))];
  }

  private async reload(changed: readonly string[]): Promise<void> {
    const scripts = this.host.list().map(({ handle }) => ({ handle, sources: this.host.listSources(handle) }));
    for (const { handle, sources } of scripts) {
      if (!changed.some((file) => sources.includes(file))) continue;
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
}
