import { findNearestName } from "../../../config/nearest-name";
import { MachineDoesNotExistError, MachineryManagerError, MachineUnserviceableError } from "../errors";
import type { LabMachine } from "./lab-machine";
import { compareMachines, describeQuery, type MachineQuery, matchesQuery } from "./machine-query";

/** The machines of the lab, of all its machineries. */
export class MachineList implements Iterable<LabMachine> {
  readonly #machines = new Map<string, LabMachine>();

  /** @param mostLocked so many may be in use at once; 0 is without limit */
  constructor(private readonly mostLocked = 0) {}

  [Symbol.iterator](): Iterator<LabMachine> {
    return this.#machines.values();
  }

  get size(): number {
    return this.#machines.size;
  }

  /** @throws MachineryManagerError when another machine has its name */
  add(machine: LabMachine): void {
    const other = this.#machines.get(machine.name);
    if (other !== undefined) {
      const both = [other.facts.machineryName, machine.facts.machineryName].join(" and ");
      throw new MachineryManagerError(`two machines are named ${machine.name}, of ${both}; rename one of them`);
    }
    this.#machines.set(machine.name, machine);
  }

  /** @throws MachineDoesNotExistError with the names that there are */
  get(name: string): LabMachine {
    const machine = this.#machines.get(name);
    if (machine !== undefined) return machine;
    const names = [...this.#machines.keys()];
    const nearest = findNearestName(name, names);
    const hint = nearest === undefined ? `there are ${names.join(", ") || "none"}` : `did you mean ${nearest}?`;
    throw new MachineDoesNotExistError(`Machine with name ${name} does not exist; ${hint}`);
  }

  /** Finds the first machine that matches, available or not. */
  find(query: MachineQuery): LabMachine | undefined {
    return this.#findAll(query)[0];
  }

  /** Finds the machine that is to be taken: it matches, is available, and rested longest. */
  findAvailable(query: MachineQuery): LabMachine | undefined {
    return this.#findAll(query).find((machine) => machine.isAvailable);
  }

  /**
   * Takes a machine.
   *
   * @param owner who uses it, for messages
   * @returns undefined when all that match are in use, or as many as may be are in use at once
   * @throws MachineUnserviceableError when none can ever match
   */
  acquire(owner: string, query: MachineQuery): LabMachine | undefined {
    this.checkServiceable(query);
    const all = this.#findAll(query);
    const locked = [...this].filter((machine) => machine.isLocked).length;
    if (this.mostLocked > 0 && locked >= this.mostLocked) return undefined;
    const machine =
      all.find((candidate) => candidate.reservedBy === owner && !candidate.isLocked && !candidate.isDisabled) ??
      all.find((candidate) => candidate.isAvailable);
    machine?.lock(owner);
    return machine;
  }

  /** @throws MachineUnserviceableError when no machine can ever match */
  checkServiceable(query: MachineQuery): void {
    if (this.#findAll(query).length === 0) throw this.#refuse(query);
  }

  /** Keeps a machine for somebody. @throws MachineryManagerError when it is not available */
  reserve(machine: LabMachine, owner: string): void {
    const { unavailableReason } = machine;
    if (unavailableReason !== undefined && machine.reservedBy !== owner) {
      throw new MachineryManagerError(`${machine.name} cannot be reserved: ${unavailableReason}`);
    }
    machine.reservedBy = owner;
  }

  #findAll(query: MachineQuery): LabMachine[] {
    return [...this].filter((machine) => matchesQuery(machine, query)).toSorted(compareMachines(query));
  }

  #refuse(query: MachineQuery): MachineUnserviceableError {
    const tags = new Set([...this].flatMap(({ facts }) => [...facts.tags]));
    const wanted = describeQuery(query);
    const facts = `tags that machines have: ${[...tags].toSorted().join(", ") || "none"}`;
    return new MachineUnserviceableError(`no machine ${wanted} is configured, so waiting is of no use; ${facts}`);
  }
}
