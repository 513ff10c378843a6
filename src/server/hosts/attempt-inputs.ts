import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { AnalysisRequest } from "../../lab/analysis/analysis-database";
import { type ArtefactStore, getContentKey } from "../../lab/cluster/artefact-store";
import type { StoredFile, TakenAttempt } from "../../lab/cluster/analysis-queue";
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
   * @throws ClusterError when a file is missing, or another
   */
  async fetch(taken: TakenAttempt): Promise<AnalysisRequest> {
    const { request, target, scripts, number, origin } = taken.submission;
    const { submission, ...rest } = request;
    return {
      ...rest,
      ...{ machine: taken.machine, host: undefined, reportedAs: number, choice: {} },
      target: target && (await this.#fetchFile(taken, target)),
      scripts: await Promise.all(scripts.map((script) => this.#fetchFile(taken, script))),
      submission: { by: submission?.by ?? origin, priority: submission?.priority ?? 1 },
    };
  }

  /** Removes the files of an analysis that is over. Files that were not fetched stay. */
  drop({ target, scripts }: Pick<AnalysisRequest, "target" | "scripts">): void {
    for (const path of [target, ...scripts]) {
      if (path === undefined) continue;
      const folder = dirname(dirname(path));
      if (dirname(folder) === this.#folder) rmSync(folder, { recursive: true, force: true });
    }
  }

  async #fetchFile({ id, attempt }: TakenAttempt, file: StoredFile): Promise<string> {
    const folder = join(this.#folder, `${id}-${attempt}`, file.sha256);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, file.name.replace(/[/\0]/g, "_").replace(/^\.{1,2}$/, "target"));
    await this.store.get(getContentKey(file.sha256), path, file);
    return path;
  }
}
