import type { CpuFacts, GuestSource, RamRegion } from "../../src/systems/memory/guest-source";

/** A copy of a machine's RAM with its registers, which stays as it is. */
export class MemoryImage implements GuestSource {
  readonly #regions: readonly RamRegion[];
  readonly #cpus: readonly CpuFacts[];

  constructor(regions: readonly RamRegion[], cpus: readonly CpuFacts[]) {
    this.#regions = regions;
    this.#cpus = cpus;
  }

  regions(): readonly RamRegion[] {
    return this.#regions;
  }

  cpus(): readonly CpuFacts[] {
    return this.#cpus;
  }
}
