import { readFileSync, statSync } from "node:fs";
import { quoteForShell } from "../machinery/drivers/qemu/memory-snapshot";
import type { GuestDisc } from "./guest-disc";

/** In bytes: typing so much takes a guest less time than noticing a disc. */
const MOST_TYPED = 2_048;

/**
 * Writes the script that makes the file of a disc in the guest's /tmp without the disc. A guest whose drive gets a disc has udev
 * look at it, beside the target.
 *
 * @returns undefined when the file is better sent on its disc: it is larger, or not plain text
 */
export function writeTypedFile({ source, folder, name }: GuestDisc): string | undefined {
  const stats = statSync(source, { throwIfNoEntry: false });
  if (stats?.isFile() !== true || stats.size > MOST_TYPED) return undefined;
  const text = readFileSync(source, "latin1");
  if (!/^[\x20-\x7e\n\t]*$/.test(text)) return undefined;
  const path = `${folder}/${name}`;
  return `(cd /tmp && umask 022 && mkdir ${folder} && printf %s ${quoteForShell(text)} >${path} && chmod 755 ${path})`;
}
