import { CancelledError } from "../../config/errors";
import type { Cluster } from "../../lab/cluster/open-cluster";
import type { Lab } from "../../lab/lab";
import { fetchGolden, findMismatches, listLacking, removeFetched } from "./fetch-golden";

/** Reading how a machine would start, in milliseconds. */
const ORIGIN_LIMIT_MS = 60_000;

/** Fetches the golden states of a cluster that a host's machines lack, ahead of their analyses. */
export class GoldenSupply {
  readonly #fetching = new Set<string>();
  /** States that do not fit this host, which is told once. */
  readonly #told = new Set<string>();
  readonly #stopping = new AbortController();

  constructor(
    private readonly lab: Lab,
    private readonly cluster: Pick<Cluster, "golden" | "store">,
    private readonly log: (text: string) => void,
  ) {}

  /** Returns whether a machine, or the one that it is a clone of, is being given a state: its analyses are to begin there. */
  isFetching(machine: { readonly name: string; readonly facts: { readonly cloneOf?: string | undefined } }): boolean {
    return this.#fetching.has(machine.facts.cloneOf ?? machine.name);
  }

  /** Removes what an earlier host on this lab has left of states that it fetched. */
  clean(): void {
    for (const { name } of this.lab.manager.machines) removeFetched(this.lab.folder, name);
  }

  /**
   * Looks for states that machines lack.
   *
   * @returns for each such machine the work that fetches them; isFetching() says so until it has been done
   */
  async look(): Promise<(() => Promise<void>)[]> {
    const { lab, cluster } = this;
    const published = await cluster.golden.list();
    if (published.length === 0) return [];
    return [...lab.manager.machines].flatMap((machine) => {
      const { name, facts } = machine;
      const { goldenStates } = lab.manager.getMachinery(machine).capabilities;
      if (facts.cloneOf !== undefined || !goldenStates || this.#fetching.has(name)) return [];
      const lacking = listLacking(lab.folder, name, published).filter((state) => !this.#told.has(markOf(state)));
      if (lacking.length === 0) return [];
      this.#fetching.add(name);
      return [() => this.#fetch(name, lacking).finally(() => this.#fetching.delete(name))];
    });
  }

  /** Fetches no more: what is on its way is dropped, and machines that are to be given a state are not waited for. */
  stop(): void {
    this.#stopping.abort(new CancelledError("the host takes no more"));
  }

  async #fetch(name: string, lacking: readonly ReturnType<typeof listLacking>[number][]): Promise<void> {
    const { lab, cluster, log } = this;
    const machine = lab.manager.machines.get(name);
    const origin = await lab.manager.getMachinery(machine).getGoldenOrigin(machine as never, AbortSignal.timeout(ORIGIN_LIMIT_MS)); // prettier-ignore
    const { signal } = this.#stopping;
    let failure: unknown;
    // The oldest first: machines start from the newest that there is.
    for (const state of lacking.toReversed()) {
      signal.throwIfAborted();
      const problems = await findMismatches(state, origin, signal);
      if (problems.length > 0) {
        this.#told.add(markOf(state));
        log(`the golden state ${state.name} of ${name}, which ${state.lab} has published, does not fit this host: ${problems.join("; ")}`); // prettier-ignore
        continue;
      }
      try {
        const put = await fetchGolden(cluster.store, lab.folder, state, origin, signal);
        // One that starts reads several files of its state: they are not to be of two.
        const users = [...lab.manager.machines].filter(({ facts }) => (facts.cloneOf ?? facts.name) === name);
        const names = users.map((each) => each.name);
        await lab.whileUnused(`the host, which replaces a golden state of ${name},`, names, signal, put);
        log(`fetched the golden state ${state.name} of ${name}, which ${state.lab} has published`);
      } catch (error) {
        removeFetched(lab.folder, name);
        // The others are there, or fit on the disk, all the same.
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
  }
}

function markOf({
  machine,
  name,
  manifest,
}: {
  machine: string;
  name: string;
  manifest: { createdMs: number };
}): string {
  return `${machine}/${name}/${manifest.createdMs}`;
}
