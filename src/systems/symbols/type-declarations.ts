import type { CompoundType, GuestType, Member } from "./guest-type";
import type { TypeSource } from "./type-source";

const NAME = /^[A-Za-z_]\w*$/;
/** Names that TypeScript does not let an interface have. */
const RESERVED = new Set([
  ...["any", "bigint", "boolean", "never", "number", "object", "string", "symbol", "undefined", "unknown", "void"],
  ...["await", "break", "case", "catch", "class", "const", "continue", "debugger", "default", "delete", "do", "else"],
  ...["enum", "export", "extends", "false", "finally", "for", "function", "if", "implements", "import", "in"],
  ...["instanceof", "interface", "let", "new", "null", "package", "private", "protected", "public", "return", "static"],
  ...["super", "switch", "this", "throw", "true", "try", "typeof", "var", "while", "with", "yield"],
]);
/** Structs without a name within each other, and arrays of arrays. */
const DEEPEST = 16;
/** Of one struct, with those of structs without a name in it; the largest of a kernel has some hundreds. */
const MOST_MEMBERS = 65536;
const MOST_STRUCTS = 200_000;

/**
 * Declares a kernel's structs for TypeScript, so that an editor knows what `guest.struct("task_struct", address).mm` is.
 *
 * The declarations say what struct-view.ts makes of each member. What a hostile guest may have put into names stays out of
 * the text: only identifiers are written, and texts in quotes.
 *
 * @param types of the kernel
 * @param about one line on where they come from
 * @returns the text of a .d.ts file
 */
export function declareTypes(types: TypeSource, about: string): string {
  const names: string[] = [];
  for (const name of new Set(types.compoundNames())) {
    if (names.length >= MOST_STRUCTS) break;
    if (NAME.test(name) && types.findCompound(name) !== undefined) names.push(name);
  }
  names.sort();
  const writer = new Writer(types);
  const declared = [...writer.declareAll(names)];
  const entries = names.map((name) => `  ${JSON.stringify(name)}: ReboxGuest.${interfaceName(name)};\n`);
  return [
    `// ${about.replace(/[^ -~]/g, "?")}\n`,
    '// Written by rebox. With this file among those of a script, guest.struct("task_struct", address) has its members.\n\n',
    "interface ReboxGuestStructs {\n",
    ...entries,
    "}\n\ndeclare namespace ReboxGuest {\n",
    ...declared,
    "}\n",
  ].join("");
}

function interfaceName(name: string): string {
  return RESERVED.has(name) ? `${name}$` : name;
}

class Writer {
  /** The interfaces' names; others of the same name as a struct, which a kernel may have, are numbered. */
  private readonly named = new Map<CompoundType, string>();
  private readonly counts = new Map<string, number>();
  private readonly waiting: CompoundType[] = [];

  constructor(private readonly types: TypeSource) {}

  *declareAll(names: readonly string[]): Iterable<string> {
    for (const name of names) {
      const type = this.types.findCompound(name);
      if (type !== undefined) this.nameOf(type);
    }
    for (let type = this.waiting.pop(); type !== undefined; type = this.waiting.pop()) {
      const note = `  /** ${type.kind}, ${type.size} bytes */\n`;
      yield `${note}  interface ${this.nameOf(type)} {\n${this.members(type, "    ", 0)}  }\n`;
    }
  }

  /** Gets the name of a struct's interface, which is declared in its turn. */
  private nameOf(type: CompoundType): string {
    const known = this.named.get(type);
    if (known !== undefined) return known;
    const base = interfaceName(type.name);
    const count = (this.counts.get(base) ?? 0) + 1;
    this.counts.set(base, count);
    const name = count === 1 ? base : `${base}$${count}`;
    this.named.set(type, name);
    this.waiting.push(type);
    return name;
  }

  private members(type: CompoundType, indent: string, depth: number): string {
    const lines: string[] = [];
    for (const [name, member] of listMembers(type)) {
      const key = NAME.test(name) ? name : JSON.stringify(name);
      lines.push(`${indent}readonly ${key}: ${this.memberType(member, indent, depth)};\n`);
    }
    return lines.join("");
  }

  private memberType({ type, bitSize }: Member, indent: string, depth: number): string {
    if (bitSize > 0) return bitSize <= 32 ? "number" : "bigint";
    return this.describe(type, indent, depth);
  }

  private describe(type: GuestType, indent: string, depth: number): string {
    if (depth > DEEPEST) return "unknown";
    switch (type.kind) {
      case "struct":
      case "union":
        if (NAME.test(type.name)) return this.named.size < MOST_STRUCTS ? this.nameOf(type) : "unknown";
        return `{\n${this.members(type, `${indent}  `, depth + 1)}${indent}}`;
      case "pointer":
        return this.describePointer(type.target, indent, depth);
      case "array": {
        const { element } = type;
        if (element.kind === "integer" && element.meaning === "char") return "string";
        return `readonly (${this.describe(element, indent, depth + 1)})[]`;
      }
      case "integer":
        if (type.size > 8) return "string";
        if (type.meaning === "bool") return "boolean";
        return type.size <= 4 ? "number" : "bigint";
      case "enum":
        return type.size <= 4 ? "number" : "bigint";
      case "float":
        return "number";
      default:
        // Of what has no size there is only the place.
        return "bigint";
    }
  }

  private describePointer(target: GuestType, indent: string, depth: number): string {
    const type = target.kind === "incomplete" ? this.types.findCompound(target.name) : target;
    if (type?.kind !== "struct" && type?.kind !== "union") return "bigint";
    return `${this.describe(type, indent, depth + 1)} | null`;
  }
}

/** Lists the members as a script reaches them: those of structs without a name belong to the outer one, behind its own. */
function listMembers(type: CompoundType): Map<string, Member> {
  const found = new Map<string, Member>();
  let left = MOST_MEMBERS;
  const add = ({ members }: CompoundType, depth: number): void => {
    left -= members.length;
    if (left < 0) return;
    for (const member of members) {
      if (member.name !== "" && !found.has(member.name)) found.set(member.name, member);
    }
    if (depth >= DEEPEST) return;
    for (const { name, type: inner } of members) {
      if (name === "" && (inner.kind === "struct" || inner.kind === "union")) add(inner, depth + 1);
    }
  };
  add(type, 0);
  return found;
}
