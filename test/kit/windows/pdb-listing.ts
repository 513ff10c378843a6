import { execFileSync } from "node:child_process";

/** A struct, union or enumeration as llvm-pdbutil tells of it. */
export interface ListedType {
  readonly kind: string;
  readonly name: string;
  readonly size: number;
  /** `name at BYTE`, `name at BYTE bit BIT of COUNT`, `name = VALUE`, one a line. */
  readonly fields: readonly string[];
}

/** A symbol as llvm-pdbutil tells of it. */
export interface ListedSymbol {
  readonly name: string;
  readonly rva: number;
  readonly isFunction: boolean;
}

function dump(path: string, ...parts: string[]): string {
  return execFileSync("llvm-pdbutil", ["dump", ...parts, path], { encoding: "utf8", maxBuffer: 1 << 28 });
}

/** Reads the GUID and age with llvm-pdbutil. */
export function listIdentity(path: string): { readonly guid: string; readonly age: number } {
  const text = dump(path, "--summary");
  const guid = /GUID: \{(.*)\}/.exec(text)![1]!.replaceAll("-", "");
  return { guid, age: Number(/Age: (\d+)/.exec(text)![1]) };
}

/** Lists the definitions of a PDB file with llvm-pdbutil. */
export function listTypes(path: string): ListedType[] {
  const records = new Map<string, string>();
  for (const text of dump(path, "--types").split(/\n(?= *0x[0-9A-F]+ \|)/)) {
    const index = /^ *(0x[0-9A-F]+) \|/.exec(text)?.[1];
    if (index !== undefined) records.set(index, text);
  }
  return [...records.values()].flatMap((text) => {
    const [, kind, name] = /\| LF_(STRUCTURE|CLASS|UNION|ENUM) \[size = \d+\] `(.*)`/.exec(text) ?? [];
    if (kind === undefined || text.includes("forward ref")) return [];
    const list = /field list: (0x[0-9A-F]+)/.exec(text)?.[1];
    const size = Number(/sizeof (\d+)/.exec(text)?.[1] ?? 0);
    return [{ kind, name: name!, size, fields: list === undefined ? [] : listFields(records, list) }];
  });
}

function listFields(records: ReadonlyMap<string, string>, list: string): string[] {
  return records
    .get(list)!
    .split(/\n\s*- /)
    .flatMap((line) => {
      const value = /LF_ENUMERATE \[(.*) = (-?\d+)\]/.exec(line);
      if (value) return [`${value[1]} = ${value[2]}`];
      const more = /LF_INDEX.*?(0x[0-9A-F]+)/.exec(line);
      if (more) return listFields(records, more[1]!);
      const base = /^LF_BCLASS\s[^]*?offset = (\d+)/.exec(line);
      if (base) return [` at ${base[1]}`];
      const [, name, type, offset] =
        /LF_MEMBER \[name = `(.*)`, Type = (0x[0-9A-F]+).*?, offset = (\d+)/.exec(line) ?? [];
      if (name === undefined) return [];
      const bits = /LF_BITFIELD.*\n.*bit offset = (\d+), # bits = (\d+)/.exec(records.get(type!) ?? "");
      return [`${name} at ${offset}${bits ? ` bit ${bits[1]} of ${bits[2]}` : ""}`];
    });
}

/** Lists the public symbols of a PDB file with llvm-pdbutil, those of no section left out. */
export function listPublics(path: string): ListedSymbol[] {
  const sections = [...dump(path, "--section-headers").matchAll(/([0-9A-F]+) virtual address/g)].map(([, address]) =>
    Number.parseInt(address!, 16),
  );
  const records = dump(path, "--publics").matchAll(/S_PUB32 \[.*\] `(.*)`\n\s*flags = (.*), addr = (\d+):(\d+)/g);
  return [...records].flatMap(([, name, flags, section, offset]) => {
    const address = sections[Number(section) - 1];
    if (address === undefined) return [];
    return [{ name: name!, rva: address + Number(offset), isFunction: flags!.includes("function") }];
  });
}
