import type { KernelIdentity } from "../../symbols/profile";

const BANNER = Buffer.from("Linux version ");
const LONGEST_BANNER = 512;
const LINE_END = 10;
/** An ELF note of the linker: sizes of name and description, type NT_GNU_BUILD_ID, name. */
const NOTE = Buffer.from("040000001400000003000000474e5500", "hex");
const BUILD_ID_SIZE = 20;
const MOST_BUILD_IDS = 16;

/** Reads what a kernel says about its build out of its image. */
export function readKernelIdentity(image: Uint8Array, banner = findBanner(image)): KernelIdentity {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.length);
  const buildIds: string[] = [];
  for (let at = bytes.indexOf(NOTE); at >= 0 && buildIds.length < MOST_BUILD_IDS; at = bytes.indexOf(NOTE, at + 1)) {
    buildIds.push(bytes.toString("hex", at + NOTE.length, at + NOTE.length + BUILD_ID_SIZE));
  }
  return { banner, buildIds: [...new Set(buildIds)] };
}

/**
 * Finds the kernel's own words in its image. There are others like it: what is built first lacks the date, and the record in
 * the log ends with a second copy of its last characters, because its level is cut off in place (vprintk_store). A record
 * follows its number, which is not 0; the text of /proc/version is an object of its own, and ends with its line.
 */
function findBanner(image: Uint8Array): string {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.length);
  let longest = "";
  let longestObject = "";
  for (let at = bytes.indexOf(BANNER), tries = 0; at >= 0 && tries < 8; at = bytes.indexOf(BANNER, at + 1), tries++) {
    const text = readBanner(image, at);
    if (text.length > longest.length) longest = text;
    const isObject = bytes[at - 1] === 0 && bytes[at + text.length] === LINE_END;
    if (isObject && text.length > longestObject.length) longestObject = text;
  }
  return longestObject || longest;
}

/** Reads the banner at an offset of the image, up to its line's end. */
export function readBanner(image: Uint8Array, at: number): string {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.length).subarray(at, at + LONGEST_BANNER);
  const end = bytes.findIndex((byte) => byte === 0 || byte === 10);
  return bytes.toString("latin1", 0, end < 0 ? bytes.length : end);
}
