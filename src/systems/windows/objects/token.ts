import { KernelDataError } from "../../errors";
import type { WindowsKernel } from "../kernel/windows-kernel";

/** Names of privileges by their numbers, from 2 (winnt.h, wdm.h: SE_CREATE_TOKEN_PRIVILEGE and on). */
const PRIVILEGES = [
  ...["SeCreateToken", "SeAssignPrimaryToken", "SeLockMemory", "SeIncreaseQuota", "SeMachineAccount", "SeTcb"],
  ...["SeSecurity", "SeTakeOwnership", "SeLoadDriver", "SeSystemProfile", "SeSystemtime", "SeProfileSingleProcess"],
  ...["SeIncreaseBasePriority", "SeCreatePagefile", "SeCreatePermanent", "SeBackup", "SeRestore", "SeShutdown"],
  ...["SeDebug", "SeAudit", "SeSystemEnvironment", "SeChangeNotify", "SeRemoteShutdown", "SeUndock", "SeSyncAgent"],
  ...["SeEnableDelegation", "SeManageVolume", "SeImpersonate", "SeCreateGlobal", "SeTrustedCredManAccess"],
  ...["SeRelabel", "SeIncreaseWorkingSet", "SeTimeZone", "SeCreateSymbolicLink", "SeDelegateSessionUserImpersonate"],
] as const;
const FIRST_PRIVILEGE = 2;
const MOST_GROUPS = 1024;
const MOST_PARTS = 15;

/** The rights of a process: its primary token. */
export interface Token {
  /** The user's SID: "S-1-5-18" is the system. */
  readonly user: string;
  /** The SIDs of its groups, its integrity level among them: "S-1-16-16384" is the system's. */
  readonly groups: readonly string[];
  /** The privileges that it has and that are switched on: "SeDebugPrivilege". */
  readonly privileges: readonly string[];
  readonly enabledPrivileges: readonly string[];
  /** The number of the session that it logged on to. */
  readonly session: number;
  /** The address of its _TOKEN. */
  readonly kaddr: bigint;
}

/**
 * Reads the token of a process.
 *
 * @param process the address of its _EPROCESS
 * @throws KernelDataError when it is damaged or not in memory
 */
export function readToken(kernel: WindowsKernel, process: bigint): Token {
  const reference = kernel.at("_EPROCESS", process);
  let address = process;
  try {
    // _EX_FAST_REF: the lower bits count references.
    address = reference.value("Token.Value", "Token") & ~(kernel.bits === 64 ? 0xfn : 7n);
    const token = kernel.at("_TOKEN", address);
    const count = Math.min(token.number("UserAndGroupCount"), MOST_GROUPS);
    const array = token.value("UserAndGroups");
    const size = BigInt(kernel.sizeOf("_SID_AND_ATTRIBUTES"));
    const sids = Array.from({ length: count }, (_, index) =>
      readSid(kernel, kernel.at("_SID_AND_ATTRIBUTES", array + BigInt(index) * size).value("Sid")),
    );
    return {
      user: sids[0] ?? "",
      groups: sids.slice(1),
      privileges: listPrivileges(token.value("Privileges.Present")),
      enabledPrivileges: listPrivileges(token.value("Privileges.Enabled")),
      session: token.number("SessionId"),
      kaddr: address,
    };
  } catch (error) {
    throw KernelDataError.from(error, "the token", address);
  }
}

function listPrivileges(bits: bigint): string[] {
  return PRIVILEGES.filter((_, index) => (bits & (1n << BigInt(index + FIRST_PRIVILEGE))) !== 0n).map(
    (name) => `${name}Privilege`,
  );
}

/** Reads a SID and writes it as Windows does ([MS-DTYP] 2.4.2). @throws AddressError */
function readSid({ memory }: WindowsKernel, address: bigint): string {
  const parts = Math.min(memory.u8(address + 1n), MOST_PARTS);
  const bytes = memory.read(address, 8 + parts * 4);
  const authority = bytes.readUIntBE(2, 6);
  const rest = Array.from({ length: parts }, (_, index) => bytes.readUInt32LE(8 + index * 4));
  return ["S", bytes[0], authority, ...rest].join("-");
}
