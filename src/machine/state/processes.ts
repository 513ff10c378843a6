import { Engine } from "../engine/engine";
import { readCpu } from "./cpu";
import { getMachine } from "./machine-access";

/** Stands for every address space of the machine, the kernel's included. */
export const ALL_PROCESSES = 0xffffffffffffffffn;

/**
 * Monitors a process: its blocks reach the callbacks that are limited to monitored processes. Counted: as many calls
 * of stopMonitoringProcess() end it.
 *
 * @param pgd the process' address space, or ALL_PROCESSES
 */
export function startMonitoringProcess(pgd: bigint): void {
  Engine.get().native.monitor(pgd);
}

/**
 * Ends one monitoring of a process.
 *
 * @param force ends all of them
 * @returns whether it was monitored
 */
export function stopMonitoringProcess(pgd: bigint, force = false): boolean {
  return Engine.get().native.unmonitor(pgd, force);
}

/** Tells whether events of this address space reach the callbacks. */
export function isMonitoredProcess(pgd: bigint): boolean {
  return getMachine().isMonitored(pgd);
}

/**
 * Gets the address space that a vCPU runs in: CR3 without PCID and page-table isolation bits, so one for a process.
 *
 * @param cpuIndex from 0
 * @throws RangeError when there is no such vCPU
 */
export function getRunningProcess(cpuIndex = 0): bigint {
  return getMachine().currentPgd(readCpu(cpuIndex).index);
}

/** Tells whether a vCPU executes at privilege level 0. */
export function isKernelRunning(cpuIndex = 0): boolean {
  return readCpu(cpuIndex).CPL === 0n;
}
