import { inspect } from "node:util";
import { type Command, defineCommand } from "../command";
import { CommandError } from "../../errors";
import { toCommandValue, textResult } from "../command-result";
import { evaluateScript } from "../arguments/script-expression";
import { evaluate } from "../arguments/expression";

const NAME = /^[A-Za-z_]\w*$/;

export const SESSION_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "alias",
    usage: "[NAME [= LINE]]",
    help: "Gives a line of commands a short name; without an argument, lists the aliases. alias NAME = removes one.\nWhat stands behind the name goes behind the line.",
    parse: (input) => input.rest(),
    run: (text, session) => {
      const [, name = "", isSet, line = ""] = /^(\S*?)\s*(?:(=)\s*(.*))?$/s.exec(text) ?? [];
      if (isSet !== undefined) {
        if (!NAME.test(name)) throw new CommandError(`"${name}" is no name for an alias: letters, digits and _`);
        if (line === "") session.aliases.delete(name);
        else session.aliases.set(name, line);
        return textResult("");
      }
      const all = [...session.aliases].filter(([alias]) => text === "" || alias === text);
      return {
        kind: "rows",
        columns: ["name", "line"],
        rows: all.map(([alias, value]) => ({ name: alias, line: value })),
        note: all.length === 0 ? "there is no alias" : undefined,
      };
    },
  }),
  defineCommand({
    name: "$",
    usage: "[NAME [= VALUE]]",
    help: "Sets a variable, $NAME = VALUE, to be used in addresses and values; without VALUE shows it, $ alone shows all.\nVALUE is computed once. $NAME = removes it.",
    parse: (input) => input.rest(),
    run: (text, session) => {
      const [, name = "", isSet, value = ""] = /^(\w*)\s*(?:(=)\s*(.*))?$/s.exec(text) ?? [];
      if (name !== "" && !NAME.test(name)) throw new CommandError(`"${name}" is no name for a variable`);
      if (isSet !== undefined && value === "") session.variables.delete(name);
      else if (isSet !== undefined) session.variables.set(name, `0x${evaluate(value, session).toString(16)}`);
      const all = [...session.variables].filter(([variable]) => name === "" || variable === name);
      if (name !== "" && isSet === undefined && all.length === 0)
        throw new CommandError(`there is no variable $${name}`);
      return {
        kind: "rows",
        columns: ["name", "value"],
        rows: all.map(([variable, shown]) => ({ name: `$${variable}`, value: BigInt(shown) })),
        note: all.length === 0 ? "there is no variable" : undefined,
      };
    },
  }),
  defineCommand({
    name: "!",
    usage: "EXPRESSION",
    help: 'Evaluates TypeScript or JavaScript: !readCpu().RAX + 1n. At hand are all names of "rebox", cpu, guest, pgd, and variables as $name.',
    parse: (input) => input.rest(),
    run: async (source, session) => {
      const value = await evaluateScript(source, session);
      return { kind: "data", text: inspect(value, { breakLength: 120, colors: false }), data: toCommandValue(value) };
    },
  }),
];
