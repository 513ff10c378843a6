import type { GuestType } from "../guest-type";
import type { IsfPdb, IsfReference } from "./isf-document";
import { IsfTypeWriter } from "./isf-type-writer";
import { SYMBOL_TYPES } from "./isf-symbol-types";
import type { TypeSource } from "../type-source";

/** The version of Volatility 3's schema that is written: the first in which structs without a name are flattened. */
const FORMAT = "6.2.0";
/** Pieces are collected up to about this many characters, so that writing them takes few calls. */
const PIECE = 1 << 16;
/** A long has 4 bytes in both widths of Windows, and those of a pointer on Linux. */
const LONG_OF_WINDOWS = 4;

/** A symbol at the address that the kernel was linked for. */
export interface IsfSymbolEntry {
  readonly name: string;
  readonly address: bigint;
  /** In bytes; 0 when unknown. */
  readonly size: number;
}

/** The content of an ISF file. */
export interface IsfContent {
  /** The kernel's, then those of its modules. */
  readonly types: readonly [TypeSource, ...TypeSource[]];
  readonly symbols: Iterable<IsfSymbolEntry>;
  /** The system: of Linux, the bytes at linux_banner, with their line feed and zero; of Windows, the PDB file. */
  readonly system: { readonly banner: Uint8Array } | { readonly pdb: IsfPdb };
  /** Of rebox. */
  readonly version: string;
}

/**
 * Writes Volatility 3's symbol file of a kernel, in pieces.
 *
 * Symbols whose type nobody knows are of type void, as in files that are made from debugging information: plugins then take
 * their address.
 *
 * @throws BtfError when the types are damaged
 */
export function* writeIsf(content: IsfContent): IterableIterator<string> {
  let piece = "";
  for (const text of writeParts(content)) {
    piece += text;
    if (piece.length < PIECE) continue;
    yield piece;
    piece = "";
  }
  yield `${piece}\n`;
}

function* writeParts({ types, symbols, system, version }: IsfContent): IterableIterator<string> {
  const isWindows = "pdb" in system;
  const writer = new IsfTypeWriter(types, isWindows ? LONG_OF_WINDOWS : types[0].pointerSize);
  const producer = { name: "rebox", version };
  const metadata = { format: FORMAT, producer, ...(isWindows ? { windows: { pdb: system.pdb } } : {}) };
  yield `{"metadata":${JSON.stringify(metadata)},"symbols":{`;
  yield* isWindows ? writePlaces(symbols) : writeSymbols(symbols, new SymbolTyper(types, writer), system.banner);
  yield '},"user_types":{';
  yield* separate(writer.userTypes());
  yield '},"enums":{';
  yield* separate(writer.enums());
  yield '},"base_types":{';
  yield* separate(writer.baseTypes());
  yield "}}";
}

function* separate(entries: Iterable<string>): IterableIterator<string> {
  let separator = "";
  for (const entry of entries) {
    yield separator + entry;
    separator = ",";
  }
}

/** Symbols of PDB files have no types. */
function* writePlaces(symbols: Iterable<IsfSymbolEntry>): IterableIterator<string> {
  const written = new Set<string>();
  for (const { name, address } of symbols) {
    if (written.has(name)) continue;
    yield `${written.size === 0 ? "" : ","}${JSON.stringify(name)}:{"address":${address}}`;
    written.add(name);
  }
}

function* writeSymbols(
  symbols: Iterable<IsfSymbolEntry>,
  typer: SymbolTyper,
  banner: Uint8Array,
): IterableIterator<string> {
  const written = new Set<string>();
  const base64 = Buffer.from(banner).toString("base64");
  for (const { name, address, size } of symbols) {
    // Static functions of different files may share a name: the first has it.
    if (written.has(name)) continue;
    const separator = written.size === 0 ? "" : ",";
    written.add(name);
    const data = name === "linux_banner" ? `,"constant_data":"${base64}"` : "";
    yield `${separator}${JSON.stringify(name)}:{"address":${address},"type":${typer.find(name, size)}${data}}`;
  }
}

const VOID = '{"kind":"base","name":"void"}';

/** Knows the types of symbols: from the kernel's own variables, else from SYMBOL_TYPES. */
class SymbolTyper {
  private readonly variables = new Map<string, GuestType>();

  constructor(
    types: readonly [TypeSource, ...TypeSource[]],
    private readonly writer: IsfTypeWriter,
  ) {
    for (const [name, type] of types[0].variables()) this.variables.set(name, type);
  }

  find(name: string, size: number): string {
    const own = this.variables.get(name);
    if (own) return JSON.stringify(this.writer.refer(own));
    if (name === "tk_core") return this.findTimekeeping();
    if (!Object.hasOwn(SYMBOL_TYPES, name)) return VOID;
    const declared = SYMBOL_TYPES[name] as string | readonly string[];
    for (const text of typeof declared === "string" ? [declared] : declared) {
      const found = this.parse(text, size);
      if (found) return JSON.stringify(found.reference);
    }
    return VOID;
  }

  /** kernel/time/timekeeping.c: a struct without a name, of a sequence counter and the timekeeper; a struct tk_data since 6.13. */
  private findTimekeeping(): string {
    const named = this.writer.findNamed("tk_data");
    const timekeeper = this.writer.findNamed("timekeeper");
    if (named) return JSON.stringify(this.writer.refer(named));
    if (!timekeeper) return VOID;
    // The counter's 4 bytes are followed by what 64-bit numbers are aligned to: 8 bytes, and 4 on i386.
    const offset = this.writer.pointerSize;
    const members = [{ name: "timekeeper", type: timekeeper, bitOffset: offset * 8, bitSize: 0 }];
    return JSON.stringify(this.writer.refer({ kind: "struct", name: "", size: offset + timekeeper.size, members }));
  }

  private parse(text: string, size: number): { reference: IsfReference; size: number } | undefined {
    const pointerSize = this.writer.pointerSize;
    if (text.startsWith("*")) {
      const subtype = this.parse(text.slice(1), 0)?.reference;
      return subtype && { reference: { kind: "pointer", subtype }, size: pointerSize };
    }
    const [, count, element] = /^\[(\d*)\](.*)$/.exec(text) ?? [];
    if (element !== undefined) {
      const of = this.parse(element, 0);
      if (!of || of.size === 0) return undefined;
      const number = count === "" ? Math.floor(size / of.size) : Number(count);
      return { reference: { kind: "array", count: number, subtype: of.reference }, size: number * of.size };
    }
    if (text === "function") return { reference: { kind: "function" }, size: 0 };
    const compound = this.writer.findNamed(text);
    if (compound) return { reference: this.writer.refer(compound), size: compound.size };
    const baseSize = this.writer.findBaseSize(text);
    return baseSize === undefined ? undefined : { reference: { kind: "base", name: text }, size: baseSize };
  }
}
