import { splitQuotedWords } from "../../../config/quoted-words";
import {
  getModule,
  importModuleOnce,
  listCommands,
  listModules,
  reloadModule,
  runCommand,
  unloadModule,
} from "../../../scripts/module-control";
import { type Command, defineCommand, type CommandInput } from "../command";
import { textResult } from "../command-result";
import { formatImported } from "../rendering/script-answers";

/** Reads the handle of a script, given by its handle, its name or its file. */
function readHandle(input: CommandInput): number {
  return getModule(input.get("the handle or name of a script")).handle;
}

export const SCRIPT_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "import",
    isForLiving: true,
    aliases: ["import_module"],
    usage: "NAME",
    help: "Loads a script by its module name (scripts.my_script) or file; quotes keep blanks.",
    parse: (input) => splitQuotedWords(input.get("the name of a script")).join(""),
    run: async (text) => {
      const { module, wasLoaded } = await importModuleOnce(text);
      const { handle, name, version } = module;
      return { kind: "data", text: formatImported(module, wasLoaded), data: { handle, name, version, wasLoaded } };
    },
  }),
  defineCommand({
    name: "unload",
    isForLiving: true,
    aliases: ["unload_module"],
    usage: "HANDLE | NAME",
    help: "Unloads a script and all that it has registered.",
    parse: readHandle,
    run: async (handle) => {
      const { name } = getModule(String(handle));
      await unloadModule(handle);
      return textResult(`${name} is unloaded`);
    },
  }),
  defineCommand({
    name: "reload",
    isForLiving: true,
    aliases: ["reload_module"],
    usage: "HANDLE | NAME",
    help: "Exchanges a script for the present version of its files; when that does not start, the old one stays.",
    parse: readHandle,
    run: async (handle) => {
      const { name, version } = await reloadModule(handle);
      return { kind: "data", text: `${name} is reloaded: version ${version}`, data: { handle, name, version } };
    },
  }),
  defineCommand({
    name: "list_modules",
    isForLiving: true,
    aliases: ["list", "scripts"],
    help: "Lists the loaded scripts.",
    parse: (input) => input.end(),
    run: () => {
      const rows = listModules().map(({ handle, name, version, isTrusted, commands, file }) => ({
        ...{ handle, name, version, file },
        kind: isTrusted ? "trusted" : "sandboxed",
        commands,
      }));
      const note = rows.length === 0 ? "no scripts are loaded" : undefined;
      return { kind: "rows", columns: ["handle", "name", "version", "kind", "commands"], rows, note };
    },
  }),
  defineCommand({
    name: "custom",
    isForLiving: true,
    usage: "[COMMAND [ARGUMENTS]]",
    help: "Runs a command that a script defines by exporting do_COMMAND; without an argument, lists them.",
    parse: (input) => input.rest(),
    run: async (line) => {
      if (line !== "") return textResult((await runCommand(line)) ?? "");
      const rows = listCommands().map(({ name, script, help }) => ({ name, script, help: help.split("\n")[0] }));
      const note = rows.length === 0 ? "no script defines a command" : undefined;
      return { kind: "rows", columns: ["name", "script", "help"], rows, note };
    },
  }),
];
