import { CALLBACK_OPERATIONS } from "./operations/callbacks";
import { DISK_OPERATIONS } from "./operations/disks";
import { GUEST_OPERATIONS, HOOK_OPERATIONS, SYSTEM_OPERATIONS } from "./operations/guest";
import { ENGINE_OPERATIONS, MACHINE_OPERATIONS } from "./operations/machine";
import { FILE_OPERATIONS, MODULE_OPERATIONS, NETWORK_OPERATIONS, PROGRAM_OPERATIONS } from "./operations/node-modules";
import { SCRIPT_OPERATIONS } from "./operations/script";
import { STRUCT_OPERATIONS } from "./operations/structs";
import type { Operations } from "./operation";

/** All that rebox carries out for a script in the sandbox. */
export const OPERATIONS: Operations = {
  ...MACHINE_OPERATIONS,
  ...ENGINE_OPERATIONS,
  ...CALLBACK_OPERATIONS,
  ...SYSTEM_OPERATIONS,
  ...GUEST_OPERATIONS,
  ...HOOK_OPERATIONS,
  ...STRUCT_OPERATIONS,
  ...DISK_OPERATIONS,
  ...SCRIPT_OPERATIONS,
  ...MODULE_OPERATIONS,
  ...FILE_OPERATIONS,
  ...NETWORK_OPERATIONS,
  ...PROGRAM_OPERATIONS,
};
