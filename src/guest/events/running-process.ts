import type { Cpu } from "../../machine/state/cpu";
import { KernelDataError } from "../../systems/errors";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { LinuxProcess } from "../../systems/linux/linux-process";
import { findGuest } from "../guest";
import { CurrentTask } from "./current-task";

const currents = new WeakMap<LinuxGuest, CurrentTask>();

/**
 * Finds the process that a vCPU runs, while it executes a program, and at the kernel's first instruction of a system call. No list
 * of processes is read for it.
 *
 * @returns undefined when the guest runs no Linux, or its kernel does not say which task runs
 */
export function findRunningProcess(cpu: Cpu): LinuxProcess | undefined {
  const guest = findGuest();
  if (guest === undefined) return undefined;
  let current = currents.get(guest);
  if (current === undefined) currents.set(guest, (current = new CurrentTask(guest)));
  const task = current.findEntering(cpu);
  return task === undefined ? undefined : findTaskProcess(task);
}

/**
 * Finds the process of a task.
 *
 * @param task the address of its task_struct
 * @returns undefined when the guest runs no Linux, or there is no task
 */
export function findTaskProcess(task: bigint): LinuxProcess | undefined {
  const guest = findGuest();
  if (guest === undefined) return undefined;
  try {
    const leader = guest.tasks.read(guest.kernel.at("task_struct", task).value("group_leader"));
    return new LinuxProcess(guest, leader, guest.tasks.read(leader.parent).tgid);
  } catch (error) {
    if (error instanceof KernelDataError) return undefined;
    throw error;
  }
}
