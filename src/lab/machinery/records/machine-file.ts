import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { isMachineState, type LabMachine, type MachineFault, type Quarantine } from "./lab-machine";

/** The facts about a machine that outlive the process: everything except its user, which is a lock of the system. */
interface MachineDump {
  readonly state?: string;
  readonly pausedBy?: string;
  readonly reservedBy?: string;
  readonly quarantine?: Quarantine;
  readonly changedMs?: number;
  readonly errors?: readonly MachineFault[];
}

/** Writes what is known of a machine; a reader sees the file before or the file after, never half of it. */
export function saveMachine(file: string, machine: LabMachine): void {
  const { state, pausedBy, reservedBy, quarantine, changedMs, errors } = machine;
  writeWhole(file, `${JSON.stringify({ state, pausedBy, reservedBy, quarantine, changedMs, errors }, null, 2)}\n`);
}

/**
 * Takes over what was known of a machine.
 *
 * @returns what is wrong with the file, which is put aside then; undefined when all is well, or there is none
 */
export function restoreMachine(file: string, machine: LabMachine): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  let dump: MachineDump;
  try {
    dump = JSON.parse(text) as MachineDump;
    if (typeof dump !== "object" || dump === null) throw new SyntaxError("no object");
  } catch (error) {
    const aside = `${file}.damaged`;
    renameSync(file, aside);
    const reason = error instanceof Error ? error.message : String(error);
    return `what was known of ${machine.name} is damaged (${reason}) and forgotten; the file is now ${aside}`;
  }
  if (isMachineState(dump.state)) machine.state = dump.state;
  if (typeof dump.pausedBy === "string") machine.pausedBy = dump.pausedBy;
  if (typeof dump.reservedBy === "string") machine.reservedBy = dump.reservedBy;
  if (typeof dump.quarantine?.reason === "string") machine.quarantine = dump.quarantine;
  if (typeof dump.changedMs === "number") machine.changedMs = dump.changedMs;
  machine.errors.splice(0, machine.errors.length, ...(Array.isArray(dump.errors) ? dump.errors : []));
  return undefined;
}

/**
 * Writes a file so that it is there as a whole or not at all, even after a power failure.
 *
 * @param mode its permissions, also where a file with others was there; those of the system's settings without it
 */
export function writeWhole(file: string, text: string, mode?: number): void {
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.new`;
  const descriptor = openSync(temporary, "w", mode ?? 0o644);
  try {
    try {
      // One that a killed process has left may have others.
      if (mode !== undefined) fchmodSync(descriptor, mode);
      // All of it, or an error: one write(2) writes a part where the disk is nearly full.
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
