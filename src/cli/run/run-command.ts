import { Command, InvalidArgumentError, Option } from "commander";
import { CALLBACK_LIMIT_RANGE_MS } from "../../config/rebox-config";
import { chooseShell, type WholeTerminal } from "../ui/choose-shell";
import { UsageError } from "../errors";
import { type MonitorOption, parseMonitor } from "./sockets";
import type { RunEnvironment } from "./run-environment";
import type { RunOptions, RunPlan } from "./run-plan";

/** Node's timers cannot wait longer than this, in milliseconds. */
const LONGEST_TIMER_MS = 2_147_483_647;

const AFTER_HELP = `
Everything behind "--" goes to QEMU unchanged. Without "--", QEMU's arguments are "args" of [QEMU] in the configuration.

Exit status: 0 the guest shut down, or the time limit was reached; 1 arguments or scripts that do not work, or a guest
that panicked; 70 a fault of the engine; 128 + n ended by signal n (130 for Ctrl-C; a second Ctrl-C ends at once).

Example: rebox run --script scripts/my_script.ts --timeout 60 -- -m 512 -hda disk.qcow2`;

/**
 * Creates the command `rebox run`.
 *
 * @param environment the engine and the process
 * @param qemuArgs the words behind "--"; undefined when there is no "--"
 * @param onStatus receives the exit status
 * @param args rebox's own arguments, `run` first, for the process behind the UI
 */
export function createRunCommand(
  environment: RunEnvironment,
  qemuArgs: readonly string[] | undefined,
  onStatus: (status: number) => void,
  args: readonly string[] = [],
): Command {
  return new Command("run")
    .summary("boot a guest and run scripts in it")
    .description("Boots a guest in QEMU inside this process and runs scripts that watch and steer it.")
    .usage("[options] [--] [QEMU-ARGS...]")
    .argument("[misplaced...]")
    .helpOption("-h, --help", "show this help")
    .option("-c, --config <file>", "configuration file (default: ./pyrebox.conf when there is one)")
    .option("--script <file>", "load a script, after those of [MODULES]; may be given more than once", append)
    .option("--trust", "run the files of --script outside the sandbox: they may do all that you may")
    .option("--watch", "reload a script when it, or a file that it imports, is saved")
    .option("--monitor <where>", "QEMU's monitor: stdio, none or unix:PATH", readMonitor)
    .option("--control <path>", "let rebox attach open shells on this guest, through a unix socket")
    .option(
      "--shell",
      "a shell: the terminal UI at a terminal, else plain lines of standard input: docs/reference/shell.md",
    )
    .option("--ui", "the terminal UI: docs/reference/terminal-ui.md")
    .option("--plain", "the shell reads plain lines, also at a terminal")
    .addOption(new Option("--behind-ui <socket>").hideHelp())
    .option("--investigate <module>", "start a persistent module; may be given more than once", append)
    .option("--investigate-conf <folder>", "where MODULE.cfg of persistent modules is (conf)")
    .option("--private", "have investigations mask what modules call private, whoever asks")
    .option("--timeout <seconds>", "stop after that many seconds", readTimeout)
    .option("--json <file>", "write one JSON line per message and event; - is standard output")
    .option("--callback-limit <ms>", "cut off a callback that runs longer than that many milliseconds", readLimit)
    .addHelpText("after", AFTER_HELP)
    .configureHelp({ visibleArguments: () => [] })
    .showHelpAfterError('(QEMU\'s own arguments go behind "--"; see rebox run --help)')
    .action(async (misplaced: string[], options: RunOptions) => {
      if (misplaced.length > 0) {
        throw new UsageError(`"${misplaced[0]}" is no option of rebox run; QEMU's arguments go behind "--"`);
      }
      const { createRunPlan } = await import("./run-plan.js");
      const plan = createRunPlan(options, qemuArgs, environment.projectFolder);
      const terminal = findTerminal(options, plan, environment);
      if (terminal) {
        const { runBehindUi } = await import("./run-behind-ui.js");
        const request = { args, qemuArgs, control: options.control };
        return onStatus(await runBehindUi(request, terminal, environment.stderr));
      }
      // The process that shows the guest is gone, for any reason.
      if (options.behindUi !== undefined) process.once("disconnect", () => process.kill(process.pid, "SIGHUP"));
      const { RunSession } = await import("./run-session.js");
      onStatus(await new RunSession(plan, environment).run());
    });
}

/** Finds the terminal for the UI, when one is wanted and possible. @throws UsageError when --ui cannot be */
function findTerminal(options: RunOptions, plan: RunPlan, { stdout }: RunEnvironment): WholeTerminal | undefined {
  if (options.behindUi !== undefined || !(options.ui === true || options.shell === true)) return undefined;
  const usesStdio = plan.qemuArgs.some((argument) => /(^|[:,=])stdio($|,)/.test(argument));
  const stdio = "QEMU's arguments use stdio, and the UI has the terminal: its console pane is the first serial line";
  const json = "--json - needs standard output, which the UI has: write to a file";
  return chooseShell(
    options,
    () => process.stdin,
    stdout,
    usesStdio ? stdio : plan.jsonFile === "-" ? json : undefined,
  );
}

function append(value: string, values: readonly string[] = []): string[] {
  return [...values, value];
}

function readMonitor(text: string): MonitorOption {
  return parseMonitor(text);
}

/** Reads seconds, returns milliseconds. */
function readTimeout(text: string): number {
  const timeoutMs = Math.round(Number(text) * 1000);
  if (!/^\d+(\.\d+)?$/.test(text) || timeoutMs < 1 || timeoutMs > LONGEST_TIMER_MS) {
    throw new InvalidArgumentError(
      `It must be a number of seconds from 0.001 to ${Math.floor(LONGEST_TIMER_MS / 1000)}.`,
    );
  }
  return timeoutMs;
}

function readLimit(text: string): number {
  const { minimum, maximum } = CALLBACK_LIMIT_RANGE_MS;
  const limitMs = Number(text);
  if (!/^\d+$/.test(text) || limitMs < minimum || limitMs > maximum) {
    throw new InvalidArgumentError(`It must be a whole number of milliseconds from ${minimum} to ${maximum}.`);
  }
  return limitMs;
}
