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

/** Reloads scripts when one of their files is saved: their own, or one that they import. */
export class ScriptReloader {
  private readonly watcher: ScriptWatcher;
  /** Files of versions that were refused, by script: mending an import that is new must be noticed too. */
  private readonly refused = new Map<number, string>();
  private readonly update = () => this.watcher.setFiles(this.listFiles());

  constructor(
    private readonly host: ScriptHost,
    private readonly listener: ReloadListener,
  ) {
    this.watcher = new ScriptWatcher((files) => void this.reload(files));
    host.on("loaded", this.update);
    host.on("reloaded", this.update);
    host.on("unloaded", this.update);
    this.update();
  }

  /** Ends the watching. */
  close(): void {
    this.host.off("loaded", this.update);
    this.host.off("reloaded", this.update);
    this.host.off("unloaded", this.update);
    this.watcher.close();
  }

  private listFiles(): string[] {
    return [...new Set([...this.host.list().flatMap(({ files }) => files), ...this.refused.values()])];
  }

  private async reload(changed: readonly string[]): Promise<void> {
    for (const { handle, files } of this.host.list()) {
      const refused = this.refused.get(handle);
      if (!changed.some((file) => files.includes(file) || file === refused)) continue;
      const beganMs = performance.now();
      this.refused.delete(handle);
      try {
        const script = await this.host.reload(handle);
        this.listener.onReloaded(script, performance.now() - beganMs);
      } catch (error) {
        if (!(error instanceof ScriptError)) throw error;
        if (error.place !== undefined) this.refused.set(handle, error.place.file);
        this.update();
        this.listener.onRefused(error);
      }
    }
  }
}
