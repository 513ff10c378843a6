import type { GuestPackage } from "./guest-package";

/** The tags of rpm's headers (lib/rpmtag.h). */
const TAG_NAME = 1000;
const TAG_VERSION = 1001;
const TAG_RELEASE = 1002;
const TAG_EPOCH = 1003;
const TAG_ARCH = 1022;
const TYPE_INT32 = 4;
const TYPE_STRING = 6;
const ENTRY_SIZE = 16;
const MOST_ENTRIES = 65536;
const LONGEST_TEXT = 4096;

/**
 * Reads the header of an installed package, as rpm's database holds it: how many entries and how many bytes, the entries
 * (tag, type, offset, count), and the bytes that they are about; all of it big-endian (rpm's docs/manual/hregions.md).
 *
 * @returns undefined when it is damaged
 */
export function parseRpmHeader(blob: Buffer): GuestPackage | undefined {
  if (blob.length < 8) return undefined;
  const [count, size] = [blob.readUInt32BE(0), blob.readUInt32BE(4)];
  const start = 8 + count * ENTRY_SIZE;
  if (count > MOST_ENTRIES || start + size > blob.length) return undefined;
  const values = new Map<number, string>();
  for (let at = 8; at < start; at += ENTRY_SIZE) {
    const [tag, type, offset] = [blob.readUInt32BE(at), blob.readUInt32BE(at + 4), blob.readUInt32BE(at + 8)];
    const place = start + offset;
    if (type === TYPE_INT32 && place + 4 <= start + size) values.set(tag, String(blob.readUInt32BE(place)));
    if (type !== TYPE_STRING || place >= start + size) continue;
    const end = blob.indexOf(0, place);
    if (end >= 0 && end - place <= LONGEST_TEXT) values.set(tag, blob.toString("utf8", place, end));
  }
  const [name, version, release] = [TAG_NAME, TAG_VERSION, TAG_RELEASE].map((tag) => values.get(tag));
  if (name === undefined || version === undefined) return undefined;
  const epoch = values.get(TAG_EPOCH);
  const whole = `${epoch === undefined || epoch === "0" ? "" : `${epoch}:`}${version}${release === undefined ? "" : `-${release}`}`;
  return { name, version: whole, type: "rpm", arch: values.get(TAG_ARCH) ?? "" };
}
