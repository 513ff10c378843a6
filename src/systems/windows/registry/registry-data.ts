/** The types of values by their numbers (winnt.h). */
const TYPES = [
  ...["REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN", "REG_LINK"],
  ...["REG_MULTI_SZ", "REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR", "REG_RESOURCE_REQUIREMENTS_LIST"],
  "REG_QWORD",
] as const;

/** The data of a value, by its type. */
export type RegistryData = string | number | bigint | readonly string[] | Buffer;

/** Returns the name of a value's type, or its number as text: programs may give any. */
export function typeName(type: number): string {
  return TYPES[type] ?? String(type);
}

/** Reads the data of a value by its type; data of another length than the type's stays bytes. */
export function interpretValue(type: number, bytes: Buffer): RegistryData {
  switch (TYPES[type]) {
    case "REG_SZ":
    case "REG_EXPAND_SZ":
    case "REG_LINK":
      return toText(bytes).replace(/\0.*$/s, "");
    case "REG_MULTI_SZ":
      return toText(bytes)
        .replace(/\0\0.*$/s, "")
        .split("\0")
        .filter((text) => text !== "");
    case "REG_DWORD":
      return bytes.length === 4 ? bytes.readUInt32LE(0) : bytes;
    case "REG_DWORD_BIG_ENDIAN":
      return bytes.length === 4 ? bytes.readUInt32BE(0) : bytes;
    case "REG_QWORD":
      return bytes.length === 8 ? bytes.readBigUInt64LE(0) : bytes;
    default:
      return bytes;
  }
}

function toText(bytes: Buffer): string {
  return bytes.toString("utf16le", 0, bytes.length - (bytes.length % 2));
}
