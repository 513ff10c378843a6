/** Acts on the registry by system calls of Windows; for windows_acts. */
import { type ActReader, type Caller, nameOf, readObjectPath, readSome, readText } from "./_windows_call";

/** REG_CREATED_NEW_KEY of winnt.h. */
const CREATED = 1;
/** In bytes: more of a value's data is not shown. */
const LONGEST_DATA = 512;
const TYPES = [
  "REG_NONE",
  "REG_SZ",
  "REG_EXPAND_SZ",
  "REG_BINARY",
  "REG_DWORD",
  "REG_DWORD_BIG_ENDIAN",
  "REG_LINK",
  "REG_MULTI_SZ",
];
const TEXTS = [1, 2, 6, 7];
const NUMBER = 4;

const opening: ActReader = ([, , attributes = 0n, , , , disposition = 0n], caller) => {
  const key = readObjectPath(caller, attributes) ?? "?";
  return () => {
    const isNew = disposition !== 0n && readSome(caller.pgd, disposition, 1)[0] === CREATED;
    return isNew ? [{ act: "registry.made", key }] : [];
  };
};

export const REGISTRY_ACTS: Readonly<Record<string, ActReader>> = {
  NtCreateKey: opening,
  NtSetValueKey: ([handle = 0n, name = 0n, , type = 0n, data = 0n, size = 0n], caller) => {
    const facts = { key: nameOf(caller, handle), name: readText(caller.pgd, name) ?? "?" };
    const number = Number(type & 0xffffffffn);
    const shown = showData(caller, number, data, Number(size & 0xffffffffn));
    return () => [{ act: "registry.set", ...facts, valueType: TYPES[number] ?? String(number), data: shown }];
  },
  NtDeleteKey: ([handle = 0n], caller) => {
    const key = nameOf(caller, handle);
    return () => [{ act: "registry.removed", key }];
  },
  NtDeleteValueKey: ([handle = 0n, name = 0n], caller) => {
    const facts = { key: nameOf(caller, handle), name: readText(caller.pgd, name) ?? "?" };
    return () => [{ act: "registry.removed", ...facts }];
  },
};

function showData({ pgd }: Caller, type: number, address: bigint, size: number): string | number {
  const bytes = readSome(pgd, address, Math.min(size, LONGEST_DATA));
  if (TEXTS.includes(type)) return bytes.toString("utf16le", 0, bytes.length & ~1).replace(/\0+$/, "");
  return type === NUMBER && bytes.length === 4 ? bytes.readUInt32LE(0) : bytes.toString("hex");
}
