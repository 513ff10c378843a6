import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { AnalysisRequest } from "../../lab/analysis/analysis-database";
import { type ArtefactStore, getContentKey } from "../../lab/cluster/artefact-store";
import type { Attempt, StoredFile, TakenAttempt } from "../../lab/cluster/analysis-queue";
import { getServerFolder } from "../accounts/account-database";

/** The targets and scripts of the attempts that a host makes: fetched for each attempt, and removed after it. */
export class AttemptInputs {
  readonly #folder: string;

  /** @param labFolder absolute */
  constructor(
    labFolder: string,
    private readonly store: ArtefactStore,
  ) {
    this.#folder = join(getServerFolder(labFolder), "inputs");
  }

  /**
   * Fetches the files of an attempt.
   *
   * @returns the analysis as this host's own lab is to make it
   * @throws ClusterError when a file is missing, or another: nothing of them is left then
   */
  async fetch(taken: TakenAttempt): Promise<AnalysisRequest> {
    const { request, target, scripts, number, origin } = taken.submission;
    const { submission, choice = {}, ...rest } = request;
    const fetched: string[] = [];
    try {
      for (const file of [...(target === undefined ? [] : [target]), ...scripts])
        fetched.push(await this.#fetchFile(taken, file));
    } catch (error) {
      this.remove(taken);
      throw error;
    }
    return {
      ...rest,
      ...{ machine: taken.machine, host: undefined, reportedAs: number },
      // The machine fits now, but may be given another state until it starts.
      choice: choice.golden === undefined ? {} : { golden: choice.golden },
      target: target && fetched[0],
      scripts: target === undefined ? fetched : fetched.slice(1),
      submission: { by: submission?.by ?? origin, priority: submission?.priority ?? 1 },
    };
  }

  /** Removes the files of all attempts but these: a host that was killed has left them. */
  keepOnly(attempts: readonly Attempt[]): void {
    const kept = new Set(attempts.map((attempt) => this.#getFolder(attempt)));
    if (!existsSync(this.#folder)) return;
    for (const name of readdirSync(this.#folder)) {
      const folder = join(this.#folder, name);
      if (!kept.has(folder)) rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Removes the files of an attempt that is over. */
  remove(attempt: Attempt): void {
    rmSync(this.#getFolder(attempt), { recursive: true, force: true });
  }

  #getFolder({ id, attempt }: Attempt): string {
    return join(this.#folder, `${id}-${attempt}`);
  }

  async #fetchFile(taken: TakenAttempt, file: StoredFile): Promise<string> {
    // Before the folder: the hash comes from another lab.
    const key = getContentKey(file.sha256);
    const folder = join(this.#getFolder(taken), file.sha256);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, file.name.replace(/[/\0]/g, "_").replace(/^\.{1,2}$/, "target"));
    await this.store.get(key, path, file);
    return path;
  }
}
