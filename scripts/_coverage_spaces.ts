/** Keeps the blocks that were executed by address space, and finds the modules that they are of; for coverage. */
import type { CoveredModule } from "./_coverage_file";

/** An address as a number: those of the upper half are below zero, so that all of a program and of the kernel are exact. */
export type Place = number;

/** The blocks outside of all modules are those of windows of this size. */
const WINDOW = 2 ** 31;

/** A module as its events tell of it. */
export interface LoadedModule {
  readonly base: bigint;
  readonly size: number;
  readonly path: string;
}

interface PlacedModule extends LoadedModule {
  readonly from: Place;
  readonly to: Place;
  buildId?: string | undefined;
}

interface Space {
  readonly pid: number;
  readonly name: string;
  /** Those that are gone too: their blocks are still there. The last ones are asked first. */
  readonly modules: PlacedModule[];
  readonly blocks: Map<Place, number>;
  readonly edges: (readonly [from: Place, to: Place])[];
}

/** An edge as it is written: "module+0x12". */
interface ShownEdge {
  readonly pid: number;
  readonly from: string;
  readonly to: string;
}

interface Gathered extends LoadedModule {
  readonly buildId?: string | undefined;
  readonly blocks: Map<number, number>;
  readonly processes: { readonly pid: number; readonly name: string }[];
}

/** What was collected of each process, and of the kernel, whose address space is 0. */
export class CoveredSpaces {
  readonly #living = new Map<bigint, Space>();
  readonly #ended: Space[] = [];

  /** Begins a process, which has no modules yet; nothing happens when it is there already. */
  begin(pgd: bigint, pid: number, name: string): void {
    if (!this.#living.has(pgd)) this.#living.set(pgd, { pid, name, modules: [], blocks: new Map(), edges: [] });
  }

  /** Ends a process: another one has its address space. */
  end(pgd: bigint): void {
    const space = this.#living.get(pgd);
    if (space !== undefined) this.#ended.push(space);
    this.#living.delete(pgd);
  }

  has(pgd: bigint): boolean {
    return this.#living.has(pgd);
  }

  /** Lists the address spaces of programs. */
  list(): bigint[] {
    return [...this.#living.keys()].filter((pgd) => pgd !== 0n);
  }

  get count(): number {
    return this.#all().reduce((sum, { blocks }) => sum + blocks.size, 0);
  }

  addModule(pgd: bigint, { base, size, path }: LoadedModule): void {
    const space = this.#living.get(pgd);
    if (space === undefined) return;
    if (space.modules.some((one) => one.base === base && one.path === path && one.size === size)) return;
    const from = Number(BigInt.asIntN(64, base));
    space.modules.push({ base, size, path, from, to: from + size });
  }

  /** Notes the build ids of an address space' modules, as far as they can be found now and are not known. */
  identify(pgd: bigint, find: (base: bigint) => string | undefined): void {
    for (const module of this.#living.get(pgd)?.modules ?? []) module.buildId ??= find(module.base);
  }

  /**
   * Returns the blocks of an address space with their sizes, to be added to. One that nobody has told of is collected too: that of a system
   * that is not known.
   */
  getBlocks(pgd: bigint): Map<Place, number> {
    this.begin(pgd, 0, "");
    return this.#living.get(pgd)!.blocks;
  }

  addEdge(pgd: bigint, from: Place, to: Place): void {
    this.begin(pgd, 0, "");
    this.#living.get(pgd)!.edges.push([from, to]);
  }

  /** Finds the modules: each path at each base once, with the processes that it was executed in. */
  resolve(): { readonly modules: CoveredModule[]; readonly edges: ShownEdge[] } {
    const gathered = new Map<string, Gathered>();
    const edges: ShownEdge[] = [];
    for (const space of this.#all()) {
      for (const [place, size] of space.blocks) {
        const module = findModule(space, place);
        const key = `${module.base} ${module.path}`;
        let known = gathered.get(key);
        if (known === undefined) gathered.set(key, (known = { ...module, blocks: new Map(), processes: [] }));
        known.blocks.set(place - module.from, size);
        if (!known.processes.some(({ pid }) => pid === space.pid))
          known.processes.push({ pid: space.pid, name: space.name });
      }
      for (const [from, to] of space.edges)
        edges.push({ pid: space.pid, from: show(space, from), to: show(space, to) });
    }
    const modules = [...gathered.values()].map(({ base, size, path, buildId, blocks, processes }) => ({ path, base, size, buildId, blocks, processes })); // prettier-ignore
    return { modules, edges };
  }

  #all(): Space[] {
    return [...this.#ended, ...this.#living.values()];
  }
}

function findModule({ modules }: Space, place: Place): PlacedModule {
  const found = modules.findLast(({ from, to }) => place >= from && place < to);
  if (found !== undefined) return found;
  const from = Math.floor(place / WINDOW) * WINDOW;
  const base = BigInt.asUintN(64, BigInt(from));
  return { base, size: WINDOW, path: `outside_${base.toString(16)}`, from, to: from + WINDOW };
}

function show(space: Space, place: Place): string {
  const { path, from } = findModule(space, place);
  return `${path}+0x${(place - from).toString(16)}`;
}
