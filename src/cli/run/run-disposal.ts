import type { ScriptHost } from "../../scripts/script-host";
import { waitAtMost } from "../../config/limits";
import type { EnginePort } from "./run-environment";
import type { RunReporter } from "./run-reporter";

/** Ends everything that a run has started. Nothing here waits for ever, and nothing throws. */
export class RunDisposal {
  /**
   * @param reporter receives the problems of the end
   * @param graceMs the time that the engine may take to stop, in milliseconds
   */
  constructor(
    private readonly reporter: RunReporter,
    private readonly graceMs: number,
  ) {}

  /** Calls the scripts' clean(), the last loaded first. */
  async unloadScripts(scripts: ScriptHost): Promise<void> {
    for (const failure of await scripts.unloadAll()) this.reporter.scriptError(failure);
  }

  /**
   * Stops the guest and waits until QEMU has cleaned up.
   *
   * @returns false when the engine does not stop
   */
  async stopEngine(engine: EnginePort): Promise<boolean> {
    const quitting = engine.quit().catch((error: unknown) => {
      // A guest that ended by itself just now cannot be stopped any more; only one that goes on is a problem.
      return error instanceof Error ? error.message : String(error);
    });
    const ended = engine.ended.catch(() => undefined);
    if ((await waitAtMost(ended, this.graceMs)) === "settled") return true;
    const refusal = await Promise.race([quitting, Promise.resolve(undefined)]);
    const reason = typeof refusal === "string" ? `: ${refusal}` : "";
    this.reporter.say(`the engine did not stop within ${this.graceMs / 1000} s${reason}; ending without it`);
    return false;
  }
}
