import { AddressError, KernelDataError } from "../../errors";
import type { VirtualMemory } from "../../memory/virtual-memory";
import { walkList } from "../../structs/kernel-list";
import type { WindowsKernel } from "../kernel/windows-kernel";
import { fileTimeToDate } from "../structs/file-time";
import { readUnicodeString } from "../structs/unicode-string";
import { findRegistryMemory, HiveMemory } from "./hive-memory";
import {
  type CellSource,
  type KeyCell,
  listSubkeyCells,
  listValueCells,
  readKeyCell,
  readValueData,
} from "./registry-cells";
import { interpretValue, type RegistryData, typeName } from "./registry-data";

const MOST_HIVES = 1 << 12;
/** Of the data of one value, and of all values of a key, in bytes. */
const LONGEST_DATA = 1 << 20;
const MOST_DATA = 1 << 24;
const MOST_LINKS = 8;
const LINK_VALUE = "symboliclinkvalue";
/** The names that programs have for parts of the kernel's tree. */
const PREFIXES: readonly (readonly [RegExp, string])[] = [
  [/^(hklm|hkey_local_machine)(?=\\|$)/i, "\\REGISTRY\\MACHINE"],
  [/^(hku|hkey_users)(?=\\|$)/i, "\\REGISTRY\\USER"],
];

/** A hive that the kernel has loaded. */
export interface RegistryHive {
  /** Where its keys begin: "\REGISTRY\MACHINE\SYSTEM"; empty where the kernel does not say. */
  readonly root: string;
  /** The path of its file; empty for one that is in memory alone. */
  readonly file: string;
  /** The address of its _CMHIVE. */
  readonly kaddr: bigint;
}

/** A value of a key. */
export interface RegistryValue {
  /** Empty for the key's default value. */
  readonly name: string;
  /** As "REG_SZ"; its number where it has no name. */
  readonly type: string;
  /** By its type: text, texts or a number; bytes for all others, and for what does not fit its type. */
  readonly data: RegistryData;
  /** Of the data, in bytes; what is longer than 1 MiB is cut. */
  readonly size: number;
}

/** A key, as it was when it was read. */
export interface RegistryKey {
  /** "\REGISTRY\MACHINE\SYSTEM\Select". */
  readonly path: string;
  readonly name: string;
  readonly lastWriteTime: Date;
  /** The names of its subkeys. */
  readonly subkeys: readonly string[];
  readonly values: readonly RegistryValue[];
}

/** The registry of a Windows guest, out of the hives that its kernel has in memory. */
export class Registry {
  readonly #kernel: WindowsKernel;
  #memory: { readonly found: VirtualMemory | undefined } | undefined;

  constructor(kernel: WindowsKernel) {
    this.#kernel = kernel;
  }

  /** Lists the hives in the order in which they were loaded. @throws KernelDataError when the list is damaged */
  listHives(): RegistryHive[] {
    const what = "the list of hives";
    const kernel = this.#kernel;
    const offset = kernel.place("_CMHIVE", "HiveList").offset;
    const hives: RegistryHive[] = [];
    for (const kaddr of walkList(kernel.memory, kernel.symbol("CmpHiveListHead"), what, offset)) {
      if (hives.length >= MOST_HIVES) throw new KernelDataError(what, kaddr, `more than ${MOST_HIVES} hives`);
      hives.push({ root: this.#readText(kaddr, "HiveRootPath"), file: this.#readFile(kaddr), kaddr });
    }
    return hives;
  }

  /**
   * Finds a key by its path, through links as CurrentControlSet is one.
   *
   * @param path as "HKLM\SYSTEM\Select" or "\REGISTRY\MACHINE\SYSTEM\Select"; small and capital letters are the same
   * @returns undefined when there is no such key
   * @throws KernelDataError when the way to it is damaged, or not in memory
   */
  findKey(path: string): RegistryKey | undefined {
    const hives = this.listHives();
    let wanted = normalise(path);
    for (let links = 0; links <= MOST_LINKS; links++) {
      const found = this.#follow(hives, wanted);
      if (typeof found !== "string") return found;
      wanted = found;
    }
    throw new KernelDataError("a key of the registry", 0n, `${path} leads through more than ${MOST_LINKS} links`);
  }

  /** @returns the path that a link on the way leads to, with the rest behind it */
  #follow(hives: readonly RegistryHive[], path: string): RegistryKey | string | undefined {
    const hive = chooseHive(hives, path);
    if (!hive) return this.#describeAbove(hives, path);
    const source = this.#open(hive);
    let key = readKeyCell(source, source.rootCell);
    let at = hive.root;
    const words = path.slice(hive.root.length).split("\\").filter(Boolean);
    for (const [index, word] of words.entries()) {
      const found = findSubkey(source, key, word);
      if (!found) return undefined;
      key = found;
      at += `\\${key.name}`;
      if (!key.isLink) continue;
      const target = readLink(source, key);
      if (target === undefined) break;
      return normalise([target, ...words.slice(index + 1)].join("\\"));
    }
    return describe(source, key, at);
  }

  /** A key above all hives is none of any: its subkeys are told by the hives' roots. */
  #describeAbove(hives: readonly RegistryHive[], path: string): RegistryKey | undefined {
    const start = `${path.toUpperCase()}\\`;
    const below = hives.filter(({ root }) => root.toUpperCase().startsWith(start));
    if (below.length === 0) return undefined;
    const subkeys = new Set(below.map(({ root }) => root.slice(start.length).split("\\")[0] as string));
    return { path, name: lastPart(path), lastWriteTime: new Date(0), subkeys: [...subkeys], values: [] };
  }

  #open({ kaddr }: RegistryHive): CellSource {
    return new HiveMemory(this.#kernel, kaddr, () => {
      this.#memory ??= { found: findRegistryMemory(this.#kernel) };
      return this.#memory.found;
    });
  }

  #readText(kaddr: bigint, member: string): string {
    const hive = this.#kernel.at("_CMHIVE", kaddr);
    try {
      return hive.has(member) ? readUnicodeString(hive.member(member), this.#kernel.memory) : "";
    } catch (error) {
      if (error instanceof AddressError) return "";
      throw error;
    }
  }

  #readFile(kaddr: bigint): string {
    return this.#readText(kaddr, "FileFullPath") || this.#readText(kaddr, "FileUserName");
  }
}

function normalise(path: string): string {
  let text = path.replace(/\\+$/, "");
  for (const [prefix, full] of PREFIXES) text = text.replace(prefix, () => full);
  return text.startsWith("\\") ? text : `\\${text}`;
}

/** The hive whose root is the longest beginning of the path. */
function chooseHive(hives: readonly RegistryHive[], path: string): RegistryHive | undefined {
  const upper = `${path.toUpperCase()}\\`;
  const fitting = hives.filter(({ root }) => root !== "" && upper.startsWith(`${root.toUpperCase()}\\`));
  return fitting.reduce<RegistryHive | undefined>(
    (best, one) => (best && best.root.length >= one.root.length ? best : one),
    undefined,
  );
}

function findSubkey(source: CellSource, key: KeyCell, name: string): KeyCell | undefined {
  const wanted = name.toUpperCase();
  for (const cell of listSubkeyCells(source, key)) {
    const found = readKeyCell(source, cell);
    if (found.name.toUpperCase() === wanted) return found;
  }
  return undefined;
}

function readLink(source: CellSource, key: KeyCell): string | undefined {
  const value = listValueCells(source, key).find(({ name }) => name.toLowerCase() === LINK_VALUE);
  return value && readValueData(source, value, 0x10000).toString("utf16le").replace(/\0+$/, "");
}

function describe(source: CellSource, key: KeyCell, path: string): RegistryKey {
  let left = MOST_DATA;
  const values = listValueCells(source, key).map((value): RegistryValue => {
    const bytes = readValueData(source, value, Math.min(left, LONGEST_DATA));
    left -= bytes.length;
    return { name: value.name, type: typeName(value.type), data: interpretValue(value.type, bytes), size: value.size };
  });
  return {
    path,
    name: key.name,
    lastWriteTime: fileTimeToDate(key.lastWrite),
    subkeys: listSubkeyCells(source, key).map((index) => readKeyCell(source, index).name),
    values,
  };
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf("\\") + 1);
}
