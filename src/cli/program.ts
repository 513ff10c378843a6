import { Command, CommanderError } from "commander";
import { ConfigError } from "../config/errors";
import { ClusterError, MachineryManagerError } from "../lab/errors";
import { stopCompiler } from "../scripts/loading/script-compiler";
import { COMMANDS, HIDDEN_COMMANDS } from "./commands";
import { ExitStatus } from "./exit-status";
import type { RunEnvironment } from "./run/run-environment";
import { UsageError } from "./errors";
import { getVersionText } from "./versions";

/**
 * Runs one `rebox` command line.
 *
 * @param argv the arguments behind the program's name
 * @param environment the engine and the process
 * @returns the exit status, once everything is disposed of; mistakes of the user are reported and not thrown
 */
export async function runProgram(argv: readonly string[], environment: RunEnvironment): Promise<number> {
  const { stderr } = environment;
  let status: number = ExitStatus.success;
  const onStatus = (value: number) => {
    status = value;
  };
  const [own, qemuArgs] = splitAtSeparator(argv);
  const program = createProgram(environment, qemuArgs, onStatus, own);
  try {
    await program.parseAsync(own, { from: "user" });
  } catch (error) {
    // Commander has printed its message, or the help or version that it was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitStatus.success : ExitStatus.failure;
    if (![UsageError, ConfigError, MachineryManagerError, ClusterError].some((type) => error instanceof type))
      throw error;
    stderr.write(`rebox: ${(error as Error).message}\n`);
    return ExitStatus.failure;
  } finally {
    await stopCompiler();
  }
  return status;
}

/**
 * Creates the command `rebox` with the commands that its arguments are about: with all of them when there are none.
 *
 * @param environment the engine and the process
 * @param qemuArgs the words behind "--"; undefined when there is no "--"
 * @param onStatus receives the exit status
 * @param own rebox's own arguments, as they were given
 */
export function createProgram(
  environment: RunEnvironment,
  qemuArgs: readonly string[] | undefined,
  onStatus: (status: number) => void,
  own: readonly string[] = [],
): Command {
  const { stdout, stderr, projectFolder } = environment;
  const program = new Command("rebox")
    .description("QEMU running inside Node.js, scripted in TypeScript.")
    .version(getVersionText(projectFolder), "-V, --version", "show the versions of rebox, QEMU and Node")
    .helpOption("-h, --help", "show this help")
    // The words behind the module of rebox investigate are the module's.
    .enablePositionalOptions()
    .helpCommand("help [command]", "show the help of a command")
    .configureHelp({ subcommandTerm: (command) => `${command.name()} ${command.usage()}` });
  const createOther = (words: readonly string[]) => createProgram(environment, undefined, onStatus, words);
  const context = { environment, qemuArgs, onStatus, own, createProgram: createOther };
  for (const create of chooseCommands(own)) program.addCommand(create(context));
  for (const command of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)]) {
    command.exitOverride();
    command.configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text.replace(/^error:/, "rebox:")),
    });
  }
  return program;
}

/** Chooses the commands that a command line is about: its own, none for the version alone, and all of them for the help and for mistakes. */
function chooseCommands([word = "", ...rest]: readonly string[]): (typeof COMMANDS)[string][] {
  for (const commands of [COMMANDS, HIDDEN_COMMANDS]) if (Object.hasOwn(commands, word)) return [commands[word]!];
  return ["-V", "--version"].includes(word) && rest.length === 0 ? [] : Object.values(COMMANDS);
}

/** The commands whose words behind "--" are QEMU's. */
const WITH_QEMU_ARGUMENTS = ["run", "record"];

/** Splits such arguments at the first "--": commander would drop it, and QEMU's part must stay as it is. */
function splitAtSeparator(argv: readonly string[]): [own: string[], qemuArgs: string[] | undefined] {
  const at = WITH_QEMU_ARGUMENTS.includes(argv[0] ?? "") ? argv.indexOf("--") : -1;
  return at === -1 ? [[...argv], undefined] : [argv.slice(0, at), argv.slice(at + 1)];
}
