import {
  importModule,
  listCommands,
  listModules,
  type ModuleInfo,
  reloadModule,
  runCommand,
  unloadModule,
} from "../../scripts/module-control";
import type { RunCommandLine } from "./command-runner";
import { formatCommands, formatModules } from "./module-list";

/** The answer to one command of the monitor. */
export interface MonitorAnswer {
  /** For a person. */
  readonly text: string;
  /** For a program: what the command returns by the schema in native/qemu/monitor/qapi/rebox.json. */
  readonly value: unknown;
}

/** A command's arguments as QMP has them. */
export interface MonitorArguments {
  readonly file?: string;
  readonly handle?: number;
  readonly name?: string;
  readonly arguments?: string;
  readonly command?: string;
}

/** Executes the monitor's commands of rebox. Any error's message is meant for whoever gave the command. */
export class MonitorCommands {
  private readonly commands: Record<string, (args: MonitorArguments) => Promise<MonitorAnswer> | MonitorAnswer> = {
    "import-module": async ({ file }) => describeLoaded(await importModule(file!)),
    "reload-module": async ({ handle }) => describeLoaded(await reloadModule(handle!)),
    "unload-module": async ({ handle }) => {
      await unloadModule(handle!);
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
      const { text, data } = await this.runCommandLine(command!);
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
    if (execute === undefined) throw new Error(`${command} is no command of rebox: QEMU is built from another version`);
    return execute(args);
  }
}

function describeLoaded(module: ModuleInfo): MonitorAnswer {
  const { handle, name, version } = module;
  return { text: `${name} is loaded: handle ${handle}, version ${version}`, value: toSchema(module) };
}

function toSchema({ isTrusted, ...module }: ModuleInfo): object {
  return { ...module, trusted: isTrusted };
}
