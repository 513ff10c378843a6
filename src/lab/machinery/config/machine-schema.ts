import type { SettingsSchema } from "../../../config/schema/setting";
import type { Machinery } from "../machinery";
import {
  MACHINE_SETTINGS,
  OPTIONAL_ADDRESS,
  OPTIONAL_LABEL,
  REQUIRED_ADDRESS,
  REQUIRED_LABEL,
} from "./machine-settings";

/** A name for a machine: it becomes a folder, and part of what people type. */
export const MACHINE_NAME = /^[A-Za-z0-9_][\w.-]{0,63}$/;

/**
 * Returns the settings of one machine: those of all machines and those of its machinery.
 *
 * @param isIni in an INI file the label has to be there, as in Cuckoo's
 */
export function getMachineSchema(machinery: Machinery, isIni: boolean): SettingsSchema {
  const { labelKey, needsAddress, machineSettings } = machinery;
  return {
    ...(labelKey === undefined ? {} : { [labelKey]: isIni ? REQUIRED_LABEL : OPTIONAL_LABEL }),
    ip: needsAddress ? REQUIRED_ADDRESS : OPTIONAL_ADDRESS,
    ...MACHINE_SETTINGS,
    ...machineSettings,
  };
}
