import { getGuest } from "./guest";
import type { LinuxProcess } from "./linux/linux-process";

/**
 * Lists the guest's processes, kernel threads included.
 *
 * @throws AttachError when the guest runs no kernel that rebox knows
 * @throws KernelDataError when the kernel's own list is damaged
 */
export function getProcessList(): LinuxProcess[] {
  return getGuest().getProcessList();
}
