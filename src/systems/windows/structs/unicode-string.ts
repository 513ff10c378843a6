import type { StructCursor } from "../../structs/struct-cursor";
import type { VirtualMemory } from "../../memory/virtual-memory";

/**
 * Reads a _UNICODE_STRING.
 *
 * @param memory the address space that its text lies in
 * @returns the text as far as it can be read; empty without any
 * @throws AddressError when the struct itself cannot be read
 */
export function readUnicodeString(string: StructCursor, memory: VirtualMemory): string {
  const length = string.number("Length");
  const buffer = string.value("Buffer");
  if (length === 0 || buffer === 0n) return "";
  const bytes = memory.readSome(buffer, length - (length % 2));
  return bytes.toString("utf16le", 0, bytes.length - (bytes.length % 2));
}
