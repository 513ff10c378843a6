import { Argument, Command } from "commander";
import { completeWords } from "./complete-words";
import { type Shell, SHELL_SCRIPTS, SHELLS } from "./shell-scripts";

const AFTER_HELP = `
bash   echo 'source <(rebox completion bash)' >> ~/.bashrc
zsh    echo 'autoload -Uz compinit && compinit && source <(rebox completion zsh)' >> ~/.zshrc
fish   rebox completion fish > ~/.config/fish/completions/rebox.fish`;

/**
 * Creates the command `rebox completion`.
 *
 * @param stdout receives the text
 */
export function createCompletionCommand(stdout: NodeJS.WritableStream): Command {
  return new Command("completion")
    .summary("have a shell complete rebox's words")
    .description("Prints what has a shell complete the commands, options and files of rebox.")
    .helpOption("-h, --help", "show this help")
    .addArgument(new Argument("<shell>", "the shell").choices(SHELLS))
    .addHelpText("after", AFTER_HELP)
    .action((shell: Shell) => void stdout.write(SHELL_SCRIPTS[shell]));
}

/**
 * Creates the command that the scripts of `rebox completion` call; the help does not show it.
 *
 * @param stdout receives the candidates
 * @param createProgram creates `rebox` with the commands that a command line is about
 */
export function createCompleteCommand(
  stdout: NodeJS.WritableStream,
  createProgram: (words: readonly string[]) => Command,
): Command {
  return new Command("complete").argument("[words...]").action((words: string[]) => {
    // The word at the cursor may be the beginning of several commands.
    const program = createProgram(words.slice(0, -1));
    const { candidates, files } = completeWords(program, words);
    const lines = candidates.map(({ value, description }) => `${value}\t${description.replace(/\s+/g, " ")}`);
    stdout.write([...lines, ...(files ? [":files"] : [])].map((line) => `${line}\n`).join(""));
  });
}
