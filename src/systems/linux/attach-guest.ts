import type { GuestSource } from "../memory/guest-source";
import { AttachError, MissingSymbolError, MissingTypeError } from "../errors";
import { attachLinux, type AttachOptions } from "./attach/attach";
import { LinuxGuest } from "./linux-guest";

/** Advice about a kernel whose structs or symbols are not as any known kernel's. */
export const STRANGE_KERNEL = "this kernel is not known to rebox: please report it, with what rebox doctor says";

/**
 * Finds the Linux guest that a machine runs, ready to be asked.
 *
 * @throws AttachError
 */
export function attachGuest(source: GuestSource, options: AttachOptions = {}): LinuxGuest {
  const kernel = attachLinux(source, options);
  try {
    return new LinuxGuest(kernel);
  } catch (error) {
    if (!(error instanceof MissingTypeError || error instanceof MissingSymbolError)) throw error;
    throw new AttachError("processes", `${kernel.banner}: ${error.message}`, STRANGE_KERNEL);
  }
}
