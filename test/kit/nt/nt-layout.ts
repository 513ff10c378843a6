import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "../project";

/** A member: its offset in bytes and its type, as "u32", "ptr _PEB", "_LIST_ENTRY", "u8[15]", or "u64:20:44" for bits 20 to 63. */
export type LaidMember = readonly [offset: number, type: string];

/** The layout of the structs of one build of Windows that the test kernel uses. */
export interface NtLayout {
  readonly build: number;
  readonly major: number;
  readonly minor: number;
  readonly types: Readonly<
    Record<string, { readonly size: number; readonly members: Readonly<Record<string, LaidMember>> }>
  >;
}

/** The folder of the test kernel's sources. */
export const NT_SOURCES = join(PROJECT, "test/kit/nt");

/** Reads a layout by the name of its file. */
export function readLayout(name: string): NtLayout {
  return JSON.parse(readFileSync(join(NT_SOURCES, "layouts", `${name}.json`), "utf8")) as NtLayout;
}

const NUMBERS: Readonly<Record<string, string>> = {
  ...{ u8: "unsigned char", u16: "unsigned short", u32: "unsigned int", u64: "unsigned long long" },
  ...{ i8: "signed char", i16: "short", i32: "int", i64: "long long" },
};

/**
 * Writes the layout as C. Each member is a struct of its own with what lies before it as padding, all of them in one union, so that
 * members may overlap as in Windows; the compiler's debug information has each at its offset in the named struct.
 */
export function declareLayout({ types }: NtLayout): string {
  const kinds = new Map(Object.keys(types).map((name) => [name, kindOf(name)]));
  const done = new Set<string>();
  const text: string[] = ["#pragma pack(push, 1)"];
  const declare = (name: string): void => {
    const type = types[name];
    if (!type || done.has(name)) return;
    done.add(name);
    for (const [, member] of Object.values(type.members)) declare(member.replace(/\[.*/, ""));
    const members = Object.entries(type.members).map(([member, laid]) => `  ${declareMember(member, laid, kinds)}`);
    const body = [`  unsigned char rebox_size[${type.size}];`, ...members].join("\n");
    text.push(
      kinds.get(name) === "union" ? `union ${name} {\n${body}\n};` : `struct ${name} { union {\n${body}\n}; };`,
    );
  };
  for (const name of Object.keys(types)) declare(name);
  // The debug information holds those types that something has.
  const all = Object.keys(types).map((name, index) => `${kinds.get(name)} ${name} *rebox_type${index};`);
  return [...text, "#pragma pack(pop)", `struct rebox_all_types { ${all.join(" ")} };`, ""].join("\n");
}

function kindOf(name: string): "struct" | "union" {
  return name === "_HANDLE_TABLE_ENTRY" ? "union" : "struct";
}

function declareMember(
  name: string,
  [offset, type]: LaidMember,
  kinds: ReadonlyMap<string, "struct" | "union">,
): string {
  const before = offset > 0 ? `unsigned char rebox_pad_${name}[${offset}]; ` : "";
  const [, base, count, bit, bits] = /^(.*?)(?:\[(\d+)\])?(?::(\d+):(\d+))?$/.exec(type) as unknown as string[];
  const target = /^ptr (.*)$/.exec(base!)?.[1];
  const c =
    NUMBERS[base!] ??
    (target === undefined
      ? base === "ptr"
        ? "void *"
        : `${kinds.get(base!) ?? "struct"} ${base}`
      : `${kinds.get(target) ?? "struct"} ${target} *`);
  if (bits !== undefined) {
    const skipped = Number(bit) > 0 ? `${c} : ${bit}; ` : "";
    return `struct { ${before}${skipped}${c} ${name} : ${bits}; };`;
  }
  return `struct { ${before}${c} ${name}${count === undefined ? "" : `[${count}]`}; };`;
}
