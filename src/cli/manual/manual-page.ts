import type { Command } from "commander";
import type { EventEmitter } from "node:events";

/**
 * Makes the page rebox(1) of the same commands, options and texts as the help.
 *
 * @param program the command `rebox` with all of its commands
 * @param version of rebox
 * @returns roff with the macros of man(7)
 */
export function makeManualPage(program: Command, version: string): string {
  const commands = program.createHelp().visibleCommands(program).filter(isOwn);
  return [
    `.TH REBOX 1 "" "rebox ${escape(version)}" "rebox"`,
    ".SH NAME",
    `rebox \\- ${escape(program.description().replace(/\.$/, ""))}`,
    ".SH SYNOPSIS",
    ...commands.map((command) => `.B rebox ${escape(command.name())}\n${escape(command.usage())}\n.br`),
    ".B rebox --version",
    ".SH DESCRIPTION",
    "rebox runs QEMU inside Node.js. Scripts in TypeScript watch and steer the guest, and labs analyse files in it.",
    ".SH OPTIONS",
    ...describeOptions(program),
    ".SH COMMANDS",
    ...commands.flatMap((command) => describeCommand(command, "rebox")),
    ".SH SEE ALSO",
    "The documents of rebox, in its folder docs, and",
    ".BR qemu (1).",
    "",
  ].join("\n");
}

/** Returns whether a command is more than the `help` that each command with commands has. */
function isOwn(command: Command): boolean {
  return command.name() !== "help";
}

/** Describes a command, and those that it has. */
function describeCommand(command: Command, above: string): string[] {
  const name = `${above} ${command.name()}`;
  const below = command.createHelp().visibleCommands(command).filter(isOwn);
  const text = command.description() || command.summary();
  return [
    `.SS "${escape(name)} ${escape(command.usage())}"`,
    ...(text === "" ? [] : [escape(text)]),
    ...command.registeredArguments.flatMap((argument) =>
      argument.description === "" ? [] : [".TP", `.I ${escape(argument.name())}`, escape(argument.description)],
    ),
    ...describeOptions(command),
    ...describeAfterHelp(command),
    ...below.flatMap((one) => describeCommand(one, name)),
  ];
}

function describeOptions(command: Command): string[] {
  const help = command.createHelp();
  return help
    .visibleOptions(command)
    .flatMap((option) => [".TP", `.B ${escape(help.optionTerm(option))}`, escape(help.optionDescription(option))]);
}

/** The text below the options of the help: examples, and what exit statuses mean, line by line. */
function describeAfterHelp(command: Command): string[] {
  let text = "";
  // Commander gives the texts of addHelpText() to listeners alone.
  (command as unknown as EventEmitter).emit("afterHelp", {
    error: false,
    command,
    write: (part: string) => (text += part),
  });
  const lines = text.trim().split("\n");
  return text.trim() === "" ? [] : [".PP", ".nf", ...lines.map(escape), ".fi"];
}

/** Makes text of roff: no dash becomes a hyphen, and no line a request. */
function escape(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll('"', "\\(dq").replace(/^[.']/gm, "\\&$&");
}
