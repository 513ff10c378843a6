import type { MachineState } from "../../records/lab-machine";

/**
 * The states that virsh's names of domain states stand for: the table of `virsh domstate` in libvirt's
 * tools/virsh-domain-monitor.c.
 */
const STATES: Readonly<Record<string, MachineState>> = {
  // VIR_DOMAIN_NOSTATE: the hypervisor does not know yet.
  "no state": "starting",
  running: "running",
  // Xen: blocked on a resource, which is a way of running.
  idle: "running",
  blocked: "running",
  paused: "paused",
  "in shutdown": "stopping",
  "shut off": "poweroff",
  crashed: "error",
  dying: "stopping",
  pmsuspended: "suspended",
};

/** Paused for a reason that is no intent: the hypervisor has failed, or the guest. */
const FAILED_PAUSES = ["I/O error", "watchdog", "crashed", "api error", "post-copy failed"];
/** Paused for a moment, by libvirt itself. */
const OWN_PAUSES = ["saving", "dumping", "migrating", "creating snapshot", "starting up", "shutting down", "post-copy"];
/** Paused because the snapshot holds a paused machine: the manager resumes it. */
const RESTORED_PAUSES = ["from snapshot", "unknown"];

/** The state of a domain, by `virsh domstate --reason`. */
export interface DomainState {
  readonly state: MachineState;
  readonly reason: string | undefined;
  /** Somebody has paused it. */
  readonly isHeld: boolean;
}

/**
 * Reads what `virsh domstate --reason` prints: "paused (user)".
 *
 * @returns undefined for a state that virsh had not when this was written
 */
export function parseDomainState(text: string): DomainState | undefined {
  const [, name, reason] = /^([^(]+?)(?: \((.*)\))?\s*$/.exec(text.trim()) ?? [];
  const state = STATES[name ?? ""];
  if (state === undefined) return undefined;
  if (state === "paused") return { ...readPause(reason), reason };
  return { state, reason, isHeld: false };
}

function readPause(reason: string | undefined): { readonly state: MachineState; readonly isHeld: boolean } {
  if (FAILED_PAUSES.includes(reason ?? "")) return { state: "error", isHeld: false };
  if (OWN_PAUSES.includes(reason ?? "")) return { state: "starting", isHeld: false };
  return { state: "paused", isHeld: reason !== undefined && !RESTORED_PAUSES.includes(reason) };
}
