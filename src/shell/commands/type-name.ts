import type { GuestType } from "../../systems/symbols/guest-type";

/** How deep pointers and arrays may nest: what a guest says of its types may be damaged. */
const DEEPEST = 16;

/** Writes a type as a C declaration has it, without the name: "struct list_head", "char[16]", "struct mm_struct *". */
export function nameType(type: GuestType, depth = 0): string {
  if (depth > DEEPEST) return "...";
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
