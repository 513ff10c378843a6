import { findNearestName } from "../../../config/nearest-name";
import { MachineDoesNotExistError, MachineryManagerError, MachineUnserviceableError } from "../../errors";
import { hasClones } from "../golden/clones";
import type { LabMachine } from "./lab-machine";

/** The machines of the lab, of all its machineries. */
export class MachineList implements Iterable<LabMachine> {
  readonly #machines = new Map<string, LabMachine>();

  /** @param mostLocked the most machines that may be in use at once; 0 is without limit */
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
   * @param mayTake tells of a machine that is free whether it is the user's turn
   * @returns undefined when all that match are in use or others', or as many as may be are in use at once
   * @throws MachineUnserviceableError when none can ever match
   */
  acquire(
    owner: string,
    query: MachineQuery,
    mayTake: (machine: LabMachine) => boolean = () => true,
  ): LabMachine | undefined {
    this.checkServiceable(query);
    const all = this.#findAll(query);
    const locked = [...this].filter((machine) => machine.isLocked).length;
    if (this.mostLocked > 0 && locked >= this.mostLocked) return undefined;
    const machine =
      all.find((candidate) => candidate.reservedBy === owner && !candidate.isLocked && !candidate.isDisabled) ??
      all.find((candidate) => candidate.isAvailable && mayTake(candidate));
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
    const { findProblem, ...rest } = query;
    const unusable = findProblem === undefined ? [] : this.#findAll(rest).map((machine) => findProblem(machine)!);
    if (unusable.length > 0) return new MachineUnserviceableError([...new Set(unusable)].join("; "));
    const tags = new Set([...this].flatMap(({ facts }) => [...facts.tags]));
    const wanted = describeQuery(query);
    const facts = `tags that machines have: ${[...tags].toSorted().join(", ") || "none"}`;
    return new MachineUnserviceableError(`no machine ${wanted} is configured, so waiting is of no use; ${facts}`);
  }
}

/** Requirements on a machine. */
export interface MachineQuery {
  /** Exactly this one, or a clone of it, reserved or not. A machine with clones is never taken itself. */
  readonly name?: string;
  readonly platform?: string;
  readonly osVersion?: string;
  /** x86 prefers x86 and is content with x64. */
  readonly architecture?: string;
  /** All of them. */
  readonly tags?: ReadonlySet<string>;
  /** Says why a machine that fits otherwise cannot be used for what is wanted; undefined when it can. */
  readonly findProblem?: (machine: LabMachine) => string | undefined;
}

/**
 * Returns whether a machine fits a query, regardless of its present use.
 *
 * @throws TypeError when the tags are no Set
 */
export function matchesQuery(machine: LabMachine, query: MachineQuery): boolean {
  const { name, platform, osVersion, architecture, tags } = query;
  if (tags !== undefined && !(tags instanceof Set)) throw new TypeError("tags must be a Set of texts");
  const { facts } = machine;
  if (hasClones(facts)) return false;
  if (name !== undefined && ![facts.name, facts.label, facts.cloneOf].includes(name)) return false;
  if (name === undefined && facts.isReserved) return false;
  if (platform !== undefined && platform !== facts.platform) return false;
  if (osVersion !== undefined && osVersion !== facts.osVersion) return false;
  const architectures = architecture === "x86" ? ["x86", "x64"] : [architecture];
  if (architecture !== undefined && !architectures.includes(facts.architecture)) return false;
  if (![...(tags ?? [])].every((tag) => facts.tags.has(tag))) return false;
  return query.findProblem?.(machine) === undefined;
}

/** Orders machines that match: the architecture that was asked for, then the one that rested longest. */
export function compareMachines(query: MachineQuery): (left: LabMachine, right: LabMachine) => number {
  const differs = (machine: LabMachine) => Number(machine.facts.architecture !== query.architecture);
  return (left, right) =>
    (query.architecture === undefined ? 0 : differs(left) - differs(right)) || left.changedMs - right.changedMs;
}

/** Writes what is asked for, for messages. */
export function describeQuery({ name, platform, osVersion, architecture, tags }: MachineQuery): string {
  const parts = [
    name === undefined ? "" : `named ${name}`,
    platform === undefined ? "" : `for ${[platform, osVersion].filter(Boolean).join(" ")}`,
    architecture === undefined ? "" : `with architecture ${architecture}`,
    tags === undefined || tags.size === 0 ? "" : `with tags ${[...tags].join(", ")}`,
  ];
  return parts.filter((part) => part !== "").join(" ") || "of any kind";
}
