import { toPlainLine } from "../../../config/terminal-text";
import { AddressError, KernelDataError } from "../../../systems/errors";
import { addressOfStruct, type GuestStruct, typeOfStruct } from "../../../systems/structs/struct-view";
import type { GuestType, CompoundType, Member } from "../../../systems/symbols/guest-type";
import type { CommandValue } from "../command-result";

/** The deepest nesting of pointers and arrays: a guest's description of its types may be damaged. */
const DEEPEST_TYPE = 16;

/** Writes a type as a C declaration has it, without the name: "struct list_head", "char[16]", "struct mm_struct *". */
export function nameType(type: GuestType, depth = 0): string {
  if (depth > DEEPEST_TYPE) return "...";
  switch (type.kind) {
    case "void":
      return "void";
    case "pointer": {
      const target = type.target;
      if (target.kind === "function") return "function *";
      const inner = nameType(target, depth + 1);
      return inner.endsWith("*") ? `${inner}*` : `${inner} *`;
    }
    case "array":
      return `${nameType(type.element, depth + 1)}[${type.count}]`;
    case "struct":
    case "union":
    case "enum":
      return type.name === "" ? type.kind : `${type.kind} ${type.name}`;
    case "incomplete":
      return `struct ${type.name}`;
    case "function":
      return "function";
    default:
      return type.name;
  }
}

const MOST_ELEMENTS = 8;
const MOST_ROWS = 5000;
const DEEPEST = 8;

/** One member of a struct. */
export interface MemberRow {
  readonly [column: string]: CommandValue;
  /** The offset from the start, in bytes; of a bit-field with its first bit: "0x10:3". */
  readonly offset: string;
  readonly name: string;
  readonly type: string;
  readonly value?: CommandValue;
}

/**
 * Lists the members of a struct in order, those of anonymous structs among them.
 *
 * @param view the struct in memory; without it there are no values
 */
export function listMembers(type: CompoundType, view?: GuestStruct): MemberRow[] {
  const rows: MemberRow[] = [];
  collect(type, view, 0, 0, rows);
  return rows;
}

function collect(
  type: CompoundType,
  view: GuestStruct | undefined,
  bits: number,
  depth: number,
  rows: MemberRow[],
): void {
  for (const member of type.members) {
    if (rows.length >= MOST_ROWS || depth > DEEPEST) return;
    const { type: inner } = member;
    if (member.name === "" && (inner.kind === "struct" || inner.kind === "union")) {
      collect(inner, view, bits + member.bitOffset, depth + 1, rows);
      continue;
    }
    rows.push({
      offset: nameOffset(bits + member.bitOffset, member),
      name: toPlainLine(member.name),
      type: member.bitSize > 0 ? `${nameType(inner)}:${member.bitSize}` : nameType(inner),
      ...(view === undefined ? {} : { value: readMember(view, member.name) }),
    });
  }
}

function nameOffset(bits: number, { bitSize }: Member): string {
  const offset = `0x${Math.floor(bits / 8).toString(16)}`;
  return bitSize > 0 ? `${offset}:${bits % 8}` : offset;
}

function readMember(view: GuestStruct, name: string): CommandValue {
  try {
    return showValue(view[name]);
  } catch (error) {
    if (error instanceof AddressError || error instanceof KernelDataError) return "??";
    throw error;
  }
}

/** Shows the value of a member: a struct by its name and address. */
export function showValue(value: unknown): CommandValue {
  if (value === null) return "NULL";
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) {
    const shown = value.slice(0, MOST_ELEMENTS).map(showValue);
    return value.length > MOST_ELEMENTS ? [...shown, `... ${value.length} in all`] : shown;
  }
  if (typeof value === "object") {
    const struct = value as GuestStruct;
    return `${nameType(typeOfStruct(struct))} at 0x${addressOfStruct(struct).toString(16)}`;
  }
  return value as number | bigint | boolean | undefined;
}
