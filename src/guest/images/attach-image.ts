import { attachGuest } from "../../systems/linux/attach-guest";
import type { AttachOptions } from "../../systems/linux/attach/attach";
import { AttachError } from "../../systems/errors";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { StillMachine } from "../../machine/state/machine-access";

/**
 * Finds the Linux guest in an image: by the registers that it holds, or, where these lead to no kernel, by its memory alone.
 *
 * @throws AttachError
 */
export function attachImage(image: StillMachine, options: AttachOptions): LinuxGuest {
  if (image.cpus().length === 0) {
    throw new AttachError(
      "page-tables",
      "nowhere in the image is a page table that maps itself, an interrupt table and the kernel's memory",
      "it is no whole image of a machine's memory, or one of another system: rebox knows Linux on x86",
    );
  }
  try {
    return attachGuest(image, options);
  } catch (error) {
    if (!(error instanceof AttachError) || image.scan().length === 0) throw error;
    image.distrustRegisters();
    return attachGuest(image, options);
  }
}
