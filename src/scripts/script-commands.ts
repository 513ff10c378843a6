import type { ModuleOwner } from "../machine/ownership/module-owner";
import { ScriptError } from "./errors";

/** A command that a script defines by exporting do_<name>. */
export interface ScriptCommand {
  /** Without "do_". */
  readonly name: string;
  /** The function's JSDoc; empty when it has none. */
  readonly help: string;
  /** The script's module name. */
  readonly script: string;
  readonly owner: ModuleOwner;
  /** Calls the function with the rest of the line; resolves with the text it returns, if it returns one. */
  run(line: string): Promise<string | undefined>;
}

/** The commands of all loaded scripts: `custom <name> <args>`. */
export class ScriptCommands {
  private readonly commands = new Map<string, ScriptCommand>();

  /** Lists the commands in the order of their names. */
  list(): ScriptCommand[] {
    return [...this.commands.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * Checks that a script's commands have names of their own.
   *
   * @param names the new commands, without "do_"
   * @param script the script's module name
   * @param file the script's absolute path
   * @param predecessor the version that the script replaces, whose names it may take over
   * @throws ScriptError that names both scripts
   */
  check(names: readonly string[], script: string, file: string, predecessor?: ModuleOwner): void {
    for (const name of names) {
      const other = this.commands.get(name);
      if (other === undefined || other.owner === predecessor) continue;
      const problem = `its command "${name}" exists already, in ${other.script}; rename do_${name} in one of them`;
      throw new ScriptError(script, problem, { file });
    }
  }

  /** Adds a script's commands; one of the version that it replaces is exchanged without a gap. */
  add(commands: readonly ScriptCommand[]): void {
    for (const command of commands) {
      this.commands.set(command.name, command);
      command.owner.own(() => {
        if (this.commands.get(command.name) === command) this.commands.delete(command.name);
      });
    }
  }

  /**
   * Runs a command.
   *
   * @param line its name and, behind a blank, the argument of its function
   * @returns the text that the function returned, or resolved with
   * @throws ScriptError when there is no such command, or it throws or takes too long
   */
  async run(line: string): Promise<string | undefined> {
    const [, name, rest] = /^\s*(\S*)\s*([^]*)$/.exec(line) as unknown as [string, string, string];
    const command = this.commands.get(name);
    if (command === undefined) {
      const known = this.list().map((known) => known.name);
      throw new ScriptError(`custom ${name}`, `there is no such command; there are: ${known.join(", ") || "none"}`);
    }
    return command.run(rest.trimEnd());
  }
}
