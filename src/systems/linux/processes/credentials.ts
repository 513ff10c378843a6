import { KernelDataError } from "../../errors";
import type { LinuxKernel } from "../structs/linux-kernel";
import type { StructCursor } from "../../structs/struct-cursor";

/** The user and group that a process runs as. Numbers are those of the initial user namespace. */
export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly euid: number;
  readonly egid: number;
  readonly suid: number;
  readonly sgid: number;
  readonly fsuid: number;
  readonly fsgid: number;
  /** Bits as /proc/PID/status shows them. */
  readonly effectiveCapabilities: bigint;
  readonly permittedCapabilities: bigint;
}

/**
 * Reads the credentials of a task.
 *
 * @param task the address of its task_struct
 * @throws KernelDataError when they are damaged
 */
export function readCredentials(kernel: LinuxKernel, task: bigint): Credentials {
  try {
    const cred = kernel.at("task_struct", task).follow("real_cred");
    if (!cred) throw new KernelDataError("a task_struct", task, "it has no credentials");
    const id = (name: string): number => cred.number(`${name}.val`);
    return {
      uid: id("uid"),
      gid: id("gid"),
      euid: id("euid"),
      egid: id("egid"),
      suid: id("suid"),
      sgid: id("sgid"),
      fsuid: id("fsuid"),
      fsgid: id("fsgid"),
      effectiveCapabilities: readCapabilities(cred.member("cap_effective")),
      permittedCapabilities: readCapabilities(cred.member("cap_permitted")),
    };
  } catch (error) {
    throw KernelDataError.from(error, "the credentials of a task_struct", task);
  }
}

/** One 64-bit number since 6.3, before that two of 32 bits. */
function readCapabilities(set: StructCursor): bigint {
  return set.has("val") ? set.value("val") : (set.value("cap[1]") << 32n) | set.value("cap[0]");
}
