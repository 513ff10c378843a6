import type { CallbackManager } from "../../machine/callbacks/callback-manager";
import { ALL_PROCESSES, startMonitoringProcess, stopMonitoringProcess } from "../../machine/state/processes";
import type { BreakpointHit, BreakpointType } from "./breakpoint-types";
import { readCpu } from "../../machine/state/cpu";

/** The longest memory access, in bytes: one that begins below a range may reach into it. */
const LONGEST_ACCESS = 64n;

/** The place at which a breakpoint is set. */
export interface BreakpointPlace {
  readonly type: BreakpointType;
  readonly address: bigint;
  readonly size: number;
  readonly pgd: bigint;
}

type Hit = Omit<BreakpointHit, "breakpoint">;

/**
 * Watches one place, also while a replay travels.
 *
 * @param onHit called with every event there
 * @returns what ends it
 */
export function watchPlace(
  callbacks: CallbackManager,
  place: BreakpointPlace,
  onHit: (hit: Hit) => void | Promise<void>,
): () => void {
  const { type, address, size, pgd } = place;
  const isEverywhere = pgd === ALL_PROCESSES || type.startsWith("physical");
  if (type === "execution") {
    const onCode = (cpuIndex: number, cpu: Hit["cpu"]) => onHit({ cpuIndex, cpu, address: cpu.RIP, size: 0 });
    if (size === 1) {
      const name = callbacks.addCallback("INSN_BEGIN_CB", onCode, { addr: address, ...(isEverywhere ? {} : { pgd }) });
      callbacks.hearTravel(name);
      return () => removeCallback(callbacks, name);
    }
    const range = { from: address, to: address + BigInt(size) };
    const filter = { pc: range, ...(isEverywhere ? {} : { pgd }) };
    return monitor(callbacks, callbacks.addCallback("INSN_BEGIN_CB", onCode, { filter }), pgd);
  }
  const isPhysical = type.startsWith("physical");
  const from = address < LONGEST_ACCESS ? 0n : address - LONGEST_ACCESS + 1n;
  const range = { from, to: address + BigInt(size) };
  const filter = isPhysical ? { physical: range } : { address: range, ...(isEverywhere ? {} : { pgd }) };
  const onAccess = (cpuIndex: number, vaddr: bigint, length: number, paddr: bigint, value?: bigint) => {
    const at = isPhysical ? paddr : vaddr;
    if (at + BigInt(length) <= address) return;
    return onHit({
      cpuIndex,
      cpu: readCpu(cpuIndex),
      address: at,
      size: length,
      ...(value === undefined ? {} : { value }),
    });
  };
  const name = type.endsWith("read")
    ? callbacks.addCallback(
        "MEM_READ_CB",
        (cpuIndex, vaddr, length, paddr) => onAccess(cpuIndex, vaddr, length, paddr),
        { filter },
      )
    : callbacks.addCallback("MEM_WRITE_CB", onAccess, { filter });
  return monitor(callbacks, name, isEverywhere ? ALL_PROCESSES : pgd);
}

/** Monitoring is counted: what a script or user monitors stays so. */
function monitor(callbacks: CallbackManager, name: string, pgd: bigint): () => void {
  callbacks.hearTravel(name);
  startMonitoringProcess(pgd);
  return () => {
    removeCallback(callbacks, name);
    stopMonitoringProcess(pgd);
  };
}

function removeCallback(callbacks: CallbackManager, name: string): void {
  if (callbacks.callbackExists(name)) callbacks.rmCallback(name);
}
