import { MachineryManagerError } from "../../errors";

/** The ways into a guest that are tried where its configuration names none: they disturb nothing that does not answer. */
export const ASKING_WAYS = ["console", "guest-agent", "agent"] as const;
/** The ways into a guest. */
export const WAY_NAMES = [...ASKING_WAYS, "keyboard"] as const;
/** The values that a machine's configuration can have for them. */
export const WAY_CHOICES = ["auto", ...WAY_NAMES] as const;

/** A way into a guest: its serial console, QEMU's guest agent, CAPE's and Cuckoo's agent, or its keyboard. */
export type WayName = (typeof WAY_NAMES)[number];

/** The configuration of one machine; only its machinery understands `settings`. */
export interface MachineFacts<Settings = Readonly<Record<string, unknown>>> {
  /** Unique in the whole lab. */
  readonly name: string;
  /** The machine of the configuration whose golden state this one starts from; undefined when it is one itself. */
  readonly cloneOf?: string;
  /** The hypervisor's name for it. */
  readonly label: string;
  readonly ip: string | undefined;
  readonly platform: string;
  readonly osVersion: string | undefined;
  readonly tags: ReadonlySet<string>;
  readonly snapshot: string | undefined;
  readonly macAddress: string | undefined;
  /** x86, x64, arm64 ... in lower case. */
  readonly architecture: string | undefined;
  readonly interface: string | undefined;
  readonly agentPort: number;
  /** The agent is told to listen to this host alone. */
  readonly pinsAgent?: boolean;
  /** The way into its system; without it the one that answers first. */
  readonly wayIn?: (typeof WAY_CHOICES)[number];
  readonly resultServerIp: string | undefined;
  readonly resultServerPort: number | undefined;
  /** Taken only by who names it. */
  readonly isReserved: boolean;
  readonly machineryName: string;
  readonly settings: Settings;
}

/** A network that is there, for a machine to be connected to. */
export type MachineNetwork =
  | { readonly kind: "none" | "user" }
  | { readonly kind: "bridge"; readonly interface: string }
  /** The device of a namespace of its own, which a process holds; the socket leads to the guest's agent there. */
  | { readonly kind: "tap"; readonly tap: string; readonly holder: number; readonly agentSocket?: string };

/** The reason why a machine is out of the pool, and since when. */
export interface Quarantine {
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  /** The number of looks at it since then. */
  readonly checks: number;
  /** Somebody took it out on purpose: it is not looked at again. */
  readonly isManual: boolean;
}

/** Something that went wrong with a machine. */
export interface MachineFault {
  readonly timeMs: number;
  readonly problem: string;
}

/** The most faults that are kept; older ones are forgotten. */
const MOST_FAULTS = 20;

/** One machine of the lab: its facts, and what is going on with it. */
export class LabMachine<Settings = Readonly<Record<string, unknown>>> {
  state: MachineState | "unknown" = "unknown";
  /** The name of the holder that keeps it paused; the manager does not resume it. */
  pausedBy: string | undefined;
  lockedBy: string | undefined;
  reservedBy: string | undefined;
  quarantine: Quarantine | undefined;
  /** The last change of its lock or state, in milliseconds since 1970; the machine that rested longest is taken first. */
  changedMs = 0;
  /** The network that the next start connects it to; undefined is that of its settings. */
  network: MachineNetwork | undefined;
  readonly errors: MachineFault[] = [];

  constructor(readonly facts: MachineFacts<Settings>) {}

  get name(): string {
    return this.facts.name;
  }

  get label(): string {
    return this.facts.label;
  }

  get isLocked(): boolean {
    return this.lockedBy !== undefined;
  }

  get isDisabled(): boolean {
    return this.quarantine !== undefined;
  }

  get isAvailable(): boolean {
    return this.unavailableReason === undefined;
  }

  /** Says why it cannot be taken; undefined when it can. */
  get unavailableReason(): string | undefined {
    if (this.quarantine !== undefined) return `quarantined: ${this.quarantine.reason}`;
    if (this.lockedBy !== undefined) return `in use by ${this.lockedBy}`;
    if (this.reservedBy !== undefined) return `reserved for ${this.reservedBy}`;
    return undefined;
  }

  /** Remembers something that went wrong. */
  addError(problem: string): void {
    this.errors.push({ timeMs: Date.now(), problem });
    if (this.errors.length > MOST_FAULTS) this.errors.shift();
  }

  /** Takes it out of the pool until a check finds it well, or somebody enables it. */
  disable(reason: string, isManual = false): void {
    this.quarantine = { reason, sinceMs: Date.now(), checks: 0, isManual };
    if (!isManual) this.state = "error";
    this.changedMs = Date.now();
  }

  /** Puts it back into the pool. */
  enable(): void {
    this.quarantine = undefined;
    if (this.state === "error") this.state = "unknown";
    this.changedMs = Date.now();
  }

  /** @throws MachineryManagerError when it is not available */
  lock(owner: string): void {
    const reason = this.reservedBy === owner && !this.isLocked && !this.isDisabled ? undefined : this.unavailableReason;
    if (reason !== undefined) throw new MachineryManagerError(`${this.name} cannot be taken: ${reason}`);
    this.lockedBy = owner;
    this.changedMs = Date.now();
  }

  /** @throws MachineryManagerError when it is not locked */
  release(): void {
    if (this.lockedBy === undefined) {
      throw new MachineryManagerError(`${this.name} is not in use: it cannot be released`);
    }
    this.lockedBy = undefined;
    this.changedMs = Date.now();
  }

  setState(state: MachineState): void {
    if (state !== this.state) this.changedMs = Date.now();
    this.state = state;
    if (state !== "paused") this.pausedBy = undefined;
  }
}

/** The states that a machinery may report of a machine. */
export const MACHINE_STATES = [
  "starting",
  "running",
  "paused",
  "stopping",
  "poweroff",
  "restored",
  "suspended",
  "error",
] as const;

/** The state of a machine, as far as its machinery knows. */
export type MachineState = (typeof MACHINE_STATES)[number];

/** A state with what is known about why. */
export interface MachineStatus {
  readonly state: MachineState;
  /** For people: "crashed", "guest-panicked", "destroyed". */
  readonly reason?: string | undefined;
  /** The name of the holder that keeps it paused; the manager never resumes it then. */
  readonly pausedBy?: string | undefined;
}

/** Returns whether a value is the name of a state. */
export function isMachineState(value: unknown): value is MachineState {
  return (MACHINE_STATES as readonly unknown[]).includes(value);
}
