import { type Command, defineCommand } from "../command";
import { type CommandResult, textResult } from "../command-result";
import { type CustomCommand, findScriptHost, listCommands } from "../../../scripts/module-control";

const VALUES = `Values in commands:
  1f, 0x1f       hexadecimal, as every number without a mark
  \\d31           decimal
  rip, @rip      a register of the chosen vCPU
  kernel!schedule, schedule    a symbol, with or without its module
  "my tool!main" a symbol whose name or module has blanks or other signs, as it is printed
  $name          a variable; set it: $name = VALUE
  $name+10-rax   sums and differences
  p1000          a guest-physical address
  ADDRESS:SIZE   a range; without :SIZE 512 bytes`;

type ShownCommand = Pick<Command, "name" | "aliases" | "usage" | "help">;

function showCommand({ name, aliases = [], usage = "", help }: ShownCommand): CommandResult {
  const also = aliases.length === 0 ? "" : `\nalso: ${aliases.join(", ")}`;
  return {
    kind: "data",
    text: `${`${name} ${usage}`.trim()}\n${help}${also}`,
    data: { name, usage, help, aliases },
  };
}

/** Finds a command that a script defines: its help is the whole comment of its function. */
function findCustom(name: string, commands: readonly CustomCommand[]): ShownCommand | undefined {
  const command = commands.find((one) => one.name === name);
  if (!command) return undefined;
  const help = command.help === "" ? "Its function has no comment." : command.help;
  return { name: `custom ${name}`, usage: "", help: `${help}\nIt is a command of the script ${command.script}.` };
}

/** The commands that the help describes. */
export interface CommandCatalog {
  /** Finds a command by its name or alias. */
  find(name: string): Command | undefined;
  /** @throws CommandError when there is none of that name or alias */
  get(name: string): Command;
  groups(): readonly (readonly [group: string, commands: readonly Command[]])[];
}

/** Creates the command that describes all commands, itself included. */
export function createHelpCommand(catalog: CommandCatalog): Command {
  return defineCommand({
    name: "help",
    aliases: ["h", "?", "list_commands"],
    usage: "[COMMAND | values]",
    help: "Lists the commands, those of scripts included, or tells what one does; help values tells how addresses and values are written.",
    parse: (input) => input.find(),
    run: (name, session) => {
      if (name === "values") return textResult(VALUES);
      const alias = name === undefined ? undefined : session.aliases.get(name);
      if (alias !== undefined) return textResult(`${name} is an alias: ${alias}`);
      const custom = findScriptHost() ? listCommands() : [];
      if (name !== undefined) return showCommand(catalog.find(name) ?? findCustom(name, custom) ?? catalog.get(name));
      const rows = catalog.groups().flatMap(([group, commands]) =>
        commands.map((command) => ({
          group,
          command: [command.name, ...(command.aliases ?? [])].join(", "),
          arguments: command.usage ?? "",
          help: command.help.split("\n")[0],
        })),
      );
      const ofScripts = custom.map(({ name: word, script, help }) => ({
        ...{ group: script, command: `custom ${word}`, arguments: "", help: help.split("\n")[0] },
      }));
      return { kind: "rows", columns: ["group", "command", "arguments", "help"], rows: [...rows, ...ofScripts] };
    },
  });
}
