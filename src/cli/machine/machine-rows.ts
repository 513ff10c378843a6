import type { Lab } from "../../lab/lab";
import type { MachineryCapabilities } from "../../lab/machinery/machinery";
import { callBounded } from "../../lab/machinery/manager/wait-for-state";
import type { LabMachine } from "../../lab/machinery/records/lab-machine";

/** A program prints its version at once; a hypervisor elsewhere may be slow. */
const VERSION_LIMIT_MS = 15_000;

/** One machine, as it is listed. */
export interface MachineRow {
  readonly name: string;
  readonly machinery: string;
  readonly label: string;
  readonly platform: string;
  readonly state: string;
  /** Further facts: why it is out of the pool, who holds it paused. */
  readonly note: string;
}

/** Asks all machines at once what they do. One that cannot be asked says why. */
export function readRows(lab: Lab, names: readonly string[], signal: AbortSignal): Promise<MachineRow[]> {
  const machines = [...lab.manager.machines].filter(({ name }) => names.length === 0 || names.includes(name));
  return Promise.all(machines.map((machine) => readRow(lab, machine, signal)));
}

async function readRow(lab: Lab, machine: LabMachine, signal: AbortSignal): Promise<MachineRow> {
  const { name, label, facts } = machine;
  let state: string;
  let reason: string | undefined;
  try {
    const status = await lab.manager.readState(name, signal);
    state = status.state;
    const held = status.pausedBy === undefined ? undefined : `held by ${status.pausedBy}`;
    reason = held ?? (status.reason === state ? undefined : status.reason);
  } catch (error) {
    state = "unknown";
    reason = error instanceof Error ? error.message : String(error);
  }
  const note = [machine.unavailableReason, reason].filter((part) => part !== undefined && part !== "").join("; ");
  return { ...{ name, label, state, note }, machinery: facts.machineryName, platform: facts.platform };
}

/** A machine with what its machinery is. */
export interface MachineRowWithMachinery extends MachineRow {
  /** The hypervisor's; "" when it is not known. */
  readonly version: string;
  readonly capabilities: MachineryCapabilities;
}

/** Adds what the machineries are: each hypervisor is asked once. */
export async function addMachineryFacts(
  lab: Lab,
  rows: readonly MachineRow[],
  signal: AbortSignal,
): Promise<MachineRowWithMachinery[]> {
  const versions = new Map<string, Promise<string>>();
  for (const [name, machinery] of lab.machineries) {
    const read = (own: AbortSignal) => machinery.version(own);
    versions.set(
      name,
      callBounded(`version of ${name}`, VERSION_LIMIT_MS, signal, read).catch(() => ""),
    );
  }
  return Promise.all(
    rows.map(async (row) => {
      const { capabilities } = lab.machineries.get(row.machinery)!;
      return { ...row, version: (await versions.get(row.machinery)) ?? "", capabilities };
    }),
  );
}

/** Renders rows as a table. */
export function renderRows(rows: readonly MachineRow[]): string {
  const head: MachineRow = { ...HEAD };
  const columns = ["name", "machinery", "label", "platform", "state", "note"] as const;
  const widths = columns.map((column) => Math.max(...[head, ...rows].map((row) => row[column].split("\n")[0]!.length)));
  const line = (row: MachineRow) =>
    columns
      .map((column, index) => row[column].split("\n")[0]!.padEnd(column === "note" ? 0 : widths[index]!))
      .join("  ")
      .trimEnd();
  return [head, ...rows].map(line).join("\n");
}

const HEAD: MachineRow = {
  name: "name",
  machinery: "machinery",
  label: "label",
  platform: "platform",
  state: "state",
  note: "note",
};
