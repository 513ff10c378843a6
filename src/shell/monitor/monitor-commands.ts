import { formatImported } from "../commands/rendering/script-answers";
import { MonitorCommandError } from "../errors";
import {
  type CustomCommand,
  type ModuleInfo,
  getModule,
  importModuleOnce,
  listCommands,
  listModules,
  reloadModule,
  runCommand,
  unloadModule,
} from "../../scripts/module-control";

/** The answer of a command of rebox's shell. */
export interface CommandOutput {
  /** The text that the shell prints. */
  readonly text: string;
  /** The same for programs; must be plain data, where a bigint becomes text in hexadecimal. */
  readonly data?: unknown;
}

/**
 * Runs one line of rebox's shell.
 *
 * @throws errors in the line, or of the command
 */
export type RunCommandLine = (line: string) => Promise<CommandOutput>;

/** Returns the output of `list_modules`: a line for each script under a heading. */
export function formatModules(modules: readonly ModuleInfo[]): string {
  if (modules.length === 0) return "no script is loaded: import_module FILE";
  const rows = modules.map(({ handle, version, name, isTrusted, requirements, commands, file }) => [
    String(handle),
    String(version),
    name,
    isTrusted ? "trusted" : "sandboxed",
    requirements.join(",") || "-",
    commands.join(",") || "-",
    file,
  ]);
  return alignColumns([["handle", "version", "name", "runs", "requires", "commands", "file"], ...rows]);
}

/** Returns the output of `custom` without a name: each command with its script and the first line of its help. */
export function formatCommands(commands: readonly CustomCommand[]): string {
  if (commands.length === 0) return "no loaded script has a command: it would export a function do_<name>";
  const rows = commands.map(({ name, script, help }) => [name, script, help.split("\n", 1)[0] ?? ""]);
  return alignColumns([["command", "script", "help"], ...rows]);
}

function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const HOW_TO_SHELL = `sh runs one command of rebox's shell: sh ps. A shell of its own, with a prompt, history and completion:
rebox attach SOCKET, for a guest that was started by rebox run --control SOCKET; rebox run --shell has one in its terminal`;

/** The answer to one command of the monitor. */
export interface MonitorAnswer {
  /** For a person. */
  readonly text: string;
  /** For a program: the result by the schema in native/qemu/monitor/qapi/rebox.json. */
  readonly value: unknown;
}

/** A command's arguments as QMP has them. */
export interface MonitorArguments {
  readonly file?: string;
  /** A person's word for a script: its handle or name. */
  readonly module?: string;
  readonly handle?: number;
  /** A command's name, or that of a script in place of its handle. */
  readonly name?: string;
  readonly arguments?: string;
  readonly command?: string;
}

/** Executes the monitor's commands of rebox. The message of any error is for the user of the monitor. */
export class MonitorCommands {
  private readonly commands: Record<string, (args: MonitorArguments) => Promise<MonitorAnswer> | MonitorAnswer> = {
    "import-module": async ({ file }) => {
      const { module, wasLoaded } = await importModuleOnce(file!);
      return { text: formatImported(module, wasLoaded), value: toSchema(module) };
    },
    "reload-module": async (args) => {
      const module = await reloadModule(getMeant(args).handle);
      return { text: formatImported(module, false), value: toSchema(module) };
    },
    "unload-module": async (args) => {
      await unloadModule(getMeant(args).handle);
      return { text: "", value: {} };
    },
    "list-modules": () => {
      const modules = listModules();
      return { text: formatModules(modules), value: modules.map(toSchema) };
    },
    custom: async ({ name, arguments: rest }) => {
      if (name === undefined) return { text: formatCommands(listCommands()), value: { text: "" } };
      const text = (await runCommand(`${name} ${rest ?? ""}`)) ?? "";
      return { text, value: { text } };
    },
    sh: async ({ command }) => {
      if (command === undefined || command.trim() === "") return { text: HOW_TO_SHELL, value: { text: HOW_TO_SHELL } };
      const { text, data } = await this.runCommandLine(command);
      return { text, value: data === undefined ? { text } : { text, data } };
    },
  };

  /** @param runCommandLine the shell */
  constructor(private readonly runCommandLine: RunCommandLine) {}

  /**
   * Executes one command.
   *
   * @param command its name in QMP
   * @throws ScriptError, or what the shell throws
   */
  async execute(command: string, args: MonitorArguments): Promise<MonitorAnswer> {
    const execute = this.commands[command];
    if (execute === undefined)
      throw new MonitorCommandError(`${command} is no command of rebox: QEMU is built from another version`);
    return execute(args);
  }
}

/** Gets the script that a command is about. @throws MonitorCommandError unless it is named in one way */
function getMeant({ module, handle, name }: MonitorArguments): ModuleInfo {
  const references = [module, handle, name].filter((reference) => reference !== undefined);
  if (references.length !== 1) throw new MonitorCommandError('give either "handle" or "name"');
  return getModule(String(references[0]));
}

function toSchema({ isTrusted, ...module }: ModuleInfo): object {
  return { ...module, trusted: isTrusted };
}
