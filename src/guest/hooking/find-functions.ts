import { findNearestName } from "../../config/nearest-name";
import type { SymbolTable } from "../../systems/symbols/symbol-table";
import type { GuestModule } from "../../systems/guest-system";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { namePattern, piecesOf } from "../../systems/symbols/name-pattern";
import { ShiftedSymbols } from "../../systems/symbols/symbol-table";
import { readVa } from "../../machine/state/memory";
import { CurrentTask } from "../events/current-task";
import { findGuest } from "../guest";
import type { FoundFunction, FoundFunctions, ThreadPlaces } from "./hook-access";

/** nm's letters of functions, and of those that others can call. */
const FUNCTIONS = /^[TtWwi]$/;
const EXPORTED = /^[TWi]$/;
const CHOOSER = "i";
/** A text without end is no answer. */
const MOST_FUNCTIONS = 100_000;

/**
 * Finds functions of a module; HookAccess says how.
 *
 * @throws AttachError when the guest runs no Linux that rebox knows; RangeError when no process has the address space
 */
export function findFunctions(pgd: bigint, base: bigint, which: string | bigint): FoundFunctions {
  const guest = findGuest();
  const loaded = guest?.symbols.findLoaded(pgd, base);
  if (guest === undefined || loaded === undefined) return { functions: [], isKnown: false, bits: 64, from: 0n, to: 0n };
  const { module, symbols } = loaded;
  const bits = pgd !== 0n && symbols instanceof ShiftedSymbols ? symbols.bits : guest.bits;
  const range = { bits, from: module.base, to: module.base + BigInt(module.size) };
  if (typeof which === "bigint") {
    const place = { name: `+0x${which.toString(16)}`, address: module.base + which, isChooser: false };
    return { functions: which < BigInt(module.size) ? [place] : [], isKnown: true, ...range };
  }
  const functions = listFunctions(symbols, which);
  const isExact = !/[*?]/.test(which);
  const nearest = functions.length > 0 || !isExact ? undefined : findNearest(symbols, which);
  return { functions: choose(guest, pgd, module, functions), isKnown: symbols.count > 0, nearest, ...range };
}

/** Finds out where the guest's kernel notes the thread that a vCPU executes; undefined while no Linux is known. */
export function findThreadPlaces(): ThreadPlaces | undefined {
  const guest = findGuest();
  if (guest === undefined) return undefined;
  const { tid, tgid } = guest.tasks.offsets;
  const { place } = new CurrentTask(guest);
  return { bits: guest.bits, current: place, tid, pid: tgid, end: guest.kernel.findSymbol("do_exit") };
}

function listFunctions(symbols: SymbolTable, which: string): FoundFunction[] {
  const matches = namePattern(which);
  const letters = /[*?]/.test(which) ? EXPORTED : FUNCTIONS;
  const found: FoundFunction[] = [];
  for (const { name, address, type } of symbols.symbolsWith(piecesOf(which))) {
    if (!letters.test(type) || !matches(name)) continue;
    found.push({ name, address, isChooser: type === CHOOSER });
    if (found.length >= MOST_FUNCTIONS) break;
  }
  return found;
}

function findNearest(symbols: SymbolTable, name: string): string | undefined {
  const names = [...symbols.symbols()].filter(({ type }) => EXPORTED.test(type)).map((symbol) => symbol.name);
  return findNearestName(name, names);
}

/** Reads which functions the choosers have chosen, where the dynamic loader has been told so already. */
function choose(
  guest: LinuxGuest,
  pgd: bigint,
  { base, size }: GuestModule,
  functions: FoundFunction[],
): FoundFunction[] {
  const choosers = new Map(functions.filter(({ isChooser }) => isChooser).map(({ name, address }) => [name, address]));
  if (choosers.size === 0) return functions;
  const chosen = new Map<string, bigint>();
  for (const { name, address } of guest.symbols.listImports(pgd)) {
    const chooser = choosers.get(name);
    if (chooser === undefined || chosen.has(name)) continue;
    const target = findPointer(pgd, address, guest.bits);
    // Before the loader has been there, it leads to the asking module's own linkage table, or nowhere.
    const isCode = target !== undefined && target >= base && target < base + BigInt(size) && target !== chooser;
    if (isCode) chosen.set(name, target);
  }
  return functions.map((one) => (one.isChooser ? { ...one, chosen: chosen.get(one.name) } : one));
}

function findPointer(pgd: bigint, address: bigint, bits: 32 | 64): bigint | undefined {
  try {
    const bytes = readVa(pgd, address, bits / 8);
    return bits === 64 ? bytes.readBigUint64LE() : BigInt(bytes.readUint32LE());
  } catch {
    return undefined;
  }
}
