import { getSystem } from "../../../guest/guest";
import type { GuestSystem } from "../../../systems/guest-system";
import { addressOfStruct, type GuestStruct, typeOfStruct } from "../../../systems/structs/struct-view";
import { namePattern } from "../../../systems/symbols/name-pattern";
import { type Command, defineCommand } from "../command";
import { CommandError } from "../../errors";
import type { CommandResult } from "../command-result";
import { evaluate } from "../arguments/expression";
import { listMembers, showValue, nameType } from "../rendering/struct-rows";

const MOST_NAMES = 1000;
const COLUMNS = ["offset", "name", "type", "value"];

function listTypes(guest: GuestSystem, pattern: string): CommandResult {
  const matches = namePattern(pattern);
  const rows: { name: string; size: number }[] = [];
  for (const name of guest.types.compoundNames()) {
    if (!matches(name)) continue;
    if (rows.length === MOST_NAMES) {
      return { kind: "rows", columns: ["name", "size"], rows, note: `more than ${MOST_NAMES}: narrow the name down` };
    }
    rows.push({ name, size: guest.types.findCompound(name)?.size ?? 0 });
  }
  const note = rows.length === 0 ? `the kernel has no struct ${pattern}` : undefined;
  return { kind: "rows", columns: ["name", "size"], rows, note };
}

/** Follows a path of members, through pointers too; ends at a struct or at a value. */
function follow(struct: GuestStruct, path: string): unknown {
  let at: unknown = struct;
  for (const step of path.split(/[.[\]]+|->/).filter((word) => word !== "")) {
    if (at === null) throw new CommandError(`${path}: there is a NULL before ${step}`);
    if (typeof at !== "object") throw new CommandError(`${path}: what stands before ${step} is no struct`);
    at = (at as Record<string, unknown>)[step];
  }
  return at;
}

function isStruct(value: unknown): value is GuestStruct {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export const STRUCT_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "dt",
    usage: "[MODULE!]STRUCT [ADDRESS [MEMBER.PATH]]",
    help: "Shows a struct of the guest's kernel: its members, and with an address their values.\nA path leads through structs and pointers: dt task_struct ADDRESS mm.pgd. With * in the name, lists types.",
    parse: (input, session) => {
      const name = input.get("the name of a struct").replace(/^struct\s+/, "");
      const address = input.find();
      const path = input.find();
      return { name, address: address === undefined ? undefined : evaluate(address, session), path };
    },
    run: ({ name, address, path }): CommandResult => {
      const guest = getSystem();
      if (/[*?]/.test(name)) return listTypes(guest, name);
      const [member, module] = name.split("!").reverse() as [string, string?];
      const types = module === undefined || module === "kernel" ? guest.types : guest.getModuleTypes(module);
      if (address === undefined) {
        const type = types.findCompound(member);
        if (!type) throw new CommandError(`the kernel has no struct ${member}; look for it: dt *${member}*`);
        return {
          kind: "rows",
          columns: COLUMNS.slice(0, 3),
          rows: listMembers(type),
          note: `${nameType(type)}, ${type.size} bytes`,
        };
      }
      const found =
        path === undefined ? guest.struct(member, address, types) : follow(guest.struct(member, address, types), path);
      if (isStruct(found)) {
        const type = typeOfStruct(found);
        const note = `${nameType(type)} at 0x${addressOfStruct(found).toString(16)}, ${type.size} bytes`;
        return { kind: "rows", columns: COLUMNS, rows: listMembers(type, found), note };
      }
      const value = showValue(found);
      return { kind: "rows", columns: ["path", "value"], rows: [{ path, value }] };
    },
  }),
];
