import { KernelDataError } from "../structs/kernel-data-error";
import type { LinuxKernel } from "../structs/linux-kernel";

/** __NEW_UTS_LEN and the NUL, include/uapi/linux/utsname.h */
const LONGEST_NAME = 65;

/**
 * Reads the host name of the guest's first UTS namespace: what uname() and hostname say outside of containers
 * (init_uts_ns.name.nodename).
 *
 * @throws KernelDataError when it cannot be read
 */
export function readHostName(kernel: LinuxKernel): string {
  const address = kernel.symbol("init_uts_ns");
  try {
    return kernel.at("uts_namespace", address).text(LONGEST_NAME, "name.nodename");
  } catch (error) {
    throw KernelDataError.from(error, "the host name", address);
  }
}
